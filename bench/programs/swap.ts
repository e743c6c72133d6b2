/** Changes of a large cluster, one after the other, each applied by a worker; gives how long the worker was busy with one. */
import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { Resource } from '../../src/model/resources.ts';
import { ControlPlane } from '../support/control-plane.ts';
import { INGRESSES, makeIngress, makePolicy, makeService, makeSlice, POLICIES } from '../support/large-cluster.ts';
import type { SwapStart } from './swap-worker.ts';

export interface SwapOptions {
  /** The pods of a Service are replaced; or an Ingress comes. */
  readonly of: 'pods' | 'ingress';
  readonly changes: number;
}

/** Milliseconds. */
export interface Pauses {
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

const { of, changes } = JSON.parse(process.argv[2] ?? '') as SwapOptions;
const { port1: here, port2: there } = new MessageChannel();
const sent = new Int32Array(new SharedArrayBuffer(4));
/** Before, the worker is not there, and is given everything. */
let started = false;
const control = new ControlPlane((delta) => {
  if (!started) return;
  here.postMessage(delta);
  Atomics.add(sent, 0, 1);
  Atomics.notify(sent, 0);
});

async function startWorker(): Promise<Worker> {
  const workerData: SwapStart = { start: control.workerStart(), first: control.everything(), tables: there, sent };
  const worker = new Worker(new URL('swap-worker.ts', import.meta.url), { workerData, transferList: [there] });
  await once(worker, 'message');
  started = true;
  return worker;
}

async function pausesOf(worker: Worker, change: (i: number) => Resource): Promise<Pauses> {
  const pauses: number[] = [];
  for (let i = 1; i <= changes; i++) {
    control.put(change(i));
    const [milliseconds] = (await once(worker, 'message')) as [number];
    pauses.push(milliseconds);
  }
  const sorted = pauses.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? NaN;
  return { p50: at(0.5), p99: at(0.99), most: at(1) };
}

for (let i = 0; i < INGRESSES; i++) {
  for (const object of [makeIngress(i), makeService(i), makeSlice(i)]) control.put(object);
}
for (let i = 0; i < POLICIES; i++) control.put(makePolicy(i));
control.synced();
const change =
  of === 'pods' ? (i: number) => makeSlice((i * 7) % INGRESSES, i) : (i: number) => makeIngress(INGRESSES + i);
console.log(JSON.stringify(await pausesOf(await startWorker(), change)));
process.exit();
