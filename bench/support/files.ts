/** Files that programs are configured by. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes a file into a folder; gives its path. */
export function fileIn(folder: string, name: string, text: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}
