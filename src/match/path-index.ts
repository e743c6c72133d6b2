/** Finds the route of a path: exact match, else the longest prefix, at a cost that does not grow with the number of paths. */
import { compactList, compactMap } from '../model/compact.ts';
import type { PathType } from '../model/resources.ts';
import { normalizeRoutePath } from './path.ts';

export interface PathEntry<R> {
  /** As written in the Ingress. */
  readonly path: string;
  readonly pathType: PathType;
  readonly value: R;
}

const SLASH = 0x2f;
/** `1` */
const MARK = 0x31;

/**
 * The form of a path that two entries of one type must differ in: normalised, and for `Prefix` without the trailing
 * slash, which Kubernetes ignores there. `/` as a Prefix is the empty text, a prefix of everything.
 */
export function pathKey(path: string, pathType: PathType): string {
  const normal = normalizeRoutePath(path);
  return pathType === 'Prefix' && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

/** Immutable. Of two entries with one key the first wins. */
export class PathIndex<R> {
  readonly #exact: ReadonlyMap<string, R>;
  /** By whole segments; keys have no trailing slash. */
  readonly #prefix: ReadonlyMap<string, R>;
  /** By characters. */
  readonly #text: ReadonlyMap<string, R>;
  /**
   * `1` at each length that some Prefix key has, so that only those boundaries of a request path are looked up. A text,
   * as thousands of hosts have one each, and a typed array of a few bytes takes ten times as much.
   */
  readonly #prefixLengths: string;
  /** Distinct lengths of the keys in `#text`, longest first. */
  readonly #textLengths: readonly number[];
  /** What `/` leads to. */
  readonly #root: R | undefined;
  /** There is nothing but `/`: every path leads there. */
  readonly #rootOnly: boolean;

  constructor(entries: Iterable<PathEntry<R>>) {
    const [exact, prefix, text] = [new Map<string, R>(), new Map<string, R>(), new Map<string, R>()];
    for (const { path, pathType, value } of entries) {
      const map = pathType === 'Exact' ? exact : pathType === 'Prefix' ? prefix : text;
      const key = pathKey(path, pathType);
      if (!map.has(key)) map.set(key, value);
    }
    // Every path starts with `/`, so both kinds of prefix match all; Prefix goes before ImplementationSpecific.
    this.#root = prefix.get('') ?? text.get('/');
    prefix.delete('');
    text.delete('/');
    this.#exact = compactMap(exact);
    this.#prefix = compactMap(prefix);
    this.#text = compactMap(text);
    this.#prefixLengths = lengthMarks(lengthsOf(this.#prefix.keys()));
    this.#textLengths = lengthsOf(this.#text.keys());
    this.#rootOnly = this.#exact.size === 0 && this.#prefix.size === 0 && this.#text.size === 0;
  }

  /** `path`: normalised, see `normalizePath`. */
  find(path: string): R | undefined {
    if (this.#rootOnly) return this.#root;
    const exact = this.#exact.get(path);
    if (exact !== undefined) return exact;
    return this.#findPrefix(path) ?? this.#root;
  }

  #findPrefix(path: string): R | undefined {
    const length = this.#longestSegments(path);
    for (const textLength of this.#textLengths) {
      if (textLength <= length) break;
      if (textLength > path.length) continue;
      const found = this.#text.get(path.slice(0, textLength));
      if (found !== undefined) return found;
    }
    return length === 0 ? undefined : this.#prefix.get(path.slice(0, length));
  }

  /** Length of the longest Prefix key that matches; 0 = none. Only the request's own segment boundaries are tried. */
  #longestSegments(path: string): number {
    const marks = this.#prefixLengths;
    for (let end = Math.min(path.length, marks.length - 1); end > 0; end--) {
      if (marks.charCodeAt(end) !== MARK) continue;
      if (end < path.length && path.charCodeAt(end) !== SLASH) continue;
      if (this.#prefix.has(path.slice(0, end))) return end;
    }
    return 0;
  }
}

/** `lengths`: longest first. */
function lengthMarks(lengths: readonly number[]): string {
  const marked = new Set(lengths);
  return Array.from({ length: (lengths[0] ?? 0) + 1 }, (_, length) => (marked.has(length) ? '1' : '0')).join('');
}

/** Distinct ones, longest first. */
function lengthsOf(keys: Iterable<string>): readonly number[] {
  const lengths = new Set([...keys].map((key) => key.length));
  return compactList([...lengths].sort((a, b) => b - a));
}
