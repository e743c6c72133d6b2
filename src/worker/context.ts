/** Assembles what a worker's lanes work with. */
import { KeyRing } from '../affinity/keyring.ts';
import { BlockPool } from '../io/block-pool.ts';
import { Clock } from '../io/clock.ts';
import { Deadlines } from '../io/deadlines.ts';
import { Turn } from '../io/turn.ts';
import { ClientAddresses } from '../lanes/client-address.ts';
import type { LaneContext } from '../lanes/context.ts';
import { Counters } from '../lanes/counters.ts';
import type { LiveTable } from '../lanes/live-table.ts';
import { SharedKeys } from '../lanes/shared-keys.ts';
import { WaitingRoom } from '../lanes/waiting-room.ts';
import { compileRe2 } from '../rules/re2.ts';
import { openStore } from '../session-store/client.ts';
import { SessionStore } from '../session-store/store.ts';
import { createBlocks } from '../shared/cells.ts';
import { ENDPOINT } from '../shared/layout.ts';
import type { Blocks } from '../shared/cells.ts';
import type { AccessRecord, FromWorker, TableDelta, WorkerStart } from '../shared/messages.ts';
import { HealthMarks, SharedMeters } from '../shared/meters.ts';
import { SessionTable } from '../shared/session-table.ts';
import { TlsProfile } from '../upstream/tls.ts';
import { Upstreams } from '../upstream/upstreams.ts';
import { AccessBuffer } from './access-buffer.ts';
import { WorkerEnv } from './env.ts';
import { RequestIds } from './request-ids.ts';
import { TableBuilder } from './table-builder.ts';

/** A test mode: shared read buffers are overwritten after each use. */
export const POISON_READS = process.env['HF_TEST_POISON_READS'] === '1';

/** Requests that may wait for one endpoint to come back, over all workers. */
const MAX_WAITING = 100;

/** Writes in one go: as many as get something from each other; with many more what they write would leave the caches first. */
const WRITES = 32;

export class WorkerContext implements LaneContext {
  readonly settings: LaneContext['settings'];
  readonly counters: Counters;
  readonly sessions: SessionTable;
  readonly clock = new Clock();
  readonly deadlines = new Deadlines(() => this.clock.read().wall);
  readonly blocks = new BlockPool();
  readonly turn = new Turn();
  readonly writes = new Turn(WRITES);
  readonly upstreams: Upstreams;
  readonly addresses: ClientAddresses;
  readonly env: WorkerEnv;
  readonly accessBuffer: AccessBuffer;
  readonly waiting: WaitingRoom;
  readonly keys: SharedKeys | undefined;
  readonly store: SessionStore | undefined;
  readonly publicPorts = { http: 0, https: 0 };
  draining = false;
  readonly #builder: TableBuilder;
  readonly #shared: Blocks;
  readonly #requestIds = new RequestIds();
  #date = '';
  #dateSecond = 0;

  /** `first`: the first table, which brings the chunks that every worker needs. */
  constructor(start: WorkerStart, first: TableDelta, send: (message: FromWorker) => void) {
    const { row, workers, epoch, settings } = start;
    this.settings = settings;
    this.#shared = createBlocks(workers);
    // The kernel spreads connections, so each worker has its part of what the replica may keep waiting.
    this.waiting = new WaitingRoom(Math.ceil(MAX_WAITING / workers));
    for (const chunk of first.chunks) this.#shared[chunk.block].attach(chunk);
    this.counters = new Counters(this.#shared, row);
    this.sessions = new SessionTable(start.sessions, row + 1, this.#shared.session);
    const health = new HealthMarks(this.#shared.mark, epoch);
    this.upstreams = new Upstreams({
      deadlines: this.deadlines,
      blocks: this.blocks,
      turn: this.turn,
      writes: this.writes,
      health,
      connectTimeout: settings.connectTimeout,
      idleTimeout: settings.upstreamIdleTimeout,
      maxIdle: settings.maxIdleUpstreams,
      poisonReads: POISON_READS,
      onDialFailed: (slot) => {
        this.counters.endpoint(slot, ENDPOINT.connectFailures, 1);
      },
    });
    this.#builder = new TableBuilder({
      blocks: this.#shared,
      row,
      clock: Date.now,
      compileRegex: compileRe2,
      keyRing: (keys) => KeyRing.from(keys),
      tlsProfile: (settings) => new TlsProfile(settings, (message) => send({ type: 'log', level: 'warn', message })),
      onTlsRetired: (profile) => {
        this.upstreams.retireTls(profile);
      },
      onRetired: (slot) => {
        this.upstreams.retire(slot);
      },
    });
    this.addresses = new ClientAddresses(settings.trustedProxies);
    this.accessBuffer = new AccessBuffer(
      settings,
      (records) => send({ type: 'access', records }),
      () => {
        this.counters.limit('access_log_dropped');
      },
    );
    this.env = new WorkerEnv(
      this.deadlines.now,
      this.#builder,
      this.#shared,
      new SharedMeters(this.#shared, health),
      this.sessions,
    );
    this.store = this.#sessionStore(send);
    this.keys = this.store === undefined ? undefined : new SharedKeys(this.store, this.sessions, this.env);
    this.apply(first);
  }

  get table(): LiveTable {
    return this.#builder.table;
  }

  apply(delta: TableDelta): void {
    this.#builder.apply(delta);
    this.waiting.wakeAll();
  }

  wantsAccessRecord(): boolean {
    return this.accessBuffer.wants();
  }

  access(record: AccessRecord): void {
    this.accessBuffer.add(record);
  }

  newRequestId(): string {
    return this.#requestIds.next();
  }

  httpDate(): string {
    const second = Math.floor(this.deadlines.exact() / 1000);
    if (second !== this.#dateSecond) {
      this.#dateSecond = second;
      this.#date = new Date(second * 1000).toUTCString();
    }
    return this.#date;
  }

  #sessionStore(send: (message: FromWorker) => void): SessionStore | undefined {
    const address = this.settings.sessionStore;
    if (address === undefined) return undefined;
    return new SessionStore({
      open: (onError) => openStore(address, onError),
      onAsked: (seconds, failed) => this.counters.store(seconds, failed),
      onTurn: (up, fault) =>
        send(
          up
            ? { type: 'log', level: 'info', message: 'the session store answers' }
            : { type: 'log', level: 'warn', message: `the session store is not asked for now: ${fault}` },
        ),
    });
  }
}
