/** Reads manifest files and folders once, without watching them. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { SourceEvent } from '../../model/snapshot.ts';
import { Catalog } from './catalog.ts';
import { attempt, listManifests } from './list.ts';

/**
 * The events that a source of these files and folders would send at its start, `synced` included. A file named
 * outright is read whatever its name ends in. What cannot be read is a Problem.
 */
export async function readManifests(paths: readonly string[]): Promise<SourceEvent[]> {
  const catalog = new Catalog('');
  for (const path of paths) {
    for (const file of await filesOf(path)) {
      const text = await attempt(() => readFile(file, 'utf8'));
      if ('value' in text) catalog.update(file, '', text.value);
      else catalog.fail(file, '', text.failure);
    }
  }
  const { objects, problems } = catalog.contents();
  return [
    ...[...objects.values()].map(({ ref, resource, problems: found }): SourceEvent => ({
      type: 'apply',
      ref,
      resource,
      problems: found,
    })),
    ...[...problems].map(([key, found]): SourceEvent => ({ type: 'sourceProblems', key, problems: found })),
    { type: 'synced' },
  ];
}

async function filesOf(path: string): Promise<string[]> {
  const found = await attempt(() => stat(path));
  if ('failure' in found || !found.value.isDirectory()) return [path];
  const { files } = await listManifests(path);
  return [...files.keys()].map((file) => join(path, file));
}
