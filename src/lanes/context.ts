/** What a worker gives its lanes. */
import type { DecideEnv } from '../affinity/decide.ts';
import type { BlockPool } from '../io/block-pool.ts';
import type { Clock } from '../io/clock.ts';
import type { Deadlines } from '../io/deadlines.ts';
import type { Turn } from '../io/turn.ts';
import type { AccessRecord, WorkerSettings } from '../shared/messages.ts';
import type { SessionTable } from '../shared/session-table.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import type { ClientAddresses } from './client-address.ts';
import type { Counters } from './counters.ts';
import type { LiveTable } from './live-table.ts';
import type { SharedKeys } from './shared-keys.ts';
import type { WaitingRoom } from './waiting-room.ts';

export interface LaneContext {
  readonly settings: WorkerSettings;
  /** The table that requests are matched against from now on. */
  readonly table: LiveTable;
  /** `now` is set before each decision, when its endpoint is there, and before each token that is issued. */
  readonly env: DecideEnv & { now: number };
  readonly counters: Counters;
  readonly sessions: SessionTable;
  /** Keys that replicas share; undefined = each has its own. */
  readonly keys: SharedKeys | undefined;
  /**
   * Read when a request begins, before each later decision, when its endpoint is there, when that answers, and at the end:
   * whatever follows at once goes by that.
   */
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly blocks: BlockPool;
  /** Of connections of HTTP/2. */
  readonly turn: Turn;
  /** Of connections of HTTP/1, on both sides. */
  readonly writes: Turn;
  readonly upstreams: Upstreams;
  readonly addresses: ClientAddresses;
  /** Requests whose endpoint has vanished and may come back; they look again at every new table. */
  readonly waiting: WaitingRoom;
  /** The ports that clients see, by scheme. */
  readonly publicPorts: { readonly http: number; readonly https: number };
  /** Connections end after their current request. */
  readonly draining: boolean;
  /** Whether this request's access record is wanted. */
  wantsAccessRecord(): boolean;
  access(record: AccessRecord): void;
  /** A request id that no other request of any worker has. */
  newRequestId(): string;
  /** The current Date header value. */
  httpDate(): string;
}
