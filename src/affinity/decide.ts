/** How a request gets its endpoint: the chain of rules, as a pure function of policy, pool, facts, time and meters. */
import type { RequestFacts } from '../model/facts.ts';
import { OBSERVED } from '../model/live.ts';
import type { LivePool } from '../model/live.ts';
import type { CompiledPolicy, HashUse } from '../model/policy.ts';
import { cookieValues } from '../rules/cookie/read.ts';
import type { LiveAffinity, LiveRule } from './build.ts';
import { movedTo } from './by-hand.ts';
import { OUTCOME, REASON } from './decision.ts';
import type { Decision } from './decision.ts';
import { drainKeeps, setEntry, UNSEEN, whereSeen } from './entry.ts';
import type { DecideEnv } from './env.ts';
import { followEntry } from './follow-entry.ts';
import { adoptSession, followToken, rejectWithoutEndpoint, stay } from './follow.ts';
import { withinBound } from './hash/bounded-load.ts';
import { pickNew } from './pick-new.ts';
import type { NewSessions } from './pick-new.ts';
import { acceptedToken, sessionToken } from './read-tokens.ts';
import { hashText } from './rendezvous.ts';
import { chooseNew } from './choose-new.ts';
import { pickForced, pickHashed } from './select.ts';
import { pickWithin } from './stick-to.ts';
import { isWrapped, wrappedToken } from './wrap.ts';

export type { DecideEnv } from './env.ts';

/** The client left out what a rule with `onMissing: Reject` asks for. */
const KEY_REQUIRED = 400;
const WITHOUT_POLICY: NewSessions = { algorithm: 'LeastRequests', slowStart: 0 };

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
  if (live === undefined) return balanceFreely(d, WITHOUT_POLICY, pool, env);
  const chosen = runChain(d, live, pool, facts, env);
  if (d.endpoint >= 0 && chosen !== undefined && chosen.index !== d.issue)
    settleIssue(d, live, chosen, pool, facts, env);
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
  // The rule in mode Wrap that would issue, were the backend to mint a value.
  let wraps = -1;
  for (const rule of live.rules) {
    if (rule.holds !== undefined && !rule.holds(facts)) continue;
    d.rule = rule.index;
    if (rule.token !== undefined) {
      // The first rule that holds and issues does so; another one that finds a token only chooses.
      const first = rule.issues && d.issue < 0 && wraps < 0;
      if (first) d.issue = rule.index;
      if (followRule(d, live, rule, pool, facts, env, first)) return rule;
      if (fault !== REASON.invalid_token && fault !== REASON.unknown_key) fault = d.fault;
    } else if (rule.wraps !== undefined) {
      const found = wrappedToken(d, live, rule.wraps, pool, facts, env);
      if (found !== undefined) {
        followToken(d, live, rule, found, pool, facts, env);
        return rule;
      }
      if (d.issue < 0 && wraps < 0) wraps = rule.index;
      if (fault !== REASON.invalid_token && fault !== REASON.unknown_key) fault = d.fault;
    } else if (rule.isNone) {
      balanceFreely(d, live.policy, pool, env);
      if (d.endpoint >= 0) d.reason = carriesToken(live, facts) ? REASON.ignored : REASON['-'];
      d.issue = -1;
      return undefined;
    } else if (rule.read !== undefined && rule.use !== undefined) {
      const value = rule.read(facts);
      if (value !== undefined) {
        const { use } = rule;
        if (use.mode === 'Hash') followKey(d, live, rule, use, value, pool, env);
        else if (!followEntry(d, live, rule, use, value, pool, env)) {
          startSession(d, live, REASON.unknown_key, rule.index, pool, facts, env);
          return undefined;
        }
        return rule;
      }
      if (rule.onMissing === 'Balance' || fault === REASON['-']) fault = REASON.missing_key;
    }
    if (rule.onMissing === 'Next') continue;
    if (rule.onMissing === 'Reject') d.reject(rule.token === undefined ? REASON.missing_key : d.fault, KEY_REQUIRED);
    else startSession(d, live, fault, rule.index, pool, facts, env);
    return undefined;
  }
  startSession(d, live, fault, wraps, pool, facts, env);
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
  const found =
    sessionToken(d, live, rule, rule.token, pool, facts, env) ??
    // Only where ours is issued in its place.
    (issues ? acceptedToken(d, live, rule.token.key, pool, facts, env) : undefined);
  if (!issues) {
    d.own = own;
    d.token = token;
    d.otherName = otherName;
  }
  if (found === undefined) return false;
  followToken(d, live, rule, found, pool, facts, env);
  if (found === d.foreign && d.outcome === OUTCOME.kept) d.reason = REASON.accepted_foreign;
  return true;
}

const words = { 0: 0, 1: 0 };

function followKey(
  d: Decision,
  live: LiveAffinity,
  rule: LiveRule,
  use: HashUse,
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
  const moved = movedTo(d, policy, undefined, pool, env);
  const own = rule.force
    ? pickForced(policy, use.algorithm, pool, high, low, env)
    : moved >= 0
      ? moved
      : staysForDrain(d, policy, pool, seen, env)
        ? seen
        : pickHashed(policy, use.algorithm, pool, high, low, d.tried, env);
  if (policy.stickTo === 'Service' && !rule.force && moved < 0 && own >= 0) {
    const other = pickWithin(d, policy, pool, own, env);
    if (other >= 0) return stay(d, other, seen === UNSEEN ? OUTCOME.new : OUTCOME.kept);
  }
  const slot = pool.endpoints[own]?.slot ?? -1;
  if (slot < 0 || d.tried.includes(slot)) return rejectWithoutEndpoint(d);
  const bounded = use.maxLoadFactor > 0 && !rule.force && moved < 0;
  const index = bounded ? withinBound(own, policy, use, pool, high, low, d.tried, env) : own;
  d.retryOwn = index === own;
  if (index !== own) {
    // The key stays where it is, so the table does not hear of this.
    d.region = -1;
    d.choose(index, OUTCOME.kept, REASON.capacity);
  } else if (seen === UNSEEN) d.choose(own, OUTCOME.new, REASON['-']);
  else if (seen === own) d.choose(own, OUTCOME.kept, REASON['-']);
  else d.choose(own, OUTCOME.moved, own === moved ? REASON.override : REASON.rehash);
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
  // A preflight's answer carries no token, so no session begins with it (T55).
  const begins = d.issue >= 0 && facts.method !== 'OPTIONS';
  d.rule = rule >= 0 ? rule : d.issue;
  if (!chooseNew(d, live.policy, pool, begins, fault, env) || !begins) return;
  d.drawSession(env);
  setEntry(d, OBSERVED, d.own ? live.ownEntries : live.entries, d.sessionHigh, d.sessionLow, live.entryLife);
  d.onIssue = true;
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
      if (rule.index < chosen.index) continue;
      if (rule.holds !== undefined && !rule.holds(facts)) continue;
      if (rule.token === undefined) return;
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

function balanceFreely(d: Decision, how: NewSessions, pool: LivePool, env: DecideEnv): void {
  const index = pickNew(how, pool, d.tried, env);
  if (index < 0) rejectWithoutEndpoint(d);
  else d.choose(index, OUTCOME.stateless, REASON['-']);
}

function carriesToken(live: LiveAffinity, facts: RequestFacts): boolean {
  if (live.wrapped.length > 0 && isWrapped(live, facts)) return true;
  return facts.cookie !== '' && cookieValues(facts.cookie, live.tokenCookies).length > 0;
}
