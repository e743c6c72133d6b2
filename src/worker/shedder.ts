/**
 * Evens out what `SO_REUSEPORT` spreads by chance: a worker with far more requests under way than the others asks its
 * busiest connection to come again, and the kernel deals it anew.
 */
import type { Counters } from '../lanes/counters.ts';
import type { OpenConnection } from '../lanes/open-connection.ts';

/** Above so many times the mean (of two workers: three times the other) and so many more, it is worth a reconnect. */
const FACTOR = 1.5;
const MARGIN = 32;

/** To be called once a second; at most one connection goes at a time. */
export function shedIfOverloaded(
  counters: Counters,
  workers: number,
  connections: Iterable<Pick<OpenConnection, 'requests' | 'shed'>>,
): void {
  const { own, all } = counters.exchanges();
  const mean = all / workers;
  if (workers < 2 || own <= FACTOR * mean || own <= mean + MARGIN) return;
  const busiestFirst = [...connections].sort((a, b) => b.requests - a.requests);
  if (busiestFirst.some((connection) => connection.shed())) counters.limit('worker_shed');
}
