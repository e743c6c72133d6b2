/** How a request gets its endpoint: the chain of rules, as a pure function of policy, pool, facts, time and meters. */
import type { RequestFacts } from '../model/facts.ts';
import { DRAINING, OBSERVED, READY } from '../model/live.ts';
import type { LivePool } from '../model/live.ts';
import type { CompiledPolicy, KeyUse } from '../model/policy.ts';
import type { Algorithm } from '../model/sticky-policy.ts';
import { cookieValues } from '../rules/cookie/read.ts';
import type { LiveAffinity, LiveRule } from './build.ts';
import { OUTCOME, REASON } from './decision.ts';
import type { Decision } from './decision.ts';
import { drainKeeps, setEntry, UNSEEN, whereSeen } from './entry.ts';
import type { DecideEnv } from './env.ts';
import { adoptSession, followToken, rejectWithoutEndpoint } from './follow.ts';
import { withinBound } from './hash/bounded-load.ts';
import { sessionToken } from './read-tokens.ts';
import { hashText } from './rendezvous.ts';
import { pickForced, pickHashed, pickNew } from './select.ts';

export type { DecideEnv } from './env.ts';

/** The client left out what a rule with `onMissing: Reject` asks for. */
const KEY_REQUIRED = 400;
/** All endpoints have as many sessions as the policy allows. */
const FULL = 503;

/**
 * Decides one request into `d`. Called again for the same request after a connect failure, with the endpoint in `d.tried`
 * or after a wait, it gives the next answer; `d.begin()` comes first. Without an affinity: balanced, LeastRequests.
 */
export function decide(
  d: Decision,
  live: LiveAffinity | undefined,
  pool: LivePool,
  facts: RequestFacts,
  env: DecideEnv,
): void {
  d.clear();
  if (live === undefined) return balanceFreely(d, 'LeastRequests', pool, env);
  const chosen = runChain(d, live, pool, facts, env);
  if (d.endpoint >= 0 && chosen !== undefined && !chosen.issues) settleIssue(d, live, chosen, pool, facts, env);
}

/** The rule that chose a binding or hashed a key; undefined = none did, and `d` is complete. */
function runChain(
  d: Decision,
  live: LiveAffinity,
  pool: LivePool,
  facts: RequestFacts,
  env: DecideEnv,
): LiveRule | undefined {
  let fault = REASON['-'];
  for (const rule of live.rules) {
    if (rule.holds !== undefined && !rule.holds(facts)) continue;
    d.rule = rule.index;
    if (rule.token !== undefined) {
      // The first rule that holds and issues does so; another one that finds a token only chooses.
      const first = rule.issues && d.issue < 0;
      if (first) d.issue = rule.index;
      if (followRule(d, live, rule, pool, facts, env, first)) return rule;
      if (fault !== REASON.invalid_token && fault !== REASON.unknown_key) fault = d.fault;
    } else if (rule.read === undefined || rule.use === undefined) {
      balanceFreely(d, live.policy.algorithm, pool, env);
      if (d.endpoint >= 0) d.reason = carriesToken(live, facts) ? REASON.ignored : REASON['-'];
      d.issue = -1;
      return undefined;
    } else {
      const value = rule.read(facts);
      if (value !== undefined) {
        followKey(d, live, rule, rule.use, value, pool, env);
        return rule;
      }
      if (rule.onMissing === 'Balance' || fault === REASON['-']) fault = REASON.missing_key;
    }
    if (rule.onMissing === 'Next') continue;
    if (rule.onMissing === 'Reject') d.reject(rule.token === undefined ? REASON.missing_key : d.fault, KEY_REQUIRED);
    else startSession(d, live, fault, rule.index, pool, facts, env);
    return undefined;
  }
  startSession(d, live, fault, -1, pool, facts, env);
  return undefined;
}

/** Whether the rule's cookie named a live session. What the *issuing* cookie carries stays in `d.token` and the like. */
function followRule(
  d: Decision,
  live: LiveAffinity,
  rule: LiveRule,
  pool: LivePool,
  facts: RequestFacts,
  env: DecideEnv,
  issues: boolean,
): boolean {
  if (rule.token === undefined) return false;
  const { own, token, otherName } = d;
  const found = sessionToken(d, live, rule, rule.token, pool, facts, env);
  if (!issues) {
    d.own = own;
    d.token = token;
    d.otherName = otherName;
  }
  if (found === undefined) return false;
  followToken(d, live, rule, found, pool, facts, env);
  return true;
}

const words = { 0: 0, 1: 0 };

