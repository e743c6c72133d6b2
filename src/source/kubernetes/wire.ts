/** Reads what list and watch answer: pages of objects, and one event a line. */
import { recordOf } from './fault.ts';

export interface Page {
  readonly items: readonly unknown[];
  /** Opaque. */
  readonly resourceVersion: string;
  /** Where the next page begins; empty = this is the last one. */
  readonly next: string;
}

/** @throws Error when it is no list: something else must never pass for an empty one */
export function readPage(raw: unknown): Page {
  const { kind, items, metadata } = recordOf(raw);
  const { resourceVersion, continue: next } = recordOf(metadata);
  if (typeof kind !== 'string' || !kind.endsWith('List')) throw new Error('the answer is no list of objects');
  if (typeof resourceVersion !== 'string' || resourceVersion === '') throw new Error('the list has no resourceVersion');
  if (items !== undefined && items !== null && !Array.isArray(items)) throw new Error('the list has no items');
  return { items: items ?? [], resourceVersion, next: typeof next === 'string' ? next : '' };
}

export type WatchEvent =
  | { readonly type: 'applied' | 'deleted'; readonly object: unknown; readonly resourceVersion: string | undefined }
  | { readonly type: 'bookmark'; readonly resourceVersion: string | undefined }
  | { readonly type: 'error'; readonly object: unknown };

/**
 * One line of a watch; undefined = an event of a type that we do not know.
 *
 * @throws SyntaxError when the line is not JSON
 */
export function readEvent(line: string): WatchEvent | undefined {
  const { type, object } = recordOf(JSON.parse(line));
  const version = recordOf(recordOf(object)['metadata'])['resourceVersion'];
  const resourceVersion = typeof version === 'string' && version !== '' ? version : undefined;
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
      return { type: 'applied', object, resourceVersion };
    case 'DELETED':
      return { type: 'deleted', object, resourceVersion };
    case 'BOOKMARK':
      return { type: 'bookmark', resourceVersion };
    case 'ERROR':
      return { type: 'error', object };
    default:
      return undefined;
  }
}
