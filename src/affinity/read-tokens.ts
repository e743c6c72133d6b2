/** Finding the tokens in a request's cookies and which of them names the session. */
import type { RequestFacts } from '../model/facts.ts';
import { OBSERVED } from '../model/live.ts';
import type { LivePool } from '../model/live.ts';
import type { CompiledPolicy, TokenCookieKey } from '../model/policy.ts';
import { cookieValues } from '../rules/cookie/read.ts';
import type { LiveAffinity, LiveRule, TokenCookie } from './build.ts';
import { isEnded } from './by-hand.ts';
import { seenSince } from './entry.ts';
import type { EntryScope } from './entry.ts';
import type { DecideEnv } from './env.ts';
import { REASON } from './decision.ts';
import { foreignToken } from './foreign/foreign.ts';
import type { Decision, TokenReading } from './decision.ts';
import { endpointOf, parsePlain, sessionOf } from './plain.ts';
import { isTokenShaped } from './token.ts';
import type { TokenFault, VerifiedToken } from './token.ts';

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
  const shared = liveToken(d, reading, live, token.key, pool, facts, env);
  d.token = shared;
  d.otherName = shared !== undefined && reading.tokens.indexOf(shared) >= reading.underIssueName;
  if (token.names.own === undefined) return shared;

  const { identity } = live.policy;
  if (shared !== undefined && endpointOf(shared, pool, identity) >= 0) return shared;
  const own = firstLive(d, reading.own, live, live.ownEntries, token.key, facts, env);
  if (shared !== undefined && elsewhereInGroup(live, shared, env)) {
    // The group's session stays where it is; this Service, which does not have that pod, remembers a choice of its own.
    d.own = true;
    d.token = own;
    d.otherName = false;
    if (own === undefined) d.fault = REASON.no_token;
    return own;
  }
  return own !== undefined && endpointOf(own, pool, identity) >= 0 ? own : shared;
}

/**
 * The session that another product's cookie stands for; undefined = none. Only where the client has no token of ours,
 * live or over: a session of ours that has ended shall not begin again where it began.
 */
export function acceptedToken(
  d: Decision,
  live: LiveAffinity,
  key: TokenCookieKey,
  pool: LivePool,
  facts: RequestFacts,
  env: DecideEnv,
): VerifiedToken | undefined {
  if (key.accept.length === 0 || facts.cookie === '' || d.own || !NONE_VERIFIES.has(d.fault)) return undefined;
  const token = foreignToken(key.accept, live, pool, facts, env);
  if (token === undefined) return undefined;
  // Under the name of our own cookie it was no forged token, then.
  d.tokenFault = -1;
  d.foreign = firstLive(d, [token], live, live.entries, key, facts, env);
  return d.foreign;
}

const NONE_VERIFIES: ReadonlySet<number> = new Set([REASON.no_token, REASON.invalid_token, REASON.unknown_key]);

/**
 * Of several plain values one that names an endpoint here is meant: the format does not tell whose they are. One that
 * names none is taken for a lost endpoint's only where nothing else is to be expected.
 */
