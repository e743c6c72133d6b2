/** Each key's own order of a pool's endpoints, by one of the three hash algorithms: what it is and how it is made. */
import type { HashAlgorithm } from '../../model/sticky-policy.ts';
import { firstOf } from '../rendezvous.ts';
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
  return { first: (high, low, fits) => firstOf(seeds, members, high, low, fits) };
}
