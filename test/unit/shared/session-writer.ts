/** A worker of the session table's stress test: writes, moves and reads the same keys as the others until it is told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { ABSENT, AUTHORITATIVE, OBSERVED } from '../../../src/model/live.ts';
import { Block } from '../../../src/shared/cells.ts';
import type { ChunkData } from '../../../src/shared/cells.ts';
import { DROPPED, INSERTED, SessionTable } from '../../../src/shared/session-table.ts';
import type { SessionMemory } from '../../../src/shared/session-entries.ts';

const { memory, chunk, owner, keys } = workerData as {
  memory: SessionMemory;
  chunk: ChunkData;
  owner: number;
  keys: number;
};
const ROUND = 5000;
const counts = new Block('session', 2);
counts.attach(chunk);
const table = new SessionTable(memory, owner, counts);
const view = { ref: 0, lastSeen: 0, firstSeen: 0 };
/** ms for which all workers want the same new key. */
const RACE_MS = 10;
/** There is room for so many keys. */
const MOST_RACES = 1000;
let contests = 0;
let raced = 0;
let races: [key: number, winner: number, won: boolean][] = [];
let written = 0;
let stopped = false;

/** A key has two endpoints to move between: `key` and `key + keys`; any other one that is found was torn. */
function round(): void {
  for (let i = 0; i < ROUND; i++) {
    race();
    const key = Math.floor(Math.random() * keys);
    const [high, low] = [key * 7 + 1, key * 7 + 2];
    const ref = Math.random() < 0.5 ? key : key + keys;
    table.touch(OBSERVED, high, low, 1, ref, Date.now(), 60_000, Math.random() < 0.5);
    if (table.find(OBSERVED, high, low, Date.now(), view) && view.ref % keys !== key)
      throw new Error(`torn entry of key ${key}`);
  }
  written += ROUND;
  parentPort?.postMessage({ written, races });
  races = [];
  if (stopped) parentPort?.close();
  else setImmediate(round);
}

/** All workers bind one new key at about the same time, each to an endpoint of its own. */
function race(): void {
  const key = Math.floor(Date.now() / RACE_MS) | 0;
  if (key === raced || contests === MOST_RACES) return;
  raced = key;
  contests++;
  const own = 1000 + owner;
  const done = table.bind(key, ~key, 2, ABSENT, own, Date.now(), 5000, true, 0);
  if (done === DROPPED) return;
  if (done === INSERTED) races.push([key, own, true]);
  else if (table.find(AUTHORITATIVE, key, ~key, Date.now(), view)) races.push([key, view.ref, false]);
}

parentPort?.on('message', () => {
  stopped = true;
});
round();
