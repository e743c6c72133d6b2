/** What was said of sessions by hand, put together: who gives such orders, where they are kept, and where they come from. */
import type { SessionAdmin } from '../admin/types.ts';
import { REASON } from '../affinity/decision.ts';
import type { KeyRing } from '../affinity/keyring.ts';
import type { Config } from '../config/config.ts';
import { openStore } from '../session-store/client.ts';
import type { Counted } from '../shared/counted.ts';
import type { SessionTable } from '../shared/session-table.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Configuration } from './configuration.ts';
import { OrderStore } from './order-store.ts';
import type { ReplicaCalls } from './replica-calls.ts';
import { replicaSink, Sessions } from './session-admin.ts';
import { listSessions, ownersOf } from './session-list.ts';
import { SessionOrders } from './session-orders.ts';

export interface SessionControlOptions extends Pick<Config, 'sessionStore'> {
  readonly table: SessionTable;
  readonly counted: Counted;
  readonly configuration: Configuration;
  readonly calls: ReplicaCalls;
  readonly keys: () => KeyRing;
  readonly clock: () => number;
  /** Resolves when every worker has what was published. */
  readonly live: () => Promise<void>;
  readonly logger: Pick<Logger, 'error'>;
}

export class SessionControl {
  readonly #orders: SessionOrders;
  /** undefined = there is no session store. */
  readonly #store: OrderStore | undefined;
  readonly #sessions: Sessions;
  readonly #onError: (error: unknown) => void;

  constructor(options: SessionControlOptions) {
    const { table, counted, configuration, calls, keys, clock, live, logger } = options;
    this.#onError = (error) => {
      logger.error({ err: error }, 'what others know of sessions could not be taken over');
    };
    this.#orders = new SessionOrders({
      table,
      clock,
      publish: (added, removed) => configuration.setOverrides(added, removed),
      refOf: (pool, prefix) => configuration.refOf(pool, prefix),
      onMoved: ({ policy }) => counted.countMove(policy, REASON.override),
    });
    this.#store = this.#orderStore(options);
    const owners = () => ownersOf(configuration.table);
    this.#sessions = new Sessions({
      orders: this.#orders,
      calls,
      sinks: [replicaSink(calls), ...(this.#store === undefined ? [] : [this.#store])],
      here: (query) => listSessions(table, counted, owners(), query, clock()),
      owners,
      pools: () => configuration.livePools(),
      keys,
      clock,
      live,
    });
  }

  get admin(): SessionAdmin {
    return this.#sessions;
  }

  /** Takes over what others know: a session that was ended elsewhere does not begin again here. */
  async start(): Promise<void> {
    await Promise.all([this.#sessions.catchUp(), this.#store?.start()]);
  }

  /** To be called from time to time: forgets what is over, and hears what it has missed. */
  sweep(): void {
    this.#orders.sweep();
    Promise.all([this.#sessions.catchUp(), this.#store?.catchUp()]).catch(this.#onError);
  }

  stop(): void {
    this.#store?.stop();
  }

  #orderStore({ sessionStore, keys, clock }: SessionControlOptions): OrderStore | undefined {
    if (sessionStore === undefined) return undefined;
    return new OrderStore({
      open: (onError) => openStore(sessionStore, onError),
      orders: this.#orders,
      keys,
      clock,
      onError: this.#onError,
    });
  }
}
