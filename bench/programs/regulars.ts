/**
 * Clients that ask now and then over connections of their own, a thousand times a second together, whatever the answers
 * take. The latency of a request counts from its turn, also while its connection waits for the answer before. Sleeps in
 * between, so that it is awake at once when there is something to do, whoever shares its core.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

export interface RegularsOptions {
  readonly port: number;
  readonly cookie: string;
  readonly seconds: number;
}

/** Milliseconds. */
export interface Waited {
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

const { port, cookie, seconds } = JSON.parse(process.argv[2] ?? '') as RegularsOptions;
const REQUEST = Buffer.from(`GET / HTTP/1.1\r\nHost: bench.test\r\nCookie: ${cookie}\r\n\r\n`, 'latin1');
const CLIENTS = 50;
const PER_SECOND = 1000;
/** For the last answers. */
const PATIENCE_MS = 10_000;

const latencies: number[] = [];
let asked = 0;

class Client {
  readonly #socket: Socket;
  /** When the requests that have no answer yet had their turn; the first one is under way. */
  readonly #turns: number[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    // An answer of 101 bytes comes in one read.
    socket.on('data', (answer: Buffer) => this.#onAnswer(answer.toString('latin1')));
    socket.on('close', () => fail('a connection was closed'));
  }

  ask(): void {
    asked++;
    this.#turns.push(performance.now());
    if (this.#turns.length === 1) this.#socket.write(REQUEST);
  }

  #onAnswer(text: string): void {
    const turn = this.#turns.shift();
    if (turn === undefined || !text.startsWith('HTTP/1.1 200')) return fail(`not an answer: ${text}`);
    latencies.push(performance.now() - turn);
    if (this.#turns.length > 0) this.#socket.write(REQUEST);
  }
}

function fail(message: string): void {
  console.error(message);
  process.exit(1);
}

async function open(): Promise<Client> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return new Client(socket);
}

function finish(): void {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? NaN;
  const result: Waited = { p50: at(0.5), p99: at(0.99), most: sorted.at(-1) ?? NaN };
  console.log(JSON.stringify(result));
  process.exit();
}

const clients: Client[] = [];
for (let i = 0; i < CLIENTS; i++) clients.push(await open());
const began = performance.now();
setInterval(() => {
  const passed = performance.now() - began;
  const due = Math.floor(Math.min(passed / 1000, seconds) * PER_SECOND);
  while (asked < due) clients[asked % CLIENTS]?.ask();
  if (passed < seconds * 1000) return;
  if (latencies.length === asked) finish();
  if (passed > seconds * 1000 + PATIENCE_MS) fail(`${asked - latencies.length} of ${asked} requests have no answer`);
}, 1);
