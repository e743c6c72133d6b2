/** Finding the tokens in a request's cookies and which of them names the session. */
import type { RequestFacts } from '../model/facts.ts';
import type { LivePool } from '../model/live.ts';
import type { CompiledPolicy, CookieInsertKey } from '../model/policy.ts';
import { cookieValues } from '../rules/cookie/read.ts';
import type { LiveAffinity, LiveRule, TokenCookie } from './build.ts';
import type { DecideEnv } from './env.ts';
import { REASON } from './decision.ts';
import type { Decision, TokenReading } from './decision.ts';
import type { VerifiedToken } from './token.ts';

const NOTHING: TokenReading = { tokens: [], underIssueName: 0, own: [], fault: REASON.no_token };
/** A cookie runs out in the browser at Max-Age; replicas' clocks may differ by this much. */
const CLOCK_SKEW = 60_000;

/**
 * The live token that names the session of a request; undefined = none, and `d.fault` says why. Sets `d.token` and
 * `d.otherName` to what the cookie that would be issued carries now, and `d.own` to the scope it would be issued in.
 */
export function sessionToken(
  d: Decision,
  live: LiveAffinity,
  rule: LiveRule,
  token: TokenCookie,
  pool: LivePool,
  facts: RequestFacts,
  env: DecideEnv,
): VerifiedToken | undefined {
  const reading = readTokens(d, live, rule, token, facts, env);
  d.own = false;
  d.fault = reading.fault;
  if (reading.fault !== REASON.no_token) d.tokenFault = reading.fault;
  const shared = firstLive(d, reading.tokens, live.policy, token.key, env.now);
  d.token = shared;
  d.otherName = shared !== undefined && reading.tokens.indexOf(shared) >= reading.underIssueName;
  if (token.names.own === undefined) return shared;

  const { byPrefix } = pool.identity[live.policy.identity];
  if (shared !== undefined && byPrefix.has(shared.prefix)) return shared;
  const own = firstLive(d, reading.own, live.policy, token.key, env.now);
  if (shared !== undefined && elsewhereInGroup(live, shared, env)) {
    // The group's session stays where it is; this Service, which does not have that pod, remembers a choice of its own.
    d.own = true;
    d.token = own;
    d.otherName = false;
    if (own === undefined) d.fault = REASON.no_token;
    return own;
  }
  return own !== undefined && byPrefix.has(own.prefix) ? own : shared;
}

function readTokens(
  d: Decision,
  live: LiveAffinity,
  rule: LiveRule,
  token: TokenCookie,
  facts: RequestFacts,
  env: DecideEnv,
): TokenReading {
  if (facts.cookie === '') return NOTHING;
  if (
    d.memoReading !== undefined &&
    d.memoAffinity === live &&
    d.memoKeys === env.keys &&
    d.memoRule === rule.index &&
    d.memoCookie === facts.cookie
  ) {
    return d.memoReading;
  }
  const reading = scanCookie(live, token, facts.cookie, env);
  d.memoAffinity = live;
  d.memoKeys = env.keys;
  d.memoRule = rule.index;
  d.memoCookie = facts.cookie;
  d.memoReading = reading;
  return reading;
}

function scanCookie(live: LiveAffinity, { names }: TokenCookie, cookie: string, env: DecideEnv): TokenReading {
  const tokens: VerifiedToken[] = [];
  let underIssueName = 0;
  let fault = REASON.no_token;
  for (const name of names.read) {
    for (const value of cookieValues(cookie, [name])) {
      const result = env.memo.verify(value, live.affinity.scope, env.keys, env.now);
      if (typeof result !== 'string') tokens.push(result);
      else if (value !== '' && fault === REASON.no_token) fault = REASON[result];
    }
    if (name === names.issue) underIssueName = tokens.length;
  }
  for (const value of names.former === undefined ? [] : cookieValues(cookie, names.former)) {
    const result = env.memo.verify(value, live.affinity.scope, env.keys, env.now);
    // Whatever else stands there is somebody else's.
    if (typeof result !== 'string') tokens.push(result);
  }
  const own: VerifiedToken[] = [];
  for (const value of names.own === undefined ? [] : cookieValues(cookie, [names.own])) {
    const result = env.memo.verify(value, live.affinity.ownScope, env.keys, env.now);
    if (typeof result !== 'string') own.push(result);
  }
  return { tokens, underIssueName, own, fault: tokens.length > 0 ? REASON.no_token : fault };
}

/** Of several that verify, one that has expired never hides one that lives (an old cookie of a longer path comes first). */
function firstLive(
  d: Decision,
  tokens: readonly VerifiedToken[],
  policy: CompiledPolicy,
  key: CookieInsertKey,
  now: number,
): VerifiedToken | undefined {
  for (const token of tokens) {
    const expired = expiry(token, policy, key, now);
    if (expired === LIVE) return token;
    d.fault = expired;
  }
  return undefined;
}

const LIVE = -1;

/**
 * The extra eighth of idleTimeout makes up for renewals, which come only once last-seen is that old. A cookie that has run
 * out in the browser is over here too, whoever replays it.
 */
function expiry(token: VerifiedToken, policy: CompiledPolicy, key: CookieInsertKey, now: number): number {
  const { idleTimeout, absoluteTimeout } = policy;
  if (absoluteTimeout > 0 && now > token.issuedAt + absoluteTimeout) return REASON.absolute_expired;
  if (token.lastSeen === 0) return LIVE;
  if (idleTimeout > 0 && now > token.lastSeen + idleTimeout + idleTimeout / 8) return REASON.idle_expired;
  if (key.maxAge > 0 && now > token.lastSeen + key.maxAge * 1000 + CLOCK_SKEW) return REASON.idle_expired;
  return LIVE;
}

function elsewhereInGroup(live: LiveAffinity, token: VerifiedToken, env: DecideEnv): boolean {
  const { identity } = live.policy;
  for (const key of live.affinity.groupPools) {
    if (env.poolOf(key)?.identity[identity].byPrefix.has(token.prefix) === true) return true;
  }
  return false;
}
