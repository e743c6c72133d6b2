/** Ring hashing (consistent hashing, Karger et al., STOC 1997): endpoints stand at many points of a circle, a key belongs to the next one. */
import { weight } from '../rendezvous.ts';
import type { KeyOrder } from './key-order.ts';
import { bySeeds, makePlaces } from './places.ts';
import type { Places } from './places.ts';

/**
 * Points of each endpoint, as in libketama. An endpoint's share then differs from the mean by 1/√160 = 8 % (standard
 * deviation). Twice as even would take four times the points; who wants that takes Maglev. The number is the same for
 * every pool, for a change of it moves keys.
 */
const POINTS = 160;

/** More than a pool has endpoints; times 2^32 it is still an exact number. */
const RANKS = 2 ** 20;

export class Ring implements KeyOrder {
  /** Where the points stand on the circle of 32 bits, ascending. */
  readonly #points: Uint32Array;
  /** Whose point it is, parallel to `#points`. */
  readonly #owners: Places;
  readonly #members: number;
  /** Per endpoint: the walk that last asked about it. So each is asked about once a walk, without allocation. */
  readonly #asked: Uint32Array;
  #walk = 0;

  constructor(seeds: Int32Array, members: Int32Array) {
    const ranked = bySeeds(seeds, members);
    // Place and rank in one number: sorted natively, and two endpoints at one place are in the order of their seeds.
    const sorted = new Float64Array(ranked.length * POINTS);
    let at = 0;
    for (let rank = 0; rank < ranked.length; rank++) {
      const [seed0, seed1] = [seeds[2 * (ranked[rank] ?? 0)] ?? 0, seeds[2 * (ranked[rank] ?? 0) + 1] ?? 0];
      for (let k = 0; k < POINTS; k++) sorted[at++] = (weight(k, k, seed0, seed1) >>> 0) * RANKS + rank;
    }
    sorted.sort();
    this.#owners = makePlaces(sorted.length, seeds.length / 2);
    this.#points = new Uint32Array(sorted.length);
    for (let place = 0; place < sorted.length; place++) {
      const point = Math.floor((sorted[place] ?? 0) / RANKS);
      this.#owners[place] = ranked[(sorted[place] ?? 0) - point * RANKS] ?? 0;
      this.#points[place] = point;
    }
    this.#members = ranked.length;
    this.#asked = new Uint32Array(seeds.length / 2);
  }

  /** The owner of the next point, then those of the points behind it. */
  first(high: number, _low: number, fits?: (index: number) => boolean): number {
    const owners = this.#owners;
    let place = this.#placeOf(high >>> 0);
    if (fits === undefined || owners.length === 0) return owners[place] ?? -1;
    const walk = this.#nextWalk();
    for (let left = this.#members; left > 0; place = place + 1 === owners.length ? 0 : place + 1) {
      const index = owners[place] ?? 0;
      if (this.#asked[index] === walk) continue;
      if (fits(index)) return index;
      this.#asked[index] = walk;
      left--;
    }
    return -1;
  }

  /** The first place at or after a point; behind the last comes the first. */
  #placeOf(point: number): number {
    const points = this.#points;
    let from = 0;
    let to = points.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((points[middle] ?? 0) < point) from = middle + 1;
      else to = middle;
    }
    return from === points.length ? 0 : from;
  }

  #nextWalk(): number {
    this.#walk = (this.#walk + 1) >>> 0;
    if (this.#walk === 0) {
      this.#asked.fill(0);
      this.#walk = 1;
    }
    return this.#walk;
  }
}
