/**
 * Keeps the memory of each thread near what it holds. V8 by itself lets the old generation double before it looks what of
 * it is still used, and what a large cluster arrives in (lists, messages) would stay in it for good.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Percent that a thread's old generation grows before it is collected again. */
const GROWTH = 20;

/** For all threads; to be called once, before there are others. */
export function limitGrowth(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH}`);
}

/** Collects this thread's garbage now and gives the pages back: some 50 ms with a large table, so only where nobody waits. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: object) => void;
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
