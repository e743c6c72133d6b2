/** Micro benchmark of deciding: nanoseconds a request, beside the goal of each way. Run: node --expose-gc --max-semi-space-size=512 bench/decide.ts */
import { Decision } from '../src/affinity/decision.ts';
import { decide } from '../src/affinity/decide.ts';
import { TokenMemo } from '../src/affinity/token-memo.ts';
import { Block, createChunk } from '../src/shared/cells.ts';
import { createSessionMemory, MAIN_THREAD } from '../src/shared/session-entries.ts';
import { SessionTable } from '../src/shared/session-table.ts';
import { affinity, ask, COOKIE, env, facts, NOW, pool, sessionOn } from '../test/unit/affinity/fixtures.ts';
import type { TestEnv } from '../test/unit/affinity/fixtures.ts';
import type { LiveAffinity } from '../src/affinity/build.ts';
import type { RequestFacts } from '../src/model/facts.ts';
import { ABSENT } from '../src/model/live.ts';
import type { LivePool, Meters } from '../src/model/live.ts';
import type { HashSettings } from '../src/model/sticky-policy.ts';

const ROUNDS = 300_000;
const CELLS = 16_384;

/** Meters as a worker has them: plain reads of typed arrays. */
class ArrayMeters implements Meters {
  readonly #flying = new Int32Array(new SharedArrayBuffer(CELLS * 4));
  readonly #chosen = new Int32Array(new SharedArrayBuffer(CELLS * 4));
  readonly #failing = new Float64Array(new SharedArrayBuffer(CELLS * 8));
  #clock = 0;
  #turn = 0;
  constructor(inFlight: (slot: number) => number = () => 0) {
    for (let slot = 0; slot < CELLS; slot++) this.#flying[slot] = inFlight(slot);
  }
  inFlight(slot: number): number {
    return this.#flying[slot] ?? 0;
  }
  sessions(slot: number): number {
    return this.#flying[slot] ?? 0;
  }
  lastChosen(slot: number): number {
    return this.#chosen[slot] ?? 0;
  }
  markChosen(slot: number): void {
    this.#chosen[slot] = ++this.#clock;
  }
  nextTurn(): number {
    return this.#turn++;
  }
  latency(): number {
    return 0;
  }
  failingSince(slot: number): number {
    return this.#failing[slot] ?? 0;
  }
}

type BenchEnv = Omit<TestEnv, 'meters'> & { meters: Meters };

function run(
  name: string,
  goal: string,
  requests: readonly RequestFacts[],
  target: LivePool,
  live?: LiveAffinity,
  inFlight?: (slot: number) => number,
  changes?: Partial<BenchEnv>,
): void {
  const on: BenchEnv = { ...env(), meters: new ArrayMeters(inFlight), memo: new TokenMemo(), ...changes };
  const d = new Decision();
  const round = (count: number) => {
    for (let i = 0; i < count; i++) {
      const request = requests[i % requests.length];
      if (request === undefined) throw new Error('no request');
      d.begin();
      decide(d, live, target, request, on);
    }
  };
  round(50_000);
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const start = process.hrtime.bigint();
  round(ROUNDS);
  const nanoseconds = Number(process.hrtime.bigint() - start) / ROUNDS;
  const bytes = Math.max(0, process.memoryUsage().heapUsed - before) / ROUNDS;
  const columns = [name.padEnd(38), `${nanoseconds.toFixed(0)} ns`.padStart(9), `goal ${goal}`.padEnd(14)];
  process.stdout.write(`${columns.join('  ')}  ${bytes.toFixed(0)} B allocated\n`);
}

/** A session table that has every key of `inTable`, spread over a pool. */
function tableOf(target: LivePool): Partial<BenchEnv> {
  const counts = new Block('session', 1);
  counts.attach(createChunk('session', 0, 1));
  const sessions = new SessionTable(createSessionMemory(1_048_576, NOW), MAIN_THREAD, counts);
  const places = new Map(target.endpoints.map(({ ref }, index) => [ref, { pool: target, index }]));
  for (const [i, request] of keys.entries()) {
    const { d } = ask(inTable, target, request);
    const ref = target.endpoints[i % target.endpoints.length]?.ref ?? 0;
    sessions.bind(d.entryHigh, d.entryLow, d.entryScope, ABSENT, ref, NOW, d.entryLife, false, 0);
  }
  return { sessions, placeOf: (ref) => places.get(ref) };
}

