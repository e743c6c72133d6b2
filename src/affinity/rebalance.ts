/** Sessions that nobody uses at the moment leave endpoints that have clearly more than their share: which, and where to. */
import { OBSERVED } from '../model/live.ts';
import type { LivePool, Meters, SessionView } from '../model/live.ts';
import type { CompiledPolicy } from '../model/policy.ts';
import type { RequestFacts } from '../model/facts.ts';
import type { LiveRule } from './build.ts';
import type { Decision } from './decision.ts';
import { indexOfRef } from './entry.ts';
import type { DecideEnv } from './env.ts';
import { partAt } from './parts.ts';
import { firstOf } from './rendezvous.ts';
import { HEALTHY_READY, tierOf } from './select.ts';
import type { VerifiedToken } from './token.ts';
import { preferred } from './versions.ts';

/** An endpoint has clearly more than its share above this many times the mean, and at least one session above it. */
const TOO_MANY = 1.2;
const MINUTE = 60_000;
const STAYS = -1;

const view: SessionView = { ref: 0, lastSeen: 0, firstSeen: 0 };

/**
 * The endpoint that the session of a token moves to, `index` being the one that the token names; -1 = none. A token tells
 * of the last use only once in an eighth of `idleFor`, which is allowed for as with `idleTimeout`.
 */
export function rebalanceToken(
  d: Decision,
  policy: CompiledPolicy,
  rule: LiveRule,
  token: VerifiedToken,
  pool: LivePool,
  index: number,
  facts: RequestFacts,
  env: DecideEnv,
): number {
  const { rebalance } = policy;
  if (rebalance === undefined || policy.stickTo !== 'Pod' || !isReissued(d, rule, token, facts)) return STAYS;
  const { idleFor } = rebalance;
  if (env.now - token.lastSeen <= idleFor + idleFor / 8) return STAYS;
  if (env.sessions.find(OBSERVED, d.entryHigh, d.entryLow, env.now, view)) {
    // Used since by a token that this one's client has been given in its place, or will be: the session has moved already.
    const at = view.lastSeen - token.lastSeen > idleFor ? indexOfRef(view.ref, policy, pool, env) : STAYS;
    if (at >= 0 && at !== index && tierOf(pool, at, d.tried, env.meters) === HEALTHY_READY) return at;
    if (env.now - view.lastSeen <= idleFor) return STAYS;
  }
  return lighter(d, policy, pool, index, env);
}

/** As `rebalanceToken`, of a key that the session table alone knows, last used at `lastSeen` (wall clock, ms). */
export function rebalanceKey(
  d: Decision,
  policy: CompiledPolicy,
  rule: LiveRule,
  lastSeen: number,
  pool: LivePool,
  index: number,
  env: DecideEnv,
): number {
  const { rebalance } = policy;
  if (rebalance === undefined || policy.stickTo !== 'Pod' || rule.force) return STAYS;
  if (env.now - lastSeen <= rebalance.idleFor) return STAYS;
  return lighter(d, policy, pool, index, env);
}

/** The answer to this request may carry another token, and so the client learns of the move. */
function isReissued(d: Decision, rule: LiveRule, token: VerifiedToken, { method }: RequestFacts): boolean {
  if (rule.force || d.issue !== rule.index || d.token !== token || token.lastSeen === 0) return false;
  const key = rule.token?.key;
  if (key === undefined || method === 'OPTIONS') return false;
  // What the backend wrote itself is left as it is.
  if (key.format === 'Signed' && token.plainId !== '') return false;
  return key.emitMethods.length === 0 || key.emitMethods.includes(method);
}

/** Within the session's own backend, where there are several: how many each has is for their weights to say. */
function lighter(d: Decision, policy: CompiledPolicy, pool: LivePool, index: number, env: DecideEnv): number {
  const home = partAt(pool, index);
  if (home === undefined) return lighterIn(d, policy, pool, index, env);
  const target = lighterIn(d, policy, home.pool, index - home.first, env);
  return target < 0 ? STAYS : home.first + target;
}

/** Takes the policy's next turn to move a session, if there is somewhere to move this one to. */
function lighterIn(d: Decision, policy: CompiledPolicy, pool: LivePool, index: number, env: DecideEnv): number {
  if (tierOf(pool, index, d.tried, env.meters) !== HEALTHY_READY) return STAYS;
  const mean = meanSessions(pool, env.meters);
  if (!hasTooMany(sessionsAt(pool, index, env.meters), mean)) return STAYS;
  const prefers = preferred(policy, pool, d.bound, index, env.keys);
  const fits = (other: number) =>
    // Below the mean, so that it has not too many with one more: no session goes to and fro.
    sessionsAt(pool, other, env.meters) < mean &&
    tierOf(pool, other, d.tried, env.meters) === HEALTHY_READY &&
    (prefers === undefined || prefers(other));
  const { seeds } = pool.identity[policy.identity];
  const target = firstOf(seeds, pool.ready, d.sessionHigh, d.sessionLow, fits);
  const every = (MINUTE * env.replicas) / (policy.rebalance?.maxMovesPerMinute ?? 1);
  return target >= 0 && env.takeMove(policy, every) ? target : STAYS;
}

export function hasTooMany(sessions: number, mean: number): boolean {
  return sessions > TOO_MANY * mean && sessions >= mean + 1;
}

function meanSessions(pool: LivePool, meters: Meters): number {
  let sum = 0;
  for (const index of pool.ready) sum += sessionsAt(pool, index, meters);
  return sum / pool.ready.length;
}

function sessionsAt(pool: LivePool, index: number, meters: Meters): number {
  return meters.sessions(pool.endpoints[index]?.slot ?? 0);
}
