/** Where the fields of an object stand in its file. */
import type { Location } from './problem.ts';

/** 1-based line by field path as in `Problem.field`. A field that stands on the line of the one it is in has no entry. */
export type FieldLines = ReadonlyMap<string, number>;

/** The place of a field, or of the nearest field around it that exists; that of the object when its lines are not known. */
export function placeOf(location: Location, lines: FieldLines | undefined, field: string): Location {
  let path = field;
  while (path !== '') {
    const line = lines?.get(path);
    if (line !== undefined) return { file: location.file, line };
    path = path.slice(0, Math.max(0, path.lastIndexOf(path.endsWith(']') ? '[' : '.')));
  }
  return location;
}
