/** Starts the worker threads, feeds them tables, replaces one that dies, and takes them through shutdown. */
import { Worker } from 'node:worker_threads';
import type { Counted } from '../shared/counted.ts';
import { GLOBAL_GAUGES } from '../shared/layout.ts';
import type {
  AccessRecord,
  FromWorker,
  Ports,
  TableDelta,
  ToWorker,
  WorkerSettings,
  WorkerStart,
  WorkerTls,
} from '../shared/messages.ts';
import type { SessionMemory } from '../shared/session-entries.ts';
import type { SessionSweep } from '../shared/session-sweep.ts';
import type { Logger } from '../telemetry/logger.ts';

/** A worker that dies at once is started again after this long, doubled up to the last. */
const RESTART_FIRST_MS = 100;
const RESTART_LAST_MS = 5000;
/** Up this long, a worker's death counts as the first again. */
const STABLE_MS = 10_000;

const ENTRY = new URL(import.meta.url.endsWith('.ts') ? '../worker/main.ts' : '../worker/main.js', import.meta.url);

export interface WorkersOptions {
  readonly count: number;
  readonly epoch: number;
  readonly settings: WorkerSettings;
  readonly counted: Counted;
  readonly sessions: SessionMemory;
  /** The main thread's access to it. */
  readonly sessionSweep: SessionSweep;
  readonly logger: Logger;
  readonly clock: () => number;
  /** The whole table, for a worker that starts. */
  readonly everything: () => TableDelta;
  readonly tls: WorkerTls;
  readonly onAccess: (records: readonly AccessRecord[]) => void;
}

interface Running {
  readonly worker: Worker;
  readonly startedAt: number;
  applied: number;
  listening: boolean;
}

/** Where the traffic comes in. */
interface Address {
  readonly host: string;
  readonly ports: Ports;
}

