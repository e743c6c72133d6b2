/** Follows how many replicas of the controller are Ready: each takes its part of what a policy allows them together. */
import type { EndpointSlice } from '../model/resources.ts';
import { readyIn } from './replica-slices.ts';

export class ReplicaCount {
  readonly #slices: () => Promise<Iterable<EndpointSlice>>;
  readonly #onChange: (count: number) => void;
  /** This process is one, whether the others see it or not. */
  #count = 1;
  #looks = 0;

  constructor(slices: () => Promise<Iterable<EndpointSlice>>, onChange: (count: number) => void) {
    this.#slices = slices;
    this.#onChange = onChange;
  }

  /** Looks again. While nobody can tell, the last figure holds. */
  async look(): Promise<void> {
    const look = ++this.#looks;
    const slices = [...(await this.#slices().catch(() => []))];
    if (slices.length === 0 || look !== this.#looks) return;
    const count = Math.max(1, readyIn(slices));
    if (count === this.#count) return;
    this.#count = count;
    this.#onChange(count);
  }
}
