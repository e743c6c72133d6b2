/** Each key's own order of a pool's endpoints, by one of the three hash algorithms: what it is and how it is made. */
import type { HashAlgorithm } from '../../model/sticky-policy.ts';
import { firstOf, firstOfAll } from '../rendezvous.ts';
import { Maglev } from './maglev.ts';
import { Ring } from './ring.ts';

export interface KeyOrder {
  /**
   * The first endpoint, as an index into the pool's, in the order of the key (two words of `hashText`) that `fits`
   * accepts (unset = any); -1 = none.
   */
  first(high: number, low: number, fits?: (index: number) => boolean): number;
}

/**
 * The same order on every replica, whatever the order of the endpoints: it follows from their seeds alone.
 * @param seeds two words for each endpoint of the pool
 * @param members indices of those endpoints that take part
 */
export function keyOrder(algorithm: HashAlgorithm, seeds: Int32Array, members: Int32Array): KeyOrder {
  if (algorithm === 'Maglev') return new Maglev(seeds, members);
  if (algorithm === 'Ring') return new Ring(seeds, members);
  return rendezvous(seeds, members);
}

function rendezvous(seeds: Int32Array, members: Int32Array): KeyOrder {
  const own = Int32Array.from(
    { length: 2 * members.length },
    (_, k) => seeds[2 * (members[k >> 1] ?? 0) + (k & 1)] ?? 0,
  );
  return {
    first: (high, low, fits) =>
      fits === undefined ? (members[firstOfAll(own, high, low)] ?? -1) : firstOf(seeds, members, high, low, fits),
  };
}
