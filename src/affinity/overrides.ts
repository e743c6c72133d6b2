/** The overrides in force, by the fingerprints of their sessions. */
import type { Override } from '../model/override.ts';

export class Overrides<T extends Override = Override> {
  readonly #byHigh = new Map<number, T[]>();

  /** 0 = there are none, and nothing has to be looked up. */
  size = 0;

  find(high: number, low: number): T | undefined {
    return this.#byHigh.get(high)?.find((one) => one.low === low);
  }

  /** In the place of the one for the same session, if there is one. */
  set(override: T): void {
    this.delete(override);
    const others = this.#byHigh.get(override.high) ?? [];
    this.#byHigh.set(override.high, [...others, override]);
    this.size++;
  }

  delete({ high, low }: Pick<Override, 'high' | 'low'>): void {
    const known = this.#byHigh.get(high);
    const left = known?.filter((one) => one.low !== low) ?? [];
    if (known === undefined || left.length === known.length) return;
    if (left.length === 0) this.#byHigh.delete(high);
    else this.#byHigh.set(high, left);
    this.size--;
  }

  *[Symbol.iterator](): Generator<T> {
    for (const list of this.#byHigh.values()) yield* list;
  }
}