function followKey(
  d: Decision,
  live: LiveAffinity,
  rule: LiveRule,
  use: KeyUse,
  value: string,
  pool: LivePool,
  env: DecideEnv,
): void {
  const { policy } = live;
  hashText(value, words);
  const [high, low] = [words[0], words[1]];
  // In the Service's own scope: Services of a group may have other pods, and each hashes over its own.
  setEntry(d, OBSERVED, live.ownEntries, high, low, live.entryLife);
  const seen = whereSeen(d, OBSERVED, policy, pool, env);
  const own = rule.force
    ? pickForced(policy, use.algorithm, pool, high, low, env)
    : staysForDrain(d, policy, pool, seen, env)
      ? seen
      : pickHashed(policy, use.algorithm, pool, high, low, d.tried, env);
  const slot = pool.endpoints[own]?.slot ?? -1;
  if (slot < 0 || d.tried.includes(slot)) return rejectWithoutEndpoint(d);
  const bounded = use.maxLoadFactor > 0 && !rule.force;
  const index = bounded ? withinBound(own, policy, use, pool, high, low, d.tried, env) : own;
  d.retryOwn = index === own;
  if (index !== own) {
    // The key stays where it is, so the table does not hear of this.
    d.region = -1;
    d.choose(index, OUTCOME.kept, REASON.capacity);
  } else if (seen === UNSEEN) d.choose(own, OUTCOME.new, REASON['-']);
  else if (seen === own) d.choose(own, OUTCOME.kept, REASON['-']);
  else d.choose(own, OUTCOME.moved, REASON.rehash);
}

/** A key that was seen on an endpoint which drains now stays there, although nothing hashes to it any more. */
function staysForDrain(d: Decision, policy: CompiledPolicy, pool: LivePool, seen: number, env: DecideEnv): boolean {
  const endpoint = pool.endpoints[seen];
  return endpoint !== undefined && drainKeeps(policy, pool, seen, env.now) && !d.tried.includes(endpoint.slot);
}

/** Nothing was found. A session starts when a rule will issue a token; else the request is merely balanced. */
function startSession(
  d: Decision,
  live: LiveAffinity,
  fault: number,
  rule: number,
  pool: LivePool,
  facts: RequestFacts,
  env: DecideEnv,
): void {
  const { policy } = live;
  // A preflight's answer carries no token, so no session begins with it (T55).
  const begins = d.issue >= 0 && facts.method !== 'OPTIONS';
  const cap = begins ? policy.maxSessionsPerEndpoint : 0;
  const roomy = cap === 0 ? -1 : pickNew(policy.algorithm, pool, d.tried, env, cap);
  const index = roomy >= 0 ? roomy : pickNew(policy.algorithm, pool, d.tried, env);
  d.rule = rule >= 0 ? rule : d.issue;
  if (index < 0) return rejectWithoutEndpoint(d);
  const full = cap > 0 && roomy < 0 && pool.endpoints[index]?.state === READY;
  if (full && policy.onFull === 'Reject') return d.reject(REASON.capacity, FULL);
  // A draining endpoint is taken only for want of a Ready one, and that is what the reason says.
  const reason = pool.endpoints[index]?.state === DRAINING ? REASON.drain : full ? REASON.capacity : fault;
  if (!begins) return d.choose(index, OUTCOME.stateless, reason);
  d.drawSession(env);
  setEntry(d, OBSERVED, d.own ? live.ownEntries : live.entries, d.sessionHigh, d.sessionLow, live.entryLife);
  d.onIssue = true;
  d.choose(index, OUTCOME.new, reason);
}

/** A key, or a cookie that is not ours, chose: the first rule that issues and holds still puts its token on the answer, wherever it stands. */
function settleIssue(
  d: Decision,
  live: LiveAffinity,
  chosen: LiveRule,
  pool: LivePool,
  facts: RequestFacts,
  env: DecideEnv,
): void {
  if (d.issue < 0) {
    for (const rule of live.issuers) {
      if (rule.index < chosen.index || rule.token === undefined) continue;
      if (rule.holds !== undefined && !rule.holds(facts)) continue;
      d.issue = rule.index;
      sessionToken(d, live, rule, rule.token, pool, facts, env);
      break;
    }
  }
  if (d.issue < 0) return;
  if (d.token !== undefined) adoptSession(d, d.token, facts);
  else if (d.bound === undefined) return d.drawSession(env);
  // The key has not moved, only this request went elsewhere: neither does the token.
  if (d.reason === REASON.capacity) d.issue = -1;
}

function balanceFreely(d: Decision, algorithm: Algorithm, pool: LivePool, env: DecideEnv): void {
  const index = pickNew(algorithm, pool, d.tried, env);
  if (index < 0) rejectWithoutEndpoint(d);
  else d.choose(index, OUTCOME.stateless, REASON['-']);
}

function carriesToken(live: LiveAffinity, facts: RequestFacts): boolean {
  return facts.cookie !== '' && cookieValues(facts.cookie, live.tokenCookies).length > 0;
}
