/** What each file last held that could be read, and the objects all files amount to. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { project, type Projection } from '../../api/project.ts';
import type { Location, Problem } from '../../model/problem.ts';
import { parseManifest } from './parse.ts';

interface FileState {
  readonly signature: string;
  readonly hash: string;
  /** Of the last content that could be read as a whole. */
  readonly objects: readonly Projection[];
  /** Why the present content is not in force. */
  readonly fault: Problem | undefined;
}

/** Everything the files say. */
export interface Contents {
  /** By kind, namespace and name. */
  readonly objects: ReadonlyMap<string, Projection>;
  /** Problems of files, and of objects that have no name to report them under, by file. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
}

export class Catalog {
  readonly #root: string;
  readonly #files = new Map<string, FileState>();
  /** Where each object stands. */
  readonly #locations = new WeakMap<Projection, Location>();

  constructor(root: string) {
    this.#root = root;
  }

  get files(): Iterable<string> {
    return [...this.#files.keys()];
  }

  /** `signature` from the listing: an unchanged file need not be read. */
  isCurrent(file: string, signature: string): boolean {
    return this.#files.get(file)?.signature === signature;
  }

  /** Takes a file's present content; true = it differs from before. */
  update(file: string, signature: string, text: string): boolean {
    const before = this.#files.get(file);
    const hash = createHash('sha256').update(text).digest('base64');
    if (before?.hash === hash) {
      this.#files.set(file, { ...before, signature });
      return false;
    }
    this.#files.set(file, { signature, hash, ...this.#read(file, text, before) });
    return true;
  }

  /** The file is there but cannot be read; what it last held stays. */
  fail(file: string, signature: string, failure: string): void {
    const objects = this.#files.get(file)?.objects ?? [];
    const fault = this.#fault(`The file cannot be read: ${failure}; ${inForce(objects)}`, {
      file: join(this.#root, file),
      line: 1,
    });
    this.#files.set(file, { signature, hash: '', objects, fault });
  }

  remove(file: string): void {
    this.#files.delete(file);
  }

  /** Of an object in two places, the first file by path counts, and in one file the first document. */
  contents(): Contents {
    const objects = new Map<string, Projection>();
    const owners = new Map<string, Location | undefined>();
    const problems = new Map<string, Problem[]>();
    const files = [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [file, state] of files) {
      const found: Problem[] = state.fault === undefined ? [] : [state.fault];
      for (const object of state.objects) {
        const { kind, namespace, name } = object.ref;
        const key = `${kind}\0${namespace}\0${name}`;
        if (name === '' || kind === '') found.push(...object.problems);
        else if (owners.has(key)) found.push(this.#duplicate(object, owners.get(key)));
        else {
          objects.set(key, object);
          owners.set(key, this.#locations.get(object));
        }
      }
      if (found.length > 0) problems.set(file, found);
    }
    return { objects, problems };
  }

  #read(file: string, text: string, before: FileState | undefined): Pick<FileState, 'objects' | 'fault'> {
    const path = join(this.#root, file);
    const last = before?.objects ?? [];
    // An editor that writes in place truncates first; a file meant to hold nothing is deleted or has a comment.
    if (text.trim() === '' && last.length > 0) {
      const message = 'The file is empty; what it last held stays in force. Delete the file to delete its objects.';
      return { objects: last, fault: this.#fault(message, { file: path, line: 1 }) };
    }
    const parsed = parseManifest(text, path);
    if ('fault' in parsed) {
      const { message, location } = parsed.fault;
      const what = message.endsWith('.') ? message.slice(0, -1) : message;
      const problem = `The file cannot be read as YAML: ${what}; ${inForce(last)} Correct it at this line.`;
      return { objects: last, fault: this.#fault(problem, location) };
    }
    const objects = parsed.objects.flatMap(({ raw, location, lines }) => {
      const object = project(raw, location, lines);
      if (object === undefined) return [];
      this.#locations.set(object, location);
      return [object];
    });
    return { objects, fault: undefined };
  }

  #fault(message: string, location: Location): Problem {
    return {
      severity: 'error',
      object: { kind: 'File', namespace: '', name: location.file },
      field: '',
      message,
      location,
    };
  }

  #duplicate(object: Projection, first: Location | undefined): Problem {
    const location = this.#locations.get(object);
    const { kind, namespace, name } = object.ref;
    const message = `${kind} ${namespace}/${name} stands at ${placeText(first)} and again at ${placeText(location)}; the first is used. Remove one of them.`;
    return {
      severity: 'error',
      object: object.ref,
      field: '',
      message,
      ...(location === undefined ? {} : { location }),
    };
  }
}

/** What becomes of a file's objects while it cannot be read; `last`: those it held before. */
function inForce(last: readonly Projection[]): string {
  return last.length > 0 ? 'what it last held stays in force.' : 'nothing of it is in force.';
}

function placeText(location: Location | undefined): string {
  return location === undefined ? 'another place' : `${location.file}:${location.line}`;
}
