/** Reads from a YAML document where each field of an object stands. */
import { isMap, isNode, isScalar, isSeq, type Node } from 'yaml';
import { childPath } from '../../api/project/fields.ts';
import type { FieldLines } from '../../model/lines.ts';

/** No field that anybody reads lies deeper; a file that nests without end must not exhaust the stack. */
const MAX_DEPTH = 32;

/** `lineAt`: from an offset in the file. What an alias stands for is not followed: its fields stand where the alias does. */
export function fieldLines(node: Node | undefined, lineAt: (offset: number) => number): FieldLines {
  const lines = new Map<string, number>();
  const visit = (at: unknown, path: string, around: number, depth: number): void => {
    if (depth > MAX_DEPTH) return;
    if (isMap(at)) {
      for (const { key, value } of at.items) {
        if (isScalar(key)) note(key, value, childPath(path, String(key.value)), around, depth);
      }
    } else if (isSeq(at)) {
      for (const [index, item] of at.items.entries()) note(item, item, `${path}[${String(index)}]`, around, depth);
    }
  };
  const note = (place: unknown, value: unknown, path: string, around: number, depth: number): void => {
    const start = isNode(place) ? place.range?.[0] : undefined;
    const line = start === undefined ? around : lineAt(start);
    if (line !== around) lines.set(path, line);
    visit(value, path, line, depth + 1);
  };
  const start = node?.range?.[0];
  visit(node, '', start === undefined ? 0 : lineAt(start), 0);
  return lines;
}
