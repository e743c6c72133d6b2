/** Micro benchmark of the session table at its default size: nanoseconds a look-up and a touch, and the sweep. Run: node bench/session-table.ts */
import { AUTHORITATIVE, OBSERVED } from '../src/model/live.ts';
import { Block, createChunk } from '../src/shared/cells.ts';
import { createSessionMemory, MAIN_THREAD } from '../src/shared/session-entries.ts';
import { SessionSweep } from '../src/shared/session-sweep.ts';
import { SessionTable } from '../src/shared/session-table.ts';

const ENTRIES = 1_048_576;
const SESSIONS = 200_000;
const ROUNDS = 2_000_000;
const MINUTE = 60_000;

const start = Date.now();
const counts = new Block('session', 1);
counts.attach(createChunk('session', 0, 1));
const memory = createSessionMemory(ENTRIES, start);
const table = new SessionTable(memory, MAIN_THREAD, counts);
const sweep = new SessionSweep(memory, counts);
const view = { ref: 0, lastSeen: 0, firstSeen: 0 };
const high = (i: number) => Math.imul(i + 1, 0x9e3779b1) | 0;
const low = (i: number) => Math.imul(i + 7, 0x85ebca77) | 0;

function measure(name: string, goal: string, rounds: number, one: (i: number) => unknown): void {
  const begin = process.hrtime.bigint();
  for (let i = 0; i < rounds; i++) one(i);
  const nanoseconds = Number(process.hrtime.bigint() - begin) / rounds;
  process.stdout.write(`${name.padEnd(34)}  ${nanoseconds.toFixed(0).padStart(8)} ns  ${goal}\n`);
}

/** Spreads over all sessions, so that the processor's caches do not flatter. */
const some = (i: number) => (i * 7919) % SESSIONS;
const touch = (i: number, now: number) =>
  table.touch(OBSERVED, high(i), low(i), 1 + (i % 50), i % 900, now, MINUTE, true);

measure(`insert, ${SESSIONS} sessions`, '', SESSIONS, (i) => touch(i, start));
measure('look-up, found', 'goal 1000 ns', ROUNDS, (i) =>
  table.find(OBSERVED, high(some(i)), low(some(i)), start, view),
);
measure('look-up, not found', 'goal 1000 ns', ROUNDS, (i) =>
  table.find(OBSERVED, high(-i), low(-i - SESSIONS), start, view),
);
measure('touch, nothing new', '', ROUNDS, (i) => touch(some(i), start));
measure('touch, time renewed', '', ROUNDS, (i) => touch(some(i), start + 100 * (1 + Math.floor(i / SESSIONS))));
// A key of mode Table that is where it was: what its use costs, and what a session store adds to that.
const bind = (i: number) => table.bind(high(i), low(i), 1 + (i % 50), i % 900, i % 900, start, MINUTE, true, 0);
for (let i = 0; i < SESSIONS; i++) {
  bind(i);
  table.noteCheck(high(i), low(i), start);
}
const use = (i: number) => {
  table.find(AUTHORITATIVE, high(i), low(i), start, view);
  bind(i);
};
const useShared = (i: number) => {
  table.find(AUTHORITATIVE, high(i), low(i), start, view);
  table.takeCheck(high(i), low(i), start, 5000);
  bind(i);
};
measure('key of mode Table, used again', '', ROUNDS, (i) => use(some(i)));
measure('  that replicas share', '', ROUNDS, (i) => useShared(some(i)));
measure('sweep of the whole table', '', 10, () => {
  sweep.sweep(start, new Set());
});
