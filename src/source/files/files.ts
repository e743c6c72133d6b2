/** Feeds the sink from a folder of manifest files and follows every edit; what cannot be read stays as it last was. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Projection } from '../../api/project.ts';
import type { Problem } from '../../model/problem.ts';
import type { SourceSink } from '../../model/snapshot.ts';
import { Catalog } from './catalog.ts';
import { attempt, listManifests, type Listing } from './list.ts';
import { FolderWatch } from './watch.ts';

/** The part of a logger that sources use. */
export interface SourceLog {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

/** Milliseconds. */
const TIMING = {
  /** Pause after the last event before reading: an editor's several writes are one edit. */
  holdOff: 25,
  /** Reading starts at the latest so long after the first event. */
  cap: 500,
  /** A file that vanished is looked for once more after this: some editors delete a file and write it anew. */
  confirm: 150,
  /** Safety poll, for file systems and links that make no events. */
  poll: 2000,
} as const;

/** Files that change while they are read are read again, so often at most. */
const MAX_ROUNDS = 5;

export interface FilesSource {
  /** Resolves when nothing will be sent to the sink any more. */
  close(): Promise<void>;
}

/**
 * Resolves after the first full read, when `synced` has been sent.
 *
 * @throws when `dir` is no folder
 */
export async function startFilesSource(dir: string, sink: SourceSink, log: SourceLog): Promise<FilesSource> {
  const found = await attempt(() => stat(dir));
  if ('failure' in found || !found.value.isDirectory()) {
    throw new Error(`${dir} is not a folder that can be read; name a folder of manifests.`);
  }
  const reader = new FolderReader(dir, sink, log);
  await reader.start();
  return reader;
}

class FolderReader implements FilesSource {
  readonly #dir: string;
  readonly #sink: SourceSink;
  readonly #log: SourceLog;
  readonly #catalog: Catalog;
  readonly #watch: FolderWatch;
  /** Files not found by the last scan; not found by the next one either = deleted. */
  readonly #missing = new Set<string>();
  #sent: ReadonlyMap<string, Projection> = new Map();
  #told: ReadonlyMap<string, readonly Problem[]> = new Map();
  #unreadable: ReadonlyMap<string, string> = new Map();
  #poll: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;
  #deadline: number | undefined;
  /** The scan that is running; scans never overlap. */
  #scan: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(dir: string, sink: SourceSink, log: SourceLog) {
    this.#dir = dir;
    this.#sink = sink;
    this.#log = log;
    this.#catalog = new Catalog(dir);
    this.#watch = new FolderWatch(dir, () => this.#request(TIMING.holdOff));
  }

  async start(): Promise<void> {
    await this.#read();
    this.#sink({ type: 'synced' });
    this.#poll = setInterval(() => this.#run(), TIMING.poll);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#timer);
    this.#watch.close();
    await this.#scan;
  }

  /** Reads after `delay` ms, later when more is asked for meanwhile, but not beyond the cap. */
  #request(delay: number): void {
    if (this.#closed) return;
    const now = performance.now();
    this.#deadline ??= now + TIMING.cap;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), Math.max(0, Math.min(delay, this.#deadline - now)));
  }

  #run(): void {
    clearTimeout(this.#timer);
    this.#deadline = undefined;
    this.#scan = this.#scan
      .then(() => (this.#closed ? undefined : this.#read()))
      .catch((error: unknown) => {
        this.#log.warn(
          { err: error, dir: this.#dir },
          'reading the manifests failed; the last good state stays in force',
        );
      });
  }

  async #read(): Promise<void> {
    let listing = await listManifests(this.#dir);
    for (let round = 0; round < MAX_ROUNDS; round++) {
      await this.#readChanged(listing);
      const after = await listManifests(this.#dir);
      const stable = isDeepStrictEqual(after.files, listing.files);
      listing = after;
      // Several files swapped at once must not be seen half old, half new.
      if (stable) break;
    }
    if (this.#closed) return;
    this.#watch.follow(listing.folders);
    this.#removeVanished(listing);
    this.#unreadable = listing.unreadable;
    this.#send();
  }

  async #readChanged({ files }: Listing): Promise<void> {
    for (const [file, signature] of files) {
      if (this.#catalog.isCurrent(file, signature)) continue;
      const text = await attempt(() => readFile(join(this.#dir, file), 'utf8'));
      if ('value' in text) this.#catalog.update(file, signature, text.value);
      else if (text.code !== 'ENOENT') this.#catalog.fail(file, signature, text.failure);
    }
  }

  #removeVanished({ files, unreadable }: Listing): void {
    for (const file of this.#catalog.files) {
      if (files.has(file)) this.#missing.delete(file);
      else if (isBelow(file, unreadable.keys())) continue;
      else if (this.#missing.delete(file)) this.#catalog.remove(file);
      else {
        this.#missing.add(file);
        this.#request(TIMING.confirm);
      }
    }
  }

  /** Tells the sink what is different from what it was told before. */
  #send(): void {
    const { objects, problems } = this.#catalog.contents();
    const changed = [...objects].filter(([key, object]) => this.#sent.get(key) !== object);
    const gone = [...this.#sent].filter(([key]) => !objects.has(key));
    for (const [, { ref, resource, problems: found }] of changed) {
      this.#sink({ type: 'apply', ref, resource, problems: found });
    }
    for (const [, { ref }] of gone) this.#sink({ type: 'delete', ref });
    this.#sent = objects;
    this.#sendProblems(new Map([...problems, ...this.#folderProblems()]));
    if (changed.length > 0 || gone.length > 0) {
      this.#log.info({ dir: this.#dir, changed: changed.length, deleted: gone.length }, 'manifests read');
    }
  }

  #sendProblems(problems: ReadonlyMap<string, readonly Problem[]>): void {
    for (const [key, found] of problems) {
      if (isDeepStrictEqual(this.#told.get(key), found)) continue;
      this.#sink({ type: 'sourceProblems', key, problems: found });
      for (const { message, location } of found) this.#log.warn({ ...location }, message);
    }
    for (const key of this.#told.keys()) {
      if (!problems.has(key)) this.#sink({ type: 'sourceProblems', key, problems: [] });
    }
    this.#told = problems;
  }

  #folderProblems(): [string, Problem[]][] {
    return [...this.#unreadable].map(([folder, failure]) => {
      const path = join(this.#dir, folder);
      const object = { kind: 'Folder', namespace: '', name: path };
      const message = `The folder cannot be read: ${failure}; what its files last held stays in force.`;
      return [`${folder}/`, [{ severity: 'error', object, field: '', message, location: { file: path, line: 1 } }]];
    });
  }
}

/** A path below a folder that cannot be read is not known to be gone. */
function isBelow(file: string, folders: Iterable<string>): boolean {
  return [...folders].some((folder) => folder === '' || file.startsWith(`${folder}/`));
}
