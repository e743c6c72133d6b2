/** What becomes of a session whose token or key leads to an endpoint: kept, moved or rejected. */
import { DRAINING, NOT_READY, OBSERVED } from '../model/live.ts';
import type { RequestFacts } from '../model/facts.ts';
import type { LivePool } from '../model/live.ts';
import type { CompiledPolicy } from '../model/policy.ts';
import type { LiveAffinity, LiveRule } from './build.ts';
import { movedTo } from './by-hand.ts';
import { setEntry } from './entry.ts';
import type { DecideEnv } from './env.ts';
import { OUTCOME, REASON } from './decision.ts';
import type { Decision } from './decision.ts';
import { nameOf, returnsUntil } from './gone.ts';
import { firstPart, partAt, partOf } from './parts.ts';
import { endpointOf, sessionOf } from './plain.ts';
import { rebalanceToken } from './rebalance.ts';
import { successor, tierOf } from './select.ts';
import { pickWithin } from './stick-to.ts';
import type { VerifiedToken } from './token.ts';
import { preferred } from './versions.ts';

const STAYS = -1;
const BAD_GATEWAY = 502;
const UNAVAILABLE = 503;

export function followToken(
  d: Decision,
  live: LiveAffinity,
  rule: LiveRule,
  token: VerifiedToken,
  pool: LivePool,
  facts: RequestFacts,
  env: DecideEnv,
): void {
  const { policy } = live;
  d.bound = token;
  adoptSession(d, token, facts);
  const scope = token.plainId !== '' || token.scope === live.affinity.scope ? live.entries : live.ownEntries;
  setEntry(d, OBSERVED, scope, d.sessionHigh, d.sessionLow, live.entryLife);
  const index = endpointOf(token, pool, policy.identity);
  const moved = movedTo(d, policy, token, pool, env);
  if (moved >= 0 && moved !== index) return d.choose(moved, OUTCOME.moved, REASON.override);
  const lighter = rebalanceToken(d, policy, rule, token, pool, index, facts, env);
  if (lighter >= 0) d.choose(lighter, OUTCOME.moved, REASON.rebalance);
  else followBinding(d, live, rule, nameOf(token), pool, index, env);
}

/**
 * What becomes of a session that is bound to the endpoint `index` of the pool; negative = it has left. Its id is in `d`.
 * `name`: as `LivePool.left` calls the endpoint.
 */
export function followBinding(
  d: Decision,
  live: LiveAffinity,
  rule: LiveRule,
  name: string | undefined,
  pool: LivePool,
  index: number,
  env: DecideEnv,
): void {
  const { policy } = live;
  if (policy.stickTo !== 'Pod' && !rule.force) {
    const other = pickWithin(d, policy, pool, index, env);
    if (other >= 0) return stay(d, other);
  }
  if (policy.lost.goneGrace > 0 && name !== undefined) {
    const until = returnsUntil(live, rule, name, pool, index, env);
    if (env.now < until) return d.wait(until, name);
  }
  const why = rule.force ? forcedReason(d, pool, index) : leaveReason(d, policy, pool, index, env);
  if (why === STAYS) return keep(d, index);
  const asked = why === REASON.drain || why === REASON.drain_timeout || why === REASON.override;
  if (rule.force || (!asked && policy.lost.action === 'Reject')) {
    return d.reject(why, rule.force && why === REASON.connect_failed ? BAD_GATEWAY : policy.lost.statusCode);
  }
  if (why === REASON.connect_failed && !policy.retry.changeOnFailure) return d.reject(why, BAD_GATEWAY);

  const next = replacement(d, policy, pool, index, env);
  if (staysAnyway(d, pool, index, next, why, env)) return keep(d, index);
  if (next < 0) return rejectWithoutEndpoint(d);
  d.choose(next, OUTCOME.moved, why);
}

/** The token's session is the decision's. */
export function adoptSession(d: Decision, token: VerifiedToken, facts: RequestFacts): void {
  const words = sessionOf(token, facts.clientAddress);
  d.sessionHigh = words[0];
  d.sessionLow = words[1];
}