function liveToken(
  d: Decision,
  reading: TokenReading,
  live: LiveAffinity,
  key: TokenCookieKey,
  pool: LivePool,
  facts: RequestFacts,
  env: DecideEnv,
): VerifiedToken | undefined {
  const first = firstLive(d, reading.tokens, live, live.entries, key, facts, env);
  if (first === undefined || first.plainId === '') return first;
  const { identity } = live.policy;
  if (endpointOf(first, pool, identity) >= 0) return first;
  const known = reading.tokens.filter((token) => token.plainId === '' || endpointOf(token, pool, identity) >= 0);
  const meant = firstLive(d, known, live, live.entries, key, facts, env);
  if (meant !== undefined) return meant;
  return key.format === 'Plain' && reading.tokens.indexOf(first) < reading.underIssueName ? first : undefined;
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

function scanCookie(live: LiveAffinity, { key, names }: TokenCookie, cookie: string, env: DecideEnv): TokenReading {
  const tokens: VerifiedToken[] = [];
  let underIssueName = 0;
  let fault = REASON.no_token;
  const { scope, ownScope } = live.affinity;
  for (const name of names.read) {
    for (const value of cookieValues(cookie, [name])) {
      const result = readValue(key, value, scope, env);
      if (typeof result !== 'string') tokens.push(result);
      else if (value !== '' && fault === REASON.no_token) fault = REASON[result];
    }
    if (name === names.issue) underIssueName = tokens.length;
  }
  for (const value of names.former === undefined ? [] : cookieValues(cookie, names.former)) {
    const result = readValue(key, value, scope, env);
    // Whatever else stands there is somebody else's.
    if (typeof result !== 'string') tokens.push(result);
  }
  const own: VerifiedToken[] = [];
  for (const value of names.own === undefined ? [] : cookieValues(cookie, [names.own])) {
    const result = readValue(key, value, ownScope, env);
    if (typeof result !== 'string') own.push(result);
  }
  return { tokens, underIssueName, own, fault: tokens.length > 0 ? REASON.no_token : fault };
}

/** What a value of the rule's cookie says. `no_token`: it is the application's, and says nothing. */
function readValue(
  key: TokenCookieKey,
  value: string,
  scope: string,
  env: DecideEnv,
): VerifiedToken | TokenFault | 'no_token' {
  if (key.mode === 'Prefix') {
    const end = value.indexOf(key.delimiter);
    return end < 0 ? 'no_token' : readToken(key, value.slice(0, end), scope, env);
  }
  return readToken(key, value, scope, env);
}

function readToken(
  key: TokenCookieKey,
  text: string,
  scope: string,
  env: DecideEnv,
): VerifiedToken | TokenFault | 'no_token' {
  // Plain cookies may have been signed ones before their policy was edited.
  const signed = key.mode === 'Passive' ? 'invalid_token' : env.memo.verify(text, scope, env.keys, env.now);
  if (typeof signed !== 'string') return signed;
  if (key.format === 'Plain' || key.preserve) {
    const plain = parsePlain(text, env.now);
    if (plain !== undefined) return plain;
  }
  // What the application wrote was never meant to be ours.
  const itsOwn = key.mode !== 'Insert' || key.preserve;
  return itsOwn && !isTokenShaped(text) ? 'no_token' : signed;
}

/** Of several that verify, one that has expired never hides one that lives (an old cookie of a longer path comes first). */
function firstLive(
  d: Decision,
  tokens: readonly VerifiedToken[],
  live: LiveAffinity,
  scope: EntryScope,
  key: TokenCookieKey,
  facts: RequestFacts,
  env: DecideEnv,
): VerifiedToken | undefined {
  for (const token of tokens) {
    const expired = isEnded(d, token, scope, facts.clientAddress, env)
      ? REASON.override
      : expiry(token, live.policy, scope, key, facts, env);
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
function expiry(
  token: VerifiedToken,
  policy: CompiledPolicy,
  scope: EntryScope,
  key: TokenCookieKey,
  facts: RequestFacts,
  env: DecideEnv,
): number {
  const { now } = env;
  const { idleTimeout, absoluteTimeout } = policy;
  if (absoluteTimeout > 0 && token.issuedAt > 0 && now > token.issuedAt + absoluteTimeout)
    return REASON.absolute_expired;
  // Only the application renews its cookie, and need not: how old the token is does not say how long it was not used.
  if (token.lastSeen === 0 || key.mode === 'Rewrite' || key.mode === 'Prefix') return LIVE;
  if (idleTimeout > 0 && now > token.lastSeen + idleTimeout + idleTimeout / 8) {
    // A stream that is open, or an answer that could carry no token: the cookie does not know, the table does.
    const id = sessionOf(token, facts.clientAddress);
    if (!seenSince(scope, id[0], id[1], OBSERVED, now - idleTimeout, env)) return REASON.idle_expired;
  }
  if (key.maxAge > 0 && now > token.lastSeen + key.maxAge * 1000 + CLOCK_SKEW) return REASON.idle_expired;
  return LIVE;
}

export function elsewhereInGroup(live: LiveAffinity, token: VerifiedToken, env: DecideEnv): boolean {
  const { identity } = live.policy;
  for (const key of live.affinity.groupPools) {
    const pool = env.poolOf(key);
    if (pool !== undefined && endpointOf(token, pool, identity) >= 0) return true;
  }
  return false;
}
