/** Lists the manifest files below a folder, each with a signature that changes when the file may have changed. */
import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface Listing {
  /** Signature by path relative to the folder, in path order. */
  readonly files: ReadonlyMap<string, string>;
  /** Folders read, relative (the folder itself is empty text), each with what tells it from another of its name. */
  readonly folders: ReadonlyMap<string, string>;
  /** Folders that could not be read, with why: what is below them is not known. */
  readonly unreadable: ReadonlyMap<string, string>;
}

const MANIFEST = /\.(?:ya?ml|json)$/i;

/**
 * Names that start with a dot are left out: editors' swap files, and the `..data` folders through which Kubernetes
 * swaps the files of a mounted ConfigMap (the links beside them are followed).
 */
export async function listManifests(root: string): Promise<Listing> {
  const files = new Map<string, string>();
  const folders = new Map<string, string>();
  const unreadable = new Map<string, string>();
  const visited = new Set<string>();

  const visit = async (folder: string): Promise<void> => {
    const names = await attempt(async () => {
      const real = await realpath(join(root, folder));
      // A link back to a folder above would never end.
      if (visited.has(real)) return [];
      visited.add(real);
      const { dev, ino } = await stat(real);
      folders.set(folder, `${dev}:${ino}`);
      return await readdir(real);
    });
    if ('failure' in names) {
      if (names.code !== 'ENOENT' || folder === '') unreadable.set(folder, names.failure);
      return;
    }
    for (const name of names.value.sort()) {
      if (!name.startsWith('.')) await visitEntry(folder === '' ? name : `${folder}/${name}`);
    }
  };

  const visitEntry = async (path: string): Promise<void> => {
    const found = await attempt(() => stat(join(root, path), { bigint: true }));
    // Gone in the meantime, or a link that leads nowhere.
    if ('failure' in found) return;
    const { value } = found;
    if (value.isDirectory()) await visit(path);
    else if (value.isFile() && MANIFEST.test(path)) {
      files.set(path, `${value.dev}:${value.ino}:${value.size}:${value.mtimeNs}:${value.ctimeNs}`);
    }
  };

  await visit('');
  return { files, folders, unreadable };
}

export type Attempt<T> = { readonly value: T } | { readonly failure: string; readonly code: string };

/** File system errors as values: any of them may happen at any time while users edit. */
export async function attempt<T>(action: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { value: await action() };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    return { failure: error instanceof Error ? error.message : String(error), code };
  }
}