const pods = (count: number) => Array.from({ length: count }, (_, i) => `pod-${i}`);
const live = affinity([COOKIE]);
const tokens = Array.from({ length: 1000 }, (_, i) => sessionOn(live, `pod-${i % 3}`, { ...env(), random: () => i }));
const withToken = (token: string) =>
  facts({ cookie: `theme=dark; _ga=GA1.2.1234567890.1234567890; ${token}; lang=en` });
const inTable = affinity([{ name: 't', header: { name: 'x-id', mode: 'Table' } }]);
const hashBy = (settings: HashSettings) =>
  affinity([{ name: 'h', header: { name: 'x-id', mode: 'Hash', hash: settings } }]);
const hash = hashBy({});
const keys = Array.from({ length: 1000 }, (_, i) => facts({ head: { 'x-id': `user-${i}` } }));
if (ask(live, pool(pods(3)), withToken(tokens[0] ?? '')).verdict !== 'kept -') throw new Error('the token is not kept');

run('kept, same cookie on the connection', '300 ns', [withToken(tokens[0] ?? '')], pool(pods(3)), live);
run('kept, 1000 cookies through the LRU', '1000 ns', tokens.map(withToken), pool(pods(3)), live);
const wraps = affinity([{ name: 'w', header: { name: 'x-id', mode: 'Wrap' } }]);
const wrapped = tokens.map((token) => facts({ head: { 'x-id': `${token.slice(token.indexOf('=') + 1)}.id-1` } }));
if (ask(wraps, pool(pods(3)), wrapped[0] ?? facts()).verdict !== 'kept -') throw new Error('the header is not kept');
run('kept, 1000 wrapped headers', '1000 ns', wrapped, pool(pods(3)), wraps);
const hundred = pool(pods(100));
const tenThousand = pool(pods(10_000));
run('kept by the table, 1000 keys', '1000 ns', keys, hundred, inTable, undefined, tableOf(hundred));
run('hash over 10 endpoints', '', keys, pool(pods(10)), hash);
run('hash over 100 endpoints', '3000 ns', keys, pool(pods(100)), hash);
run('hash over 1000 endpoints', '', keys, pool(pods(1000)), hash);
run('hash over 10,000 endpoints', '20000 ns', keys, tenThousand, hash);
for (const algorithm of ['Maglev', 'Ring'] as const) {
  run(`hash by ${algorithm} over 100 endpoints`, '3000 ns', keys, pool(pods(100)), hashBy({ algorithm }));
  run(`hash by ${algorithm} over 1000 endpoints`, '', keys, pool(pods(1000)), hashBy({ algorithm }));
}
for (const algorithm of ['Rendezvous', 'Maglev', 'Ring'] as const) {
  const bounded = hashBy({ algorithm, maxLoadFactor: 1.25 });
  run(`bounded, by ${algorithm} over 100`, '3000 ns', keys, pool(pods(100)), bounded);
  // Every tenth endpoint is full, and each key of it looks for another.
  const full = (slot: number) => (slot % 10 === 0 ? 100 : 9);
  run(`a tenth full, by ${algorithm} over 100`, '', keys, pool(pods(100)), bounded, full);
}
run('new session over 3 endpoints', '', [facts()], pool(pods(3)), live);
run('new session over 100 endpoints', '', [facts()], pool(pods(100)), live);
run('new session over 10,000 endpoints', '2000 ns', [facts()], tenThousand, live);
run('no affinity over 100 endpoints', '', [facts()], pool(pods(100)));
run('moved, over 100 endpoints', '', [facts({ cookie: sessionOn(live, 'gone') })], pool(pods(100)), live);
