/** Which endpoints a request may go to, best first, and the choice among them by a key's hash. */
import { NOT_READY, READY } from '../model/live.ts';
import type { IdentityView, LivePool, Meters } from '../model/live.ts';
import type { CompiledPolicy } from '../model/policy.ts';
import type { HashAlgorithm } from '../model/sticky-policy.ts';
import { poolOrder, takesKeys } from './hash/pool-order.ts';
import { firstPart } from './parts.ts';
import { firstOf } from './rendezvous.ts';

export interface SelectEnv {
  readonly meters: Meters;
  /** Wall clock, ms. */
  readonly now: number;
}

/** Tiers: a draining endpoint is better than a 503, one that refuses connections is the last resort. */
export const HEALTHY_READY = 0;
export const LAST_TIER = 3;
const UNUSABLE = 9;

export function tierOf(pool: LivePool, index: number, tried: readonly number[], meters: Meters): number {
  const endpoint = pool.endpoints[index];
  if (endpoint === undefined || endpoint.state === NOT_READY) return UNUSABLE;
  if (tried.length > 0 && tried.includes(endpoint.slot)) return UNUSABLE;
  const failing = meters.failingSince(endpoint.slot) === 0 ? 0 : 2;
  return endpoint.state === READY ? failing : failing + 1;
}

/** Where a session that lost its endpoint goes: the first in its own order, the same for every replica; -1 = nowhere. `prefers`: those come first. */
export function successor(
  view: IdentityView,
  pool: LivePool,
  high: number,
  low: number,
  tried: readonly number[],
  meters: Meters,
  prefers?: (index: number) => boolean,
): number {
  if (prefers !== undefined) {
    const fits = (index: number) => prefers(index) && tierOf(pool, index, tried, meters) === HEALTHY_READY;
    const found = firstOf(view.seeds, pool.ready, high, low, fits);
    if (found >= 0) return found;
  }
  const first = firstOf(view.seeds, pool.ready, high, low);
  if (first >= 0 && tierOf(pool, first, tried, meters) === HEALTHY_READY) return first;
  for (let tier = HEALTHY_READY; tier <= LAST_TIER; tier++) {
    const from = tier % 2 === 0 ? pool.ready : pool.draining;
    const found = firstOf(view.seeds, from, high, low, (index) => tierOf(pool, index, tried, meters) === tier);
    if (found >= 0) return found;
  }
  return -1;
}

/**
 * The endpoint of a hashed key: the first in the key's order that is Ready, or NotReady or refusing connections for no
 * longer than `notReadyGrace`, so that a short failure moves no key; -1 = there is none.
 */
export function pickHashed(
  policy: CompiledPolicy,
  algorithm: HashAlgorithm,
  pool: LivePool,
  high: number,
  low: number,
  tried: readonly number[],
  env: SelectEnv,
): number {
  const { parts } = pool;
  if (parts === undefined) return hashedIn(policy, algorithm, pool, high, low, tried, env);
  for (let passed = 0; ;) {
    const k = firstPart(parts, high, low, passed);
    const part = parts[k];
    if (part === undefined) return -1;
    const index = hashedIn(policy, algorithm, part.pool, high, low, tried, env);
    if (index >= 0) return part.first + index;
    passed |= 1 << k;
  }
}

function hashedIn(
  policy: CompiledPolicy,
  algorithm: HashAlgorithm,
  pool: LivePool,
  high: number,
  low: number,
  tried: readonly number[],
  env: SelectEnv,
): number {
  const view = pool.identity[policy.identity];
  const order = poolOrder(algorithm, view, pool, policy.lost.notReadyGrace, env.now);
  // Nearly always the first of all is fit; only then is the state of the others worth a look.
  const first = order.first(high, low);
  if (keepsKeys(policy, pool, first, tried, env)) return first;
  const next = order.first(high, low, (index) => keepsKeys(policy, pool, index, tried, env));
  return next >= 0 ? next : successor(view, pool, high, low, tried, env.meters);
}

/** Whether an endpoint's keys stay with it. */
function keepsKeys(
  policy: CompiledPolicy,
  pool: LivePool,
  index: number,
  tried: readonly number[],
  env: SelectEnv,
): boolean {
  const endpoint = pool.endpoints[index];
  const grace = policy.lost.notReadyGrace;
  if (endpoint === undefined || !takesKeys(endpoint, grace, env.now)) return false;
  if (!policy.retry.changeOnFailure) return true;
  if (tried.length > 0 && tried.includes(endpoint.slot)) return false;
  const failing = env.meters.failingSince(endpoint.slot);
  return failing === 0 || env.now - failing <= grace;
}

/** The endpoint of a key whatever the endpoints' states (`force`); -1 = the pool is empty. */
export function pickForced(
  policy: CompiledPolicy,
  algorithm: HashAlgorithm,
  pool: LivePool,
  high: number,
  low: number,
  env: SelectEnv,
): number {
  const part = pool.parts?.[firstPart(pool.parts, high, low, 0)];
  const of = part?.pool ?? pool;
  const index = poolOrder(algorithm, of.identity[policy.identity], of, Infinity, env.now).first(high, low);
  return index < 0 ? index : (part?.first ?? 0) + index;
}
