/** How a request gets its endpoint: the chain of rules, as a pure function of policy, pool, facts, time and meters. */
import type { RequestFacts } from '../model/facts.ts';
import { DRAINING } from '../model/live.ts';
import type { LivePool } from '../model/live.ts';
import type { Algorithm } from '../model/sticky-policy.ts';
import { cookieValues } from '../rules/cookie/read.ts';
import type { LiveAffinity, LiveRule } from './build.ts';
import { OUTCOME, REASON } from './decision.ts';
import type { Decision } from './decision.ts';
import type { DecideEnv } from './env.ts';
import { followToken, rejectWithoutEndpoint } from './follow.ts';
import { sessionToken } from './read-tokens.ts';
import { hashText } from './rendezvous.ts';
import { pickForced, pickHashed, pickNew } from './select.ts';

export type { DecideEnv } from './env.ts';

/** The client left out what a rule with `onMissing: Reject` asks for. */
const KEY_REQUIRED = 400;

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
  if (d.endpoint >= 0 && chosen?.read !== undefined) settleIssue(d, live, chosen, pool, facts, env);
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
      // The first token rule that holds issues; a later one that finds a token only chooses.
      const first = d.issue < 0;
      if (first) d.issue = rule.index;
      if (followRule(d, live, rule, pool, facts, env, first)) return rule;
      if (fault !== REASON.invalid_token && fault !== REASON.unknown_key) fault = d.fault;
    } else if (rule.read === undefined) {
      balanceFreely(d, live.policy.algorithm, pool, env);
      if (d.endpoint >= 0) d.reason = carriesToken(live, facts) ? REASON.ignored : REASON['-'];
      d.issue = -1;
      return undefined;
    } else {
      const value = rule.read(facts);
      if (value !== undefined) {
        followKey(d, live, rule, value, pool, env);
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
  followToken(d, live.policy, rule, found, pool, env);
  return true;
}

const words = { 0: 0, 1: 0 };

function followKey(
  d: Decision,
  live: LiveAffinity,
  rule: LiveRule,
  value: string,
  pool: LivePool,
  env: DecideEnv,
): void {
  const { policy } = live;
  hashText(value, words);
  const index = rule.force
    ? pickForced(pool.identity[policy.identity], pool, words[0], words[1])
    : pickHashed(policy, pool, words[0], words[1], d.tried, env);
  const slot = pool.endpoints[index]?.slot ?? -1;
  if (slot < 0 || d.tried.includes(slot)) return rejectWithoutEndpoint(d);
  d.choose(index, OUTCOME.kept, REASON['-']);
  d.retryOwn = true;
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
  const index = pickNew(live.policy.algorithm, pool, d.tried, env);
  d.rule = rule >= 0 ? rule : d.issue;
  if (index < 0) return rejectWithoutEndpoint(d);
  // A draining endpoint is taken only for want of a Ready one, and that is what the reason says.
  const reason = pool.endpoints[index]?.state === DRAINING ? REASON.drain : fault;
  // A preflight's answer carries no token, so no session begins with it (T55).
  if (d.issue < 0 || facts.method === 'OPTIONS') return d.choose(index, OUTCOME.stateless, reason);
  d.drawSession(env);
  d.choose(index, OUTCOME.new, reason);
}

/** A hashed key chose: the first token rule that holds still puts its token on the answer, wherever it stands. */
function settleIssue(
  d: Decision,
  live: LiveAffinity,
  chosen: LiveRule,
  pool: LivePool,
  facts: RequestFacts,
  env: DecideEnv,
): void {
  if (d.issue < 0) {
    for (const rule of live.tokenRules) {
      if (rule.index < chosen.index || rule.token === undefined) continue;
      if (rule.holds !== undefined && !rule.holds(facts)) continue;
      d.issue = rule.index;
      sessionToken(d, live, rule, rule.token, pool, facts, env);
      break;
    }
  }
  if (d.issue < 0) return;
  if (d.token === undefined) return d.drawSession(env);
  d.sessionHigh = d.token.sessionHigh;
  d.sessionLow = d.token.sessionLow;
}

function balanceFreely(d: Decision, algorithm: Algorithm, pool: LivePool, env: DecideEnv): void {
  const index = pickNew(algorithm, pool, d.tried, env);
  if (index < 0) rejectWithoutEndpoint(d);
  else d.choose(index, OUTCOME.stateless, REASON['-']);
}

function carriesToken(live: LiveAffinity, facts: RequestFacts): boolean {
  return facts.cookie !== '' && cookieValues(facts.cookie, live.ownedSetCookies).length > 0;
}
