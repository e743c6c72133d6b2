/** Who came first: the order that decides every conflict between objects. */
import type { Meta } from '../model/resources.ts';

/**
 * Older first, then by `namespace/name`. Objects without a timestamp (read from files) are equally old, and older than
 * any with one, so that the order is total.
 */
export function compareAge(a: Meta, b: Meta): number {
  const age = (a.creationTimestamp ?? 0) - (b.creationTimestamp ?? 0);
  return age || compareText(a.namespace, b.namespace) || compareText(a.name, b.name);
}

/** By code units: the same in every locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function oldestFirst<T extends { readonly meta: Meta }>(objects: Iterable<T>): T[] {
  return [...objects].sort((a, b) => compareAge(a.meta, b.meta));
}
