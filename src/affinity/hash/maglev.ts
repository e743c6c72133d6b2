/**
 * Maglev hashing: endpoints take the slots of a table in turns, each by its own permutation of them.
 * Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4.
 */
import { firstOf } from '../rendezvous.ts';
import type { KeyOrder } from './key-order.ts';
import { bySeeds, makePlaces } from './places.ts';
import type { Places } from './places.ts';

/** Prime, so that every step visits all slots. The paper's smaller size: even to 1 % for up to 650 endpoints. */
const SLOTS = 65_537;

export class Maglev implements KeyOrder {
  readonly #slots: Places;
  readonly #seeds: Int32Array;
  readonly #members: Int32Array;

  constructor(seeds: Int32Array, members: Int32Array) {
    this.#slots = makePlaces(members.length === 0 ? 0 : SLOTS, seeds.length / 2);
    this.#seeds = seeds;
    this.#members = members;
    if (members.length > 0) populate(this.#slots, seeds, bySeeds(seeds, members));
  }

  /**
   * The key's slot, then the rendezvous order. Walking on through the slots would load the others by up to twice as much
   * as one another: permutations are arithmetic progressions, so some endpoints stand next to one another often.
   */
  first(high: number, low: number, fits?: (index: number) => boolean): number {
    const own = this.#slots[(high >>> 0) % SLOTS] ?? -1;
    if (own < 0 || fits === undefined || fits(own)) return own;
    return firstOf(this.#seeds, this.#members, high, low, fits);
  }
}

/** The paper's listing 1. A permutation is offset, offset + skip, offset + 2 skip, … modulo the number of slots. */
function populate(slots: Places, seeds: Int32Array, members: Int32Array): void {
  const next = members.map((index) => ((seeds[2 * index] ?? 0) >>> 0) % SLOTS);
  const skip = members.map((index) => (((seeds[2 * index + 1] ?? 0) >>> 0) % (SLOTS - 1)) + 1);
  const taken = new Uint8Array(SLOTS);
  for (let filled = 0; ;) {
    for (let turn = 0; turn < members.length; turn++) {
      const step = skip[turn] ?? 1;
      let slot = next[turn] ?? 0;
      while (taken[slot] === 1) slot = slot + step < SLOTS ? slot + step : slot + step - SLOTS;
      taken[slot] = 1;
      slots[slot] = members[turn] ?? 0;
      next[turn] = slot;
      if (++filled === SLOTS) return;
    }
  }
}
