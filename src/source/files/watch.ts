/** Watches folders for any change below them; what changed is found out by reading, never from the events. */
import { watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';

/** One watcher a folder: renames, symbolic link swaps and writes all show up in the folder that holds the name. */
export class FolderWatch {
  readonly #root: string;
  readonly #onChange: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  /** A folder that was replaced by another of its name needs another watcher. */
  #followed: ReadonlyMap<string, string> = new Map();

  constructor(root: string, onChange: () => void) {
    this.#root = root;
    this.#onChange = onChange;
  }

  /** Watches exactly these folders (relative path, identity); those that cannot be watched are left to the safety poll. */
  follow(folders: ReadonlyMap<string, string>): void {
    for (const folder of [...this.#watchers.keys()]) {
      if (folders.get(folder) !== this.#followed.get(folder)) this.#drop(folder);
    }
    this.#followed = folders;
    for (const folder of folders.keys()) if (!this.#watchers.has(folder)) this.#add(folder);
  }

  close(): void {
    for (const folder of [...this.#watchers.keys()]) this.#drop(folder);
  }

  #add(folder: string): void {
    try {
      const watcher = watch(join(this.#root, folder), () => this.#onChange());
      watcher.on('error', () => {
        this.#drop(folder);
        this.#onChange();
      });
      this.#watchers.set(folder, watcher);
      // What happened between the listing and this moment made no event.
      this.#onChange();
    } catch {
      // Gone again, or out of inotify watches: the safety poll sees its changes.
      this.#watchers.delete(folder);
    }
  }

  #drop(folder: string): void {
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
  }
}
