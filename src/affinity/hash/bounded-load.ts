/**
 * Bounded load: a key's endpoint that has more than its share of the requests in flight sends the surplus on.
 * Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads", SODA 2018; HAProxy's hash-balance-factor.
 */
import type { LivePool } from '../../model/live.ts';
import type { CompiledPolicy, HashUse } from '../../model/policy.ts';
import { partAt } from '../parts.ts';
import { HEALTHY_READY, tierOf } from '../select.ts';
import type { SelectEnv } from '../select.ts';
import { poolOrder } from './pool-order.ts';

/** Below this an endpoint is never full: a handful of requests is always uneven, and moving them would gain nothing. */
const LEAST_BOUND = 8;

/**
 * `own`, or the next endpoint in the key's order that is Ready, works and is below the bound. The bound times the Ready
 * endpoints is more than they have in flight together, so while they work one of them is below it.
 */
export function withinBound(
  own: number,
  policy: CompiledPolicy,
  use: HashUse,
  pool: LivePool,
  high: number,
  low: number,
  tried: readonly number[],
  env: SelectEnv,
): number {
  const part = partAt(pool, own);
  if (part !== undefined)
    return part.first + withinBound(own - part.first, policy, use, part.pool, high, low, tried, env);
  const { meters, now } = env;
  const load = (index: number) => meters.inFlight(pool.endpoints[index]?.slot ?? 0);
  const ownLoad = load(own);
  if (ownLoad < LEAST_BOUND) return own;
  let inFlight = 0;
  for (let k = 0; k < pool.ready.length; k++) inFlight += load(pool.ready[k] ?? 0);
  const bound = Math.max(LEAST_BOUND, Math.ceil((use.maxLoadFactor * (inFlight + 1)) / pool.ready.length));
  if (ownLoad < bound) return own;
  const order = poolOrder(use.algorithm, pool.identity[policy.identity], pool, policy.lost.notReadyGrace, now);
  const roomy = (index: number) => tierOf(pool, index, tried, meters) === HEALTHY_READY && load(index) < bound;
  const next = order.first(high, low, roomy);
  return next >= 0 ? next : own;
}
