/** Where an annotation stands, as Problems name it. */
import { childPath } from '../project/fields.ts';
import { ANNOTATIONS, PREFIX, type SettingName } from './table.ts';

/** `annotation`: its whole name. */
export function fieldOf(annotation: string): string {
  return childPath('metadata.annotations', annotation);
}

export function fieldOfSetting(setting: SettingName): string {
  return fieldOf(PREFIX + ANNOTATIONS[setting].name);
}
