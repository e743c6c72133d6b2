/** What a change of the number of endpoints does to hashed keys: how many move, and how even the load is. */
import type { HashAlgorithm } from '../model/sticky-policy.ts';
import { keyOrder } from './hash/key-order.ts';
import { hashText, seedsOf } from './rendezvous.ts';

export interface Simulation {
  /** Share of the keys that have another endpoint afterwards, 0..1. */
  readonly moved: number;
  /** Share that has to move when every endpoint has equally many keys, before and after, 0..1. */
  readonly expected: number;
  readonly before: Evenness;
  readonly after: Evenness;
}

/** Keys of the least and of the most loaded endpoint, as multiples of the mean. */
export interface Evenness {
  readonly least: number;
  readonly most: number;
}

/** `from` and `to`, at least 1: endpoints before and after; the smaller set is part of the larger. `keys`: how many, at least 1. */
export function simulate(algorithm: HashAlgorithm, from: number, to: number, keys: number): Simulation {
  const before = owners(algorithm, from, keys);
  const after = owners(algorithm, to, keys);
  let moved = 0;
  for (let key = 0; key < keys; key++) if (before[key] !== after[key]) moved++;
  return {
    moved: moved / keys,
    expected: Math.abs(to - from) / Math.max(to, from),
    before: evenness(before, from),
    after: evenness(after, to),
  };
}

/** For each of the keys `key-0`, `key-1`, …: which of the endpoints 0..count-1 it has. */
function owners(algorithm: HashAlgorithm, count: number, keys: number): Int32Array {
  const members = Int32Array.from({ length: count }, (_, i) => i);
  const seeds = Int32Array.from([...members].flatMap((i) => seedsOf(`endpoint-${i}`)));
  const order = keyOrder(algorithm, seeds, members);
  const words = { 0: 0, 1: 0 };
  return Int32Array.from({ length: keys }, (_, key) => {
    hashText(`key-${key}`, words);
    return order.first(words[0], words[1]);
  });
}

function evenness(owner: Int32Array, count: number): Evenness {
  const loads = new Float64Array(count);
  for (const index of owner) loads[index] = (loads[index] ?? 0) + 1;
  const mean = owner.length / count;
  const sorted = loads.sort();
  return { least: (sorted[0] ?? 0) / mean, most: (sorted.at(-1) ?? 0) / mean };
}
