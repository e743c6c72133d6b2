/** Reads manifest files and folders once, with the same catalogue as the watched folder of `run`. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { SourceEvent } from '../model/snapshot.ts';
import { Catalog } from '../source/files/catalog.ts';
import { attempt, listManifests } from '../source/files/list.ts';

/** A file named by the user is read whatever its ending; of folders, the manifests below them. */
export async function readManifests(paths: readonly string[]): Promise<SourceEvent[]> {
  const catalog = new Catalog('');
  for (const file of new Set((await Promise.all(paths.map(filesOf))).flat())) {
    const text = await attempt(() => readFile(file, 'utf8'));
    if ('failure' in text) catalog.fail(file, '', text.failure);
    else catalog.update(file, '', text.value);
  }
  const { objects, problems } = catalog.contents();
  return [
    ...[...objects.values()].map((object): SourceEvent => ({ type: 'apply', ...object })),
    ...[...problems].map(([key, found]): SourceEvent => ({ type: 'sourceProblems', key, problems: found })),
    { type: 'synced' },
  ];
}

async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const { files } = await listManifests(path);
  return [...files.keys()].map((file) => join(path, file));
}
