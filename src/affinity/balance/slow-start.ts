/**
 * Slow start: whatever the algorithm, an endpoint that has just become Ready gets a share of the new sessions that grows
 * linearly; the algorithm divides the rest among the others. As with HAProxy's `slowstart`, what matters is how long an
 * endpoint has been up compared with the longest: when all are equally new, none is slow.
 */
import type { LivePool } from '../../model/live.ts';
import type { BalanceEnv } from './balancer.ts';

/** When the last of a pool's endpoints became what it is: pools are replaced, never changed. */
const latest = new WeakMap<LivePool, number>();

/** Whether any endpoint may be slow. `duration`: ms, more than 0. */
export function hasSlow(pool: LivePool, duration: number, now: number): boolean {
  let since = latest.get(pool);
  if (since === undefined) {
    since = pool.endpoints.reduce((last, endpoint) => Math.max(last, endpoint.since), 0);
    latest.set(pool, since);
  }
  return now - since < duration;
}

/** How far an endpoint has come, 0..1. `duration`: ms, more than 0. */
function grown(pool: LivePool, index: number, duration: number, now: number): number {
  const age = now - (pool.endpoints[index]?.since ?? 0);
  return age >= duration ? 1 : Math.max(0, age) / duration;
}

/**
 * Leaves only the endpoints that the algorithm is to choose among at the front of `candidates`, and returns how many: all
 * of those that have come furthest, or a single slow one whose turn it is. count >= 1.
 */
export function slowStart(
  pool: LivePool,
  candidates: Int32Array,
  count: number,
  duration: number,
  env: BalanceEnv,
): number {
  const { now } = env;
  let furthest = 0;
  let total = 0;
  for (let k = 0; k < count; k++) {
    const share = grown(pool, candidates[k] ?? 0, duration, now);
    total += share;
    if (share > furthest) furthest = share;
  }
  if (total >= furthest * count) return count;
  let drawn = (env.random() / 2 ** 32) * total;
  let kept = 0;
  for (let k = 0; k < count; k++) {
    const index = candidates[k] ?? 0;
    const share = grown(pool, index, duration, now);
    if (share >= furthest) candidates[kept++] = index;
    else if (drawn < share) {
      candidates[0] = index;
      return 1;
    } else drawn -= share;
  }
  return kept;
}