/** No endpoint is left for this request: none at all, or none that has not been tried. */
export function rejectWithoutEndpoint(d: Decision): void {
  if (d.tried.length > 0) d.reject(REASON.connect_failed, BAD_GATEWAY);
  else d.reject(REASON.no_endpoints, UNAVAILABLE);
}

function keep(d: Decision, index: number): void {
  d.choose(index, OUTCOME.kept, REASON['-']);
  d.retryOwn = true;
}

/** The session is where it was, and the request is balanced among what it stays at. */
export function stay(d: Decision, index: number, outcome: number = OUTCOME.kept): void {
  d.choose(index, outcome, REASON['-']);
  d.stays = true;
}

/** Where a session goes that leaves its endpoint: within its backend while that has anybody, else where the weights lead it. */
function replacement(d: Decision, policy: CompiledPolicy, pool: LivePool, index: number, env: DecideEnv): number {
  const { parts } = pool;
  if (parts === undefined) return replacementIn(d, policy, pool, index, env);
  const home = pool.only ?? partAt(pool, index) ?? (d.bound === undefined ? undefined : partOf(pool, d.bound));
  let passed = 0;
  if (home !== undefined) {
    const left = partAt(pool, index) === home ? index - home.first : -1;
    const next = replacementIn(d, policy, home.pool, left, env);
    if (next >= 0) return home.first + next;
    passed = 1 << parts.indexOf(home);
  }
  for (;;) {
    const k = firstPart(parts, d.sessionHigh, d.sessionLow, passed);
    const part = parts[k];
    if (part === undefined) return -1;
    const next = replacementIn(d, policy, part.pool, -1, env);
    if (next >= 0) return part.first + next;
    passed |= 1 << k;
  }
}

function replacementIn(d: Decision, policy: CompiledPolicy, pool: LivePool, index: number, env: DecideEnv): number {
  const prefers = preferred(policy, pool, d.bound, index, env.keys);
  const view = pool.identity[policy.identity];
  return successor(view, pool, d.sessionHigh, d.sessionLow, d.tried, env.meters, prefers);
}

/** Why a session has to leave its endpoint, as a REASONS index. */
function leaveReason(d: Decision, policy: CompiledPolicy, pool: LivePool, index: number, env: DecideEnv): number {
  const endpoint = pool.endpoints[index];
  if (endpoint === undefined) return REASON.endpoint_gone;
  if (pool.only !== undefined && partAt(pool, index) !== pool.only) return REASON.override;
  const { lost, drain, retry } = policy;
  if (endpoint.state === NOT_READY && env.now - endpoint.since > lost.notReadyGrace) return REASON.not_ready;
  if (endpoint.state === DRAINING) {
    if (drain.action === 'Move') return REASON.drain;
    if (drain.maxDuration > 0 && env.now - endpoint.since >= drain.maxDuration) return REASON.drain_timeout;
  }
  if (d.tried.length > 0 && d.tried.includes(endpoint.slot)) return REASON.connect_failed;
  if (!retry.changeOnFailure) return STAYS;
  const failing = env.meters.failingSince(endpoint.slot);
  return failing !== 0 && env.now - failing > lost.notReadyGrace ? REASON.connect_failed : STAYS;
}

/** `force`: whatever the endpoint's state, and never another one. */
function forcedReason(d: Decision, pool: LivePool, index: number): number {
  const endpoint = pool.endpoints[index];
  if (endpoint === undefined) return REASON.endpoint_gone;
  return d.tried.includes(endpoint.slot) ? REASON.connect_failed : STAYS;
}

/** A session does not leave a draining endpoint, or one that refuses connections, for one that is no better. */
function staysAnyway(d: Decision, pool: LivePool, index: number, next: number, why: number, env: DecideEnv): boolean {
  // Where nobody of the other side can take it, the session need not be refused.
  if (why === REASON.override) return next < 0;
  if (next < 0 || why === REASON.endpoint_gone || why === REASON.not_ready) return false;
  return tierOf(pool, next, d.tried, env.meters) >= tierOf(pool, index, d.tried, env.meters);
}
