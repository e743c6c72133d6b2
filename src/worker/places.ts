/** Where the endpoints stand that the session table names. Arrays by slot: a map with an object for each endpoint would take 4 MB of every worker in a large cluster. */
import type { EndpointPlace, LivePool } from '../model/live.ts';
import { slotOf } from '../shared/session-entries.ts';

export class Places {
  readonly #pools: (LivePool | undefined)[] = [];
  readonly #indices: number[] = [];

  /** `ref`: that of a `LiveEndpoint`. undefined = it is in no pool any more, or its slot has another holder. */
  get(ref: number): EndpointPlace | undefined {
    const slot = slotOf(ref);
    const [pool, index = 0] = [this.#pools[slot], this.#indices[slot]];
    return pool?.endpoints[index]?.ref === ref ? { pool, index } : undefined;
  }

  add(pool: LivePool): void {
    for (const [index, { slot }] of pool.endpoints.entries()) {
      this.#pools[slot] = pool;
      this.#indices[slot] = index;
    }
  }

  /** To be called before the pool's successor is added. */
  remove(pool: LivePool): void {
    for (const { slot } of pool.endpoints) this.#pools[slot] = undefined;
  }
}
