/** What was said of sessions by hand, here or at another replica: kept for a time, and given to the workers and the table. */
import { Overrides } from '../affinity/overrides.ts';
import type { PoolKey } from '../model/ids.ts';
import { AUTHORITATIVE, OBSERVED } from '../model/live.ts';
import type { SessionRegion } from '../model/live.ts';
import type { Override } from '../model/override.ts';
import type { SessionTable } from '../shared/session-table.ts';

export interface SessionOrder extends Override {
  /** Of keys that the table alone knows the table is changed at once, and nothing is kept. */
  readonly region: SessionRegion;
  /** As in `policySlotKey`. */
  readonly policy: string;
  /** Where `to` is; undefined = the session has ended. */
  readonly pool?: PoolKey | undefined;
}

/** Where orders go besides this process: the other replicas, or a store that they share. */
export interface OrderSink {
  /** Resolves with how many were to hear of it and how many did; never rejects. */
  send(order: SessionOrder): Promise<{ readonly asked: number; readonly answered: number }>;
}

export interface SessionOrdersOptions {
  readonly table: Pick<SessionTable, 'move' | 'end'>;
  readonly clock: () => number;
  /** Tells the workers. */
  readonly publish: (added: readonly Override[], removed: readonly Override[]) => void;
  /** The endpoint's ref in the session table; undefined = the pool does not have it. */
  readonly refOf: (pool: PoolKey, prefix: string) => number | undefined;
  /** A key was moved in the table; `order` as it came. */
  readonly onMoved: (order: SessionOrder) => void;
}

/** Each is some 200 bytes in every worker. */
export const MAX_OVERRIDES = 10_000;

export class SessionOrders {
  readonly #options: SessionOrdersOptions;
  readonly #overrides = new Overrides<SessionOrder>();

  constructor(options: SessionOrdersOptions) {
    this.#options = options;
  }

  /** Those of token sessions that are in force: what a replica that starts has to be told. */
  get kept(): SessionOrder[] {
    return [...this.#overrides];
  }

  /** False = there is no room for all of them. Of two for one session the later counts. */
  obey(orders: readonly SessionOrder[]): boolean {
    const added: SessionOrder[] = [];
    let room = true;
    for (const order of orders) {
      if (order.region === AUTHORITATIVE) this.#change(order);
      else {
        const known = this.#overrides.find(order.high, order.low);
        if (order.until <= this.#options.clock() || (known !== undefined && known.from >= order.from)) continue;
        if (known === undefined && this.#overrides.size >= MAX_OVERRIDES) room = false;
        else {
          this.#overrides.set(order);
          added.push(order);
          // Whoever still uses it does not keep it from being over.
          if (order.to === undefined) this.#options.table.end(OBSERVED, order.high, order.low);
        }
      }
    }
    if (added.length > 0) this.#options.publish(added, []);
    return room;
  }

  /** Forgets those whose time is up. */
  sweep(): void {
    const now = this.#options.clock();
    const over = [...this.#overrides].filter(({ until }) => until <= now);
    for (const override of over) this.#overrides.delete(override);
    if (over.length > 0) this.#options.publish([], over);
  }

  #change(order: SessionOrder): void {
    const { table, clock, refOf, onMoved } = this.#options;
    const { high, low, to, pool } = order;
    if (to === undefined) return table.end(AUTHORITATIVE, high, low);
    const ref = pool === undefined ? undefined : refOf(pool, to);
    if (ref !== undefined && table.move(high, low, ref, clock())) onMoved(order);
  }
}
