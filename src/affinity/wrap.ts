/** Mode Wrap: our token in front of the value of a header that the backend minted, `token.value`, and off again for the backend. */
import type { RequestFacts } from '../model/facts.ts';
import { OBSERVED } from '../model/live.ts';
import type { LivePool } from '../model/live.ts';
import { beginSession } from './backend-cookies.ts';
import type { LiveAffinity } from './build.ts';
import { isEnded } from './by-hand.ts';
import { REASON } from './decision.ts';
import type { Decision } from './decision.ts';
import { seenSince } from './entry.ts';
import type { DecideEnv } from './env.ts';
import { mayCarry, signToken } from './issue.ts';
import { endpointOf } from './plain.ts';
import { elsewhereInGroup } from './read-tokens.ts';
import { TOKEN_LENGTH } from './token.ts';
import type { TokenFault, VerifiedToken } from './token.ts';

/** No letter of tokens, and visible ASCII as the values of such headers are. */
const DELIMITER = '.';

/** Tokens of this mode are never issued anew, so they must outlive the key that they were made with, but not for ever. */
const KEY_OUTLIVED = 24 * 60 * 60 * 1000;

/** The live token in a request's header; undefined = none, and `d.fault` says why. */
export function wrappedToken(
  d: Decision,
  live: LiveAffinity,
  name: string,
  pool: LivePool,
  facts: RequestFacts,
  env: DecideEnv,
): VerifiedToken | undefined {
  const value = facts.header(name);
  const token = value === undefined ? undefined : verify(value, live, env);
  d.fault = REASON.no_token;
  if (token === undefined) return undefined;
  const ended = typeof token !== 'string' && isEnded(d, token, live.entries, facts.clientAddress, env);
  d.fault = ended ? REASON.override : faultOf(token, live, env);
  if (typeof token === 'string' || d.fault === REASON.unknown_key) {
    d.tokenFault = d.fault;
    return undefined;
  }
  if (d.fault !== REASON.no_token) return undefined;
  // The session of another Service of the group is left alone here.
  const elsewhere = endpointOf(token, pool, live.policy.identity) < 0 && elsewhereInGroup(live, token, env);
  return elsewhere ? undefined : token;
}

/** Whether the request seems to carry a token of this mode, forged or not. */
export function isWrapped(live: LiveAffinity, facts: RequestFacts): boolean {
  return live.wrapped.some((name) => facts.header(name)?.[TOKEN_LENGTH] === DELIMITER);
}

/** The header's value as the backend has minted it; values without a token of ours stay as they are. */
export function unwrapHeader(value: string, live: LiveAffinity, env: DecideEnv): string {
  const token = verify(value, live, env);
  return token === undefined || typeof token === 'string' ? value : value.slice(TOKEN_LENGTH + 1);
}

/**
 * The header's value as the client shall see it; empty = the line is left out. Whichever rule decided: a session that the
 * backend starts here is here. Sets `d.edited` when the value got a new token.
 */
export function wrapHeader(
  d: Decision,
  live: LiveAffinity,
  name: string,
  pool: LivePool,
  facts: RequestFacts,
  response: { readonly status: number },
  env: DecideEnv,
  value: string,
): string {
  if (value === '') return value;
  // Clients get a value once; one that they have already keeps its token.
  const sent = facts.header(name);
  if (sent?.endsWith(value) === true && sent !== value && unwrapHeader(sent, live, env) === value) return sent;
  // Without our token the line would take the session away from the client.
  if (!mayCarry(facts, response)) return '';
  // A value that the client did not have begins a session, whichever the request belonged to.
  d.drawSession(env);
  // It cannot be written again, so it does not say when it was last seen.
  const token = signToken(d, pool, live.policy, live.affinity.scope, env.now, 0, env);
  if (token === undefined) return value;
  d.edited = true;
  beginSession(d, live);
  return `${token}${DELIMITER}${value}`;
}

/** undefined = nothing of ours is in front. */
function verify(value: string, live: LiveAffinity, env: DecideEnv): VerifiedToken | TokenFault | undefined {
  if (value[TOKEN_LENGTH] !== DELIMITER) return undefined;
  return env.memo.verify(value.slice(0, TOKEN_LENGTH), live.affinity.scope, env.keys, env.now);
}

/** A REASONS index; `no_token` = it lives. */
function faultOf(token: VerifiedToken | TokenFault, { policy, entries }: LiveAffinity, env: DecideEnv): number {
  if (typeof token === 'string') return REASON[token];
  const { absoluteTimeout, idleTimeout } = policy;
  const { now } = env;
  if (now > env.keys.newerFrom(token.keyId) + (absoluteTimeout > 0 ? absoluteTimeout : KEY_OUTLIVED))
    return REASON.unknown_key;
  if (absoluteTimeout > 0 && now > token.issuedAt + absoluteTimeout) return REASON.absolute_expired;
  const idle = idleTimeout > 0 && now > token.issuedAt + idleTimeout;
  const { sessionHigh, sessionLow } = token;
  if (idle && !seenSince(entries, sessionHigh, sessionLow, OBSERVED, now - idleTimeout, env))
    return REASON.idle_expired;
  return REASON.no_token;
}
