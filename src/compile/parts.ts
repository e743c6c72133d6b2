/** Divides objects into parts that have no say in each other's outcome. */
import type { Links } from './links.ts';

/** Objects with a common join, or of which one reads what another joins, come into one part; so do theirs, and so on. */
export function divide<T>(members: readonly (readonly [T, Links])[]): T[][] {
  const parts = new Parts(members.length);
  const joiners = new Map<string, number>();
  for (const [i, [, { joins }]] of members.entries()) {
    for (const link of joins) {
      const other = joiners.get(link);
      if (other === undefined) joiners.set(link, i);
      else parts.unite(i, other);
    }
  }
  for (const [i, [, { reads }]] of members.entries()) {
    for (const link of reads) parts.unite(i, joiners.get(link) ?? i);
  }
  const divided = new Map<number, T[]>();
  for (const [i, [member]] of members.entries()) {
    const root = parts.rootOf(i);
    const part = divided.get(root);
    if (part === undefined) divided.set(root, [member]);
    else part.push(member);
  }
  return [...divided.values()];
}

/** Union-find over 0..count-1, with path halving. */
class Parts {
  readonly #parents: Int32Array;

  constructor(count: number) {
    this.#parents = Int32Array.from({ length: count }, (_, i) => i);
  }

  rootOf(member: number): number {
    const parents = this.#parents;
    let here = member;
    for (;;) {
      const parent = parents[here] ?? here;
      if (parent === here) return here;
      const above = parents[parent] ?? parent;
      parents[here] = above;
      here = above;
    }
  }

  unite(a: number, b: number): void {
    this.#parents[this.rootOf(a)] = this.rootOf(b);
  }
}
