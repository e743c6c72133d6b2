/** A worker of the session table's stress test: writes, moves and reads the same keys as the others until it is told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { OBSERVED } from '../../../src/model/live.ts';
import { Block } from '../../../src/shared/cells.ts';
import type { ChunkData } from '../../../src/shared/cells.ts';
import { SessionTable } from '../../../src/shared/session-table.ts';
import type { SessionMemory } from '../../../src/shared/session-table.ts';

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
const view = { ref: 0, lastSeen: 0 };
let written = 0;
let stopped = false;

/** A key has two endpoints to move between: `key` and `key + keys`; any other one that is found was torn. */
function round(): void {
  for (let i = 0; i < ROUND; i++) {
    const key = Math.floor(Math.random() * keys);
    const [high, low] = [key * 7 + 1, key * 7 + 2];
    const ref = Math.random() < 0.5 ? key : key + keys;
    table.touch(OBSERVED, high, low, 1, ref, Date.now(), 60_000, Math.random() < 0.5);
    if (table.find(OBSERVED, high, low, Date.now(), view) && view.ref % keys !== key)
      throw new Error(`torn entry of key ${key}`);
  }
  written += ROUND;
  parentPort?.postMessage(written);
  if (stopped) parentPort?.close();
  else setImmediate(round);
}

parentPort?.on('message', () => {
  stopped = true;
});
round();
