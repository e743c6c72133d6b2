/** Cookie values of format Plain: `id` or `id|lastSeen|firstSeen`, and the endpoint that a token of either format names. */
import type { IdentityKind } from '../model/ids.ts';
import { READY } from '../model/live.ts';
import type { LiveEndpoint, LivePool } from '../model/live.ts';
import { partOf } from './parts.ts';
import { hashText } from './rendezvous.ts';
import { FUTURE_TOLERANCE } from './token.ts';
import type { VerifiedToken } from './token.ts';

/** Letters of pod names, of `holdfast.dev/cookie-value` and of `[v6]:port`; none that can be a delimiter. */
const PLAIN = /^([\w.:[\]-]{1,253})(?:\|(\d{1,12})(?:\|(\d{1,12}))?)?$/;

/** undefined = no value of this format. A stamp of more than a day ahead is no skew, and invalid. */
export function parsePlain(text: string, now: number): VerifiedToken | undefined {
  const match = PLAIN.exec(text);
  if (match === null) return undefined;
  const lastSeen = Number(match[2] ?? 0) * 1000;
  const issuedAt = Number(match[3] ?? 0) * 1000;
  if (Math.max(lastSeen, issuedAt) > now + FUTURE_TOLERANCE) return undefined;
  // Which session it is follows from the client, too: see `sessionOf`.
  const none = { prefix: '', scope: '', keyId: -1, sessionHigh: 0, sessionLow: 0, backend: 0, version: 0 };
  return { text, ...none, issuedAt, lastSeen, plainId: match[1] ?? '' };
}

/** `stamps` in ms; undefined = none are written. */
export function plainValue(
  endpoint: LiveEndpoint,
  stamps: { readonly lastSeen: number; readonly firstSeen: number } | undefined,
): string {
  const id = plainIdOf(endpoint);
  if (stamps === undefined) return id;
  return `${id}|${Math.floor(stamps.lastSeen / 1000)}|${Math.floor(stamps.firstSeen / 1000)}`;
}

const words = { 0: 0, 1: 0 };

/**
 * The session id of a token. A plain value names no session: its id, its start and the client's address stand for one, so
 * that on every replica all requests of a client move to one place, and the clients of a lost endpoint to all of the others.
 * Good until the next call.
 */
export function sessionOf(token: VerifiedToken, clientAddress: string): Readonly<typeof words> {
  if (token.plainId !== '') hashText(`${token.plainId} ${token.issuedAt} ${clientAddress}`, words);
  else {
    words[0] = token.sessionHigh;
    words[1] = token.sessionLow;
  }
  return words;
}

/** Index of the endpoint that a token names; -1 = it is not in the pool. */
export function endpointOf(token: VerifiedToken, pool: LivePool, identity: IdentityKind): number {
  // A pod may be behind two of the Services, and the session is at one of them.
  const part = partOf(pool, token);
  const own = part?.pool.identity[identity].byPrefix.get(token.prefix);
  if (part !== undefined && own !== undefined) return part.first + own;
  const found =
    token.plainId === '' ? pool.identity[identity].byPrefix.get(token.prefix) : plainIds(pool).get(token.plainId);
  return found ?? -1;
}

/** Pools are replaced, never changed; made when the first plain value is looked up. */
const idsOfPools = new WeakMap<LivePool, ReadonlyMap<string, number>>();

function plainIds(pool: LivePool): ReadonlyMap<string, number> {
  const known = idsOfPools.get(pool);
  if (known !== undefined) return known;
  const ids = new Map<string, number>();
  const named = pool.endpoints.map((endpoint, index) => ({ endpoint, index }));
  // Of endpoints with one id the first Ready by name has it.
  named.sort((a, b) => rank(a.endpoint) - rank(b.endpoint) || (a.endpoint.pod < b.endpoint.pod ? -1 : 1));
  for (const { endpoint, index } of named) {
    const id = plainIdOf(endpoint);
    if (!ids.has(id)) ids.set(id, index);
  }
  idsOfPools.set(pool, ids);
  return ids;
}

export function plainIdOf(endpoint: LiveEndpoint): string {
  return endpoint.cookieValue ?? endpoint.pod;
}

function rank(endpoint: LiveEndpoint): number {
  return endpoint.state === READY ? 0 : 1;
}
