/**
 * Load at a constant rate, whatever the answers take: request `i` is due at `i / rate`, and its latency is counted from
 * then, also while it waits for a connection that is still busy. So a stall costs all requests that were due in it.
 * Sends from a loop that never sleeps, as timers are a millisecond coarse; so whoever shares its core comes first. Beside
 * a load that takes the core, it has to sleep, to be awake at once when there is something to do: then a latency is counted
 * from the turn in which the request was found to be due.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { constants, setPriority } from 'node:os';
import type { Socket } from 'node:net';

export interface ConstantRate {
  readonly port: number;
  readonly cookie: string;
  readonly connections: number;
  readonly perSecond: number;
  readonly seconds: number;
  /** A millisecond between two looks at what is due. */
  readonly sleeps?: boolean;
}

/** Milliseconds. */
export interface Latencies {
  readonly requests: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** How long after it was due this program came to a request (p99): its own stalls, or those of the machine. */
  readonly late: number;
}

const {
  port,
  cookie,
  connections,
  perSecond,
  seconds,
  sleeps = false,
} = JSON.parse(process.argv[2] ?? '') as ConstantRate;
const REQUEST = Buffer.from(`GET / HTTP/1.1\r\nHost: bench.test\r\nCookie: ${cookie}\r\n\r\n`, 'latin1');
const OK = 'HTTP/1.1 200';
/** At the start neither side is warm: not counted. */
const WARM_UP_S = 1;
const SLEEP_MS = 1;
/** For the last answers. */
const PATIENCE_MS = 10_000;

const total = Math.ceil(perSecond * (seconds + WARM_UP_S));
const warm = Math.ceil(perSecond * WARM_UP_S);
/** What each is counted from. */
const since = new Float64Array(total);
const latency = new Float64Array(total);
const late = new Float64Array(total);
/** Requests that were due when no connection was free. */
const waiting: number[] = [];
let waited = 0;
let sent = 0;
let answered = 0;
const free: Connection[] = [];
let started = 0;
const dueAt = (request: number) => started + (request * 1000) / perSecond;

/** One request at a time. */
class Connection {
  readonly #socket: Socket;
  #request = -1;
  /** Bytes of the answer that are still to come; 0 = its head, too. */
  #left = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (data: Buffer) => {
      this.#left = (this.#left === 0 ? sizeOf(data) : this.#left) - data.length;
      if (this.#left === 0) this.#done();
    });
    socket.on('close', () => fail('a connection was closed'));
  }

  send(request: number): void {
    this.#request = request;
    this.#socket.write(REQUEST);
  }

  #done(): void {
    latency[this.#request] = performance.now() - since[this.#request]!;
    answered++;
    const next = waiting[waited];
    if (next === undefined) free.push(this);
    else {
      waited++;
      this.send(next);
    }
  }
}

/** Of an answer whose head came in one read. */
function sizeOf(data: Buffer): number {
  const text = data.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  const length = /^content-length: (\d+)\r$/im.exec(text)?.[1];
  if (!text.startsWith(OK) || end < 0 || length === undefined) fail(`not an answer: ${text}`);
  return end + 4 + Number(length);
}

function fail(message: string): void {
  console.error(message);
  process.exit(1);
}

function turn(): void {
  const now = performance.now();
  while (sent < total && dueAt(sent) <= now) {
    since[sent] = sleeps ? now : dueAt(sent);
    const connection = free.pop();
    if (connection === undefined) waiting.push(sent);
    else connection.send(sent);
    late[sent] = now - dueAt(sent);
    sent++;
  }
  if (answered === total) finish();
  else if (now > dueAt(total) + PATIENCE_MS) fail(`${total - answered} of ${total} requests have no answer`);
  else if (sleeps) setTimeout(turn, SLEEP_MS);
  else setImmediate(turn);
}

function finish(): void {
  const sorted = latency.subarray(warm).toSorted();
  const at = (values: Float64Array, share: number) => values[Math.floor(values.length * share)] ?? NaN;
  const result: Latencies = {
    requests: total,
    p50: at(sorted, 0.5),
    p99: at(sorted, 0.99),
    p999: at(sorted, 0.999),
    late: at(late.subarray(warm).toSorted(), 0.99),
  };
  console.log(JSON.stringify(result));
  process.exit();
}

if (!sleeps) setPriority(constants.priority.PRIORITY_LOW);
for (let i = 0; i < connections; i++) {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  free.push(new Connection(socket));
}
started = performance.now();
turn();