/** Thrown when a listener could not be opened; `code` as in Node (`EADDRINUSE`). */
class ListenError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export class Workers {
  readonly #options: WorkersOptions;
  readonly #running: (Running | undefined)[];
  /** Those really listened on. */
  #ports: Ports | undefined;
  #tls: WorkerTls;
  #stopping = false;
  #restartWait = RESTART_FIRST_MS;
  #waiting: { readonly version: number; readonly done: () => void }[] = [];
  /** Deaths by row. */
  readonly restarts: number[];

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#tls = options.tls;
    this.#running = Array.from({ length: options.count }, () => undefined);
    this.restarts = Array.from({ length: options.count }, () => 0);
  }

  /** Starts all workers on the same ports; the first one finds free ones for those that are 0. Resolves when all listen. */
  async start(ports: Ports): Promise<Address> {
    const address = await this.#startOne(0, ports);
    this.#ports = address.ports;
    await Promise.all(this.restarts.slice(1).map((_, i) => this.#startOne(i + 1, address.ports)));
    return address;
  }

  send(delta: TableDelta): void {
    for (const running of this.#running) running?.worker.postMessage({ type: 'table', delta } satisfies ToWorker);
  }

  /** Seals session tickets with these from now on. */
  setTicketKeys(ticketKeys: Uint8Array): void {
    this.#tls = { ...this.#tls, ticketKeys };
    for (const running of this.#running)
      running?.worker.postMessage({ type: 'ticketKeys', ticketKeys } satisfies ToWorker);
  }

  /** Workers that listen. */
  get up(): number {
    return this.#running.filter((running) => running?.listening === true).length;
  }

  /** The newest table version that every worker runs. */
  get acknowledged(): number {
    return Math.min(...this.#running.map((running) => running?.applied ?? 0));
  }

  /** Calls `done` once, as soon as every worker runs at least `version`. */
  onApplied(version: number, done: () => void): void {
    this.#waiting.push({ version, done });
    this.#wake();
  }

  /** Listeners close, what is in flight ends within `grace` ms, threads exit. */
  async shutdown(grace: number): Promise<void> {
    this.#stopping = true;
    const running = this.#running.filter((known) => known !== undefined);
    await Promise.all(running.map(({ worker }) => stop(worker, grace)));
  }

  async #startOne(row: number, ports: Ports): Promise<Address> {
    const { count, epoch, settings, sessions } = this.#options;
    const workerData: WorkerStart = { row, workers: count, epoch, sessions, settings, tls: this.#tls };
    const worker = new Worker(ENTRY, { workerData, name: `worker-${row}` });
    const running: Running = { worker, startedAt: this.#options.clock(), applied: 0, listening: false };
    this.#running[row] = running;
    worker.postMessage({ type: 'table', delta: this.#options.everything() } satisfies ToWorker);
    worker.postMessage({ type: 'listen', ports } satisfies ToWorker);
    return await new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'listening') resolve({ host: message.host, ports: message.ports });
        if (message.type === 'listenFailed') {
          reject(new ListenError(message.code, message.message));
          // A replacement that cannot listen is tried again like one that died.
          worker.terminate().catch(reject);
        }
        this.#onMessage(running, message);
      });
      worker.on('error', (error) => {
        this.#options.logger.error({ err: error, worker: row }, 'a worker crashed');
      });
      worker.on('exit', (code) => {
        reject(new Error(`worker ${row} exited with code ${code} before it listened`));
        this.#onExit(row, running, code);
      });
    });
  }

  #onMessage(running: Running, message: FromWorker): void {
    switch (message.type) {
      case 'listening':
        running.listening = true;
        break;
      case 'applied':
        running.applied = message.version;
        this.#wake();
        break;
      case 'access':
        this.#options.onAccess(message.records);
        break;
      case 'log':
        this.#options.logger[message.level](message.message);
        break;
      case 'listenFailed':
      case 'drained':
        break;
    }
  }

  #wake(): void {
    const { acknowledged } = this;
    const due = this.#waiting.filter(({ version }) => version <= acknowledged);
    this.#waiting = this.#waiting.filter(({ version }) => version > acknowledged);
    for (const { done } of due) done();
  }

  /** What the dead worker counted goes to the base row, its gauges to 0; then a new one takes its row. */
  #onExit(row: number, running: Running, code: number): void {
    if (this.#running[row] === running) this.#running[row] = undefined;
    if (this.#stopping || this.#ports === undefined) return;
    const { endpoint, gauge, latency, route, service, rule, policy, global, store } = this.#options.counted.blocks;
    for (const block of [endpoint, route, service, rule, policy, store]) block.fold(row, []);
    gauge.fold(row, 'all');
    latency.fold(row, 'all');
    global.fold(row, GLOBAL_GAUGES);
    this.#options.sessionSweep.clearDead(row + 1);
    this.restarts[row] = (this.restarts[row] ?? 0) + 1;
    if (this.#options.clock() - running.startedAt > STABLE_MS) this.#restartWait = RESTART_FIRST_MS;
    this.#options.logger.error({ worker: row, code, restartInMs: this.#restartWait }, 'a worker died; it is replaced');
    setTimeout(() => {
      this.#replace(row);
    }, this.#restartWait).unref();
    this.#restartWait = Math.min(this.#restartWait * 2, RESTART_LAST_MS);
  }

  #replace(row: number): void {
    if (this.#stopping || this.#ports === undefined) return;
    this.#startOne(row, this.#ports).catch((error: unknown) => {
      this.#options.logger.error({ err: error, worker: row }, 'a replacement worker did not start');
    });
  }
}

/** A worker that does not end by itself soon after the grace is ended. */
async function stop(worker: Worker, grace: number): Promise<void> {
  // Not `once()` of node:events: that one rejects when the worker crashes on its way out.
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  worker.postMessage({ type: 'shutdown', grace } satisfies ToWorker);
  const late = new Promise((resolve) => setTimeout(resolve, grace + 2000).unref());
  await Promise.race([exited, late]);
  await worker.terminate();
}
