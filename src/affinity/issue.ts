/** Whether an answer carries our token, and its Set-Cookie. */
import type { RequestFacts } from '../model/facts.ts';
import { OBSERVED } from '../model/live.ts';
import type { LivePool } from '../model/live.ts';
import type { CompiledPolicy, TokenCookieKey } from '../model/policy.ts';
import type { LiveAffinity } from './build.ts';
import { setEntry } from './entry.ts';
import type { DecideEnv } from './env.ts';
import type { Decision } from './decision.ts';
import type { KeyRing } from './keyring.ts';
import { serializeSetCookie } from './set-cookie.ts';
import { adoptSession } from './follow.ts';
import { servedBy } from './parts.ts';
import { endpointOf, parsePlain, plainValue } from './plain.ts';
import { createToken } from './token.ts';
import type { VerifiedToken } from './token.ts';
import { hasOldVersion } from './versions.ts';

/** What is known of an answer that the chosen endpoint produced. */
export interface ResponseFacts {
  readonly status: number;
  /** A shared cache may store it (RFC 9111 section 3). */
  readonly cacheable: boolean;
  /** Names of the cookies that the backend sets. */
  setCookieNames(): readonly string[];
}

export interface Issued {
  /** The one Set-Cookie value to append; undefined = none. */
  readonly setCookie: string | undefined;
  /** The answer must become `Cache-Control: private`. */
  readonly markPrivate: boolean;
}

const NOTHING: Issued = { setCookie: undefined, markPrivate: false };

/** `pool` is the one that `d.endpoint` was chosen from. Not to be called for answers that no endpoint produced. */
export function issueToken(
  d: Decision,
  live: LiveAffinity | undefined,
  pool: LivePool,
  facts: RequestFacts,
  response: ResponseFacts,
  env: DecideEnv,
): Issued {
  if (live === undefined || d.issue < 0 || d.endpoint < 0) return NOTHING;
  const token = live.rules[d.issue]?.token;
  if (token === undefined || !mayCarry(facts, response)) return NOTHING;
  const { key, names } = token;
  if (!isDue(d, live.policy, key, pool, facts, response, env)) return NOTHING;
  if (response.cacheable && key.cacheable === 'Skip') return NOTHING;
  const name = d.own ? (names.own ?? names.issue) : names.issue;
  if (key.preserve && response.setCookieNames().includes(name)) return NOTHING;
  const value = makeToken(d, live, key, pool, facts, env, d.token ?? d.foreign);
  if (value === undefined) return NOTHING;
  return {
    setCookie: serializeSetCookie(key, name, value, facts, env.now),
    markPrivate: response.cacheable && key.cacheable === 'MarkPrivate',
  };
}

/** Not on CORS preflights, interim answers (but the switch to another protocol) and 304, which updates a stored answer. */
export function mayCarry(facts: RequestFacts, { status }: Pick<ResponseFacts, 'status'>): boolean {
  return facts.method !== 'OPTIONS' && (status >= 200 || status === 101) && status !== 304;
}

function isDue(
  d: Decision,
  policy: CompiledPolicy,
  key: TokenCookieKey,
  pool: LivePool,
  facts: RequestFacts,
  response: ResponseFacts,
  env: DecideEnv,
): boolean {
  const { token } = d;
  const stays = d.stays && token === d.bound;
  const same = token !== undefined && (stays || endpointOf(token, pool, policy.identity) === d.endpoint);
  // What the backend wrote itself is left as it is.
  if (same && key.format === 'Signed' && token.plainId !== '') return false;
  if (same) return key.emit === 'Always' || d.otherName || isRenewalDue(token, policy, key, pool, env);
  if (key.emitMethods.length > 0 && !key.emitMethods.includes(facts.method)) return false;
  return key.emitStatusBelow === 0 || response.status < key.emitStatusBelow;
}

