/** What tables of endpoints are made with, the slots of Maglev and the points of a ring alike. */

/** Indices of endpoints; two bytes each as long as that is enough, because a table has tens of thousands of them. */
export type Places = Uint16Array | Uint32Array;

export function makePlaces(length: number, endpoints: number): Places {
  return endpoints <= 0x10000 ? new Uint16Array(length) : new Uint32Array(length);
}

/** `members` in the order of their seeds: neither a fill in turns nor a tie may depend on the order of the slices. */
export function bySeeds(seeds: Int32Array, members: Int32Array): Int32Array {
  const seed = (index: number, word: 0 | 1) => seeds[2 * index + word] ?? 0;
  return members.toSorted((a, b) => seed(a, 0) - seed(b, 0) || seed(a, 1) - seed(b, 1));
}
