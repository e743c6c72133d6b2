/** The worker of swap.ts: applies tables as one that serves does, and says how long each took, reading its message included. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import type { TableDelta, WorkerStart } from '../../src/shared/messages.ts';
import { WorkerContext } from '../../src/worker/context.ts';

export interface SwapStart {
  readonly start: WorkerStart;
  readonly first: TableDelta;
  /** Tables come here. */
  readonly tables: MessagePort;
  /** How many have been sent. */
  readonly sent: Int32Array;
}

const { start, first, tables, sent } = workerData as SwapStart;
const context = new WorkerContext(start, first, () => undefined);
parentPort?.postMessage(0);
// An event's message has been read before its listener runs: so this asks for it.
for (let seen = 0; ; seen++) {
  Atomics.wait(sent, 0, seen);
  const begin = performance.now();
  const received = receiveMessageOnPort(tables) as { readonly message: TableDelta };
  context.apply(received.message);
  parentPort?.postMessage(performance.now() - begin);
}