function isRenewalDue(
  token: NonNullable<Decision['token']>,
  policy: CompiledPolicy,
  key: TokenCookieKey,
  pool: LivePool,
  { keys, now }: DecideEnv,
): boolean {
  if (key.format === 'Plain' && token.plainId === '') return true;
  if (policy.absoluteTimeout > 0 && token.issuedAt === 0) return true;
  const age = now - token.lastSeen;
  if (policy.idleTimeout > 0 && age > policy.idleTimeout / 8) return true;
  if (policy.rebalance !== undefined && age > policy.rebalance.idleFor / 8) return true;
  if (key.maxAge > 0 && age > (key.maxAge * 1000) / 2) return true;
  if (token.plainId !== '') return false;
  if (hasOldVersion(token, policy, pool, keys)) return true;
  // Only forward: a replica that does not yet issue with the newest key must not take tokens back to an older one. And
  // only to a key of this pool: one that came while the request was under way would not be the key that is written with.
  const keyId = issuingKey(keys, now, pool.identity[policy.identity].prefixes);
  return keys.issueFrom(keyId) > keys.issueFrom(token.keyId);
}

/** `before`: the token that it replaces. undefined = there is no key that both the ring and the pool know, which lasts no longer than a table update. */
export function makeToken(
  d: Decision,
  live: LiveAffinity,
  key: TokenCookieKey,
  pool: LivePool,
  facts: RequestFacts,
  env: DecideEnv,
  before: VerifiedToken | undefined,
): string | undefined {
  const { policy, affinity } = live;
  // A plain value need not say since when.
  const issuedAt = before?.issuedAt || env.now;
  const ages = policy.idleTimeout > 0 || key.maxAge > 0 || policy.rebalance !== undefined || d.dated;
  if (key.format === 'Plain') {
    const endpoint = pool.endpoints[d.endpoint];
    if (endpoint === undefined) return undefined;
    const stamps = ages || policy.absoluteTimeout > 0 ? { lastSeen: env.now, firstSeen: issuedAt } : undefined;
    const value = plainValue(endpoint, stamps);
    if (before === undefined || before === d.foreign) beginPlain(d, live, value, facts, env);
    return value;
  }
  return signToken(d, pool, policy, d.own ? affinity.ownScope : affinity.scope, issuedAt, ages ? env.now : 0, env);
}

/** A signed token for `d.endpoint` and the decision's session. Times are ms; `lastSeen` 0 = it does not say. undefined as in `makeToken`. */
export function signToken(
  d: Decision,
  pool: LivePool,
  { identity }: CompiledPolicy,
  scope: string,
  issuedAt: number,
  lastSeen: number,
  env: DecideEnv,
): string | undefined {
  const { prefixes } = pool.identity[identity];
  const keyId = issuingKey(env.keys, env.now, prefixes);
  const prefix = prefixes.get(keyId)?.[d.endpoint];
  if (prefix === undefined) return undefined;
  const { namespace, service } = servedBy(pool, d.endpoint);
  const fields = {
    prefix,
    keyId,
    sessionHigh: d.sessionHigh,
    sessionLow: d.sessionLow,
    issuedAt,
    lastSeen,
    service: `${namespace}/${service}`,
    version: pool.endpoints[d.endpoint]?.version,
  };
  return createToken(fields, scope, env.keys);
}

/** A session's id in format Plain follows from its value: the session table is to know it by the one that will come back. */
function beginPlain(d: Decision, live: LiveAffinity, value: string, facts: RequestFacts, env: DecideEnv): void {
  const token = parsePlain(value, env.now);
  if (token === undefined) return;
  adoptSession(d, token, facts);
  if (d.onIssue) setEntry(d, OBSERVED, live.entries, d.sessionHigh, d.sessionLow, live.entryLife);
}

function issuingKey(keys: KeyRing, now: number, prefixes: ReadonlyMap<number, readonly string[]>): number {
  const newest = keys.issuing(now);
  if (prefixes.has(newest)) return newest;
  return keys.ids.find((id) => prefixes.has(id)) ?? -1;
}
