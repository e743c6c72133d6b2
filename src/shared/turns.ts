/** Turns that come one at a time, so many ms apart, for all workers together. */
import type { Block } from './cells.ts';

export class Turns {
  readonly #block: Block;

  /** `block`: one cell a slot, the time of its last turn: wall clock ms, of which the lower 32 bits are enough to tell what is recent. */
  constructor(block: Block) {
    this.#block = block;
  }

  /** False = the last turn was less than `every` ms ago. Of several callers at once one has it. */
  take(slot: number, every: number, now: number): boolean {
    const cells = this.#block.cells(slot) as Int32Array;
    const at = this.#block.at(slot, 0);
    const last = Atomics.load(cells, at);
    const since = ((now | 0) - last) | 0;
    if (last !== 0 && since >= 0 && since < every) return false;
    return Atomics.compareExchange(cells, at, last, now | 0 || 1) === last;
  }
}
