/** The endpoint of a client without a session: by the policy's algorithm, in the best tier that has one. */
import type { Candidates, LivePool, PoolPart } from '../model/live.ts';
import type { CompiledPolicy } from '../model/policy.ts';
import { balance, someWillDo } from './balance/balance.ts';
import type { BalanceEnv } from './balance/balancer.ts';
import { scale } from './balance/compare.ts';
import { HEALTHY_READY, LAST_TIER, tierOf } from './select.ts';

/** Above this many endpoints in a tier, looking at all of them costs more than an exact answer is worth: 180 µs of 10,000, not 2. */
const EXACT_LIMIT = 128;
/** As many endpoints, each drawn at random, stand for all. */
const SAMPLES = 16;
/** Draws for them: where about a third of the endpoints are fit, that is enough. */
const DRAWS = 64;

/** Reused by every call: candidates are consumed before the next decision. */
let scratch = new Int32Array(256);

/** What chooses the endpoints of clients without a session: a part of a policy. */
export type NewSessions = Pick<CompiledPolicy, 'algorithm' | 'slowStart'>;

/**
 * An endpoint for a client without a session; -1 = there is none. `cap`: only a Ready one with fewer sessions; 0 = any.
 * `among`: only these, of a pool that is not joined from others.
 */
export function pickNew(
  how: NewSessions,
  pool: LivePool,
  tried: readonly number[],
  env: BalanceEnv,
  cap = 0,
  among: Candidates = pool,
): number {
  if (pool.endpoints.length > scratch.length) scratch = new Int32Array(pool.endpoints.length * 2);
  for (let tier = HEALTHY_READY; tier <= LAST_TIER; tier++) {
    if (cap > 0 && tier % 2 === 1) continue;
    const index =
      pool.parts === undefined
        ? pickInTier(how, pool, among, tier, tried, env, cap)
        : pickInPart(how, pool.parts, tier, tried, env, cap);
    if (index >= 0) return index;
  }
  return -1;
}

function pickInTier(
  { algorithm, slowStart }: NewSessions,
  pool: LivePool,
  among: Candidates,
  tier: number,
  tried: readonly number[],
  env: BalanceEnv,
  cap: number,
): number {
  const from = tier % 2 === 0 ? among.ready : among.draining;
  const slow = tier % 2 === 0 ? slowStart : 0;
  const many = from.length > EXACT_LIMIT && someWillDo(algorithm, pool, slow, env.now);
  const drawn = many ? drawFit(pool, from, tier, tried, env, cap) : 0;
  const count = drawn === SAMPLES ? drawn : allFit(pool, from, tier, tried, env, cap);
  return count === 0 ? -1 : balance(algorithm, pool, scratch, count, env, slow);
}

/** Puts up to SAMPLES different endpoints into `scratch`; returns how many. */
function drawFit(
  pool: LivePool,
  from: Int32Array,
  tier: number,
  tried: readonly number[],
  env: BalanceEnv,
  cap: number,
): number {
  let count = 0;
  for (let draw = 0; draw < DRAWS && count < SAMPLES; draw++) {
    const index = from[scale(env.random(), from.length)] ?? 0;
    if (isFit(pool, index, tier, tried, env, cap) && !isDrawn(index, count)) scratch[count++] = index;
  }
  return count;
}

function isDrawn(index: number, count: number): boolean {
  for (let k = 0; k < count; k++) if (scratch[k] === index) return true;
  return false;
}

/** Puts all endpoints that are fit into `scratch`; returns how many. */
function allFit(
  pool: LivePool,
  from: Int32Array,
  tier: number,
  tried: readonly number[],
  env: BalanceEnv,
  cap: number,
): number {
  let count = 0;
  for (let k = 0; k < from.length; k++) {
    const index = from[k] ?? 0;
    if (isFit(pool, index, tier, tried, env, cap)) scratch[count++] = index;
  }
  return count;
}

function isFit(
  pool: LivePool,
  index: number,
  tier: number,
  tried: readonly number[],
  { meters }: BalanceEnv,
  cap: number,
): boolean {
  if (cap > 0 && meters.sessions(pool.endpoints[index]?.slot ?? 0) >= cap) return false;
  return tierOf(pool, index, tried, meters) === tier;
}

/** In a part that is drawn by weight; the others take the share of one that has nobody in the tier. */
function pickInPart(
  how: NewSessions,
  parts: readonly PoolPart[],
  tier: number,
  tried: readonly number[],
  env: BalanceEnv,
  cap: number,
): number {
  let total = 0;
  let fit = 0;
  for (let k = 0; k < parts.length; k++) {
    const part = parts[k];
    if (part === undefined || part.weight === 0 || !hasFit(part.pool, tier, tried, env, cap)) continue;
    total += part.weight;
    fit |= 1 << k;
  }
  let drawn = total === 0 ? 0 : scale(env.random(), total);
  for (let k = 0; k < parts.length; k++) {
    const part = parts[k];
    if (part === undefined || (fit & (1 << k)) === 0) continue;
    if (drawn < part.weight) return part.first + pickInTier(how, part.pool, part.pool, tier, tried, env, cap);
    drawn -= part.weight;
  }
  return -1;
}

function hasFit(pool: LivePool, tier: number, tried: readonly number[], env: BalanceEnv, cap: number): boolean {
  const from = tier % 2 === 0 ? pool.ready : pool.draining;
  for (let k = 0; k < from.length; k++) if (isFit(pool, from[k] ?? 0, tier, tried, env, cap)) return true;
  return false;
}
