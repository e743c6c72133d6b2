/** A request's session in the session table: its fingerprint, where the table has it, and how long it lives there. */
import { DRAINING } from '../model/live.ts';
import type { IdentityKind } from '../model/ids.ts';
import type { EndpointPlace, LivePool, SessionRegion, SessionView } from '../model/live.ts';
import type { CompiledPolicy } from '../model/policy.ts';
import type { Decision } from './decision.ts';
import type { DecideEnv } from './env.ts';
import { hashText } from './rendezvous.ts';

/** A scope in the table: two words that go into every fingerprint, and 24 bits that tell whose entry it is. */
export interface EntryScope {
  readonly text: string;
  readonly high: number;
  readonly low: number;
  readonly id: number;
}

/** What `whereSeen` answers besides an index. */
export const UNSEEN = -2;
const ELSEWHERE = -1;

/** A session without an idle timeout is taken for over when it has not been used for so long. */
const FORGET_MS = 30 * 60 * 1000;

export function entryScope(scope: string): EntryScope {
  const words = { 0: 0, 1: 0 };
  hashText(scope, words);
  return { text: scope, high: words[0], low: words[1], id: words[0] >>> 8 };
}

/** How long the table keeps a session of this policy after its last use, ms. */
export function entryLife({ idleTimeout, absoluteTimeout }: CompiledPolicy): number {
  if (idleTimeout > 0) return idleTimeout;
  return absoluteTimeout > 0 ? Math.min(absoluteTimeout, FORGET_MS) : FORGET_MS;
}

/** Where a session is recorded. */
export interface Entry {
  /** -1 = nowhere. */
  region: SessionRegion | -1;
  entryHigh: number;
  entryLow: number;
  entryScope: number;
  /** ms that the table keeps it after its last use. */
  entryLife: number;
}

const words = { 0: 0, 1: 0 };
const view: SessionView = { ref: 0, lastSeen: 0, firstSeen: 0 };

/** Says under which fingerprint a session is recorded. `high`, `low`: the session id or the key's hash. */
export function setEntry(
  d: Entry,
  region: SessionRegion,
  scope: EntryScope,
  high: number,
  low: number,
  life: number,
): void {
  d.region = region;
  d.entryScope = scope.id;
  d.entryLife = life;
  fingerprint(scope, high, low, words);
  d.entryHigh = words[0];
  d.entryLow = words[1];
}

/** Of a session id or a key's hash in its scope, into `out`: the same in all replicas. */
export function fingerprint(scope: EntryScope, high: number, low: number, out: { 0: number; 1: number }): void {
  out[0] = mix(high ^ scope.high, low);
  out[1] = mix(low ^ scope.low, out[0]);
}

/** Index in `pool` of the endpoint that the table has for the decision's entry; `UNSEEN`, or another negative number: it is not of this pool. */
export function whereSeen(
  d: Decision,
  region: SessionRegion,
  policy: CompiledPolicy,
  pool: LivePool,
  env: DecideEnv,
): number {
  if (!env.sessions.find(region, d.entryHigh, d.entryLow, env.now, view)) return UNSEEN;
  return indexOfRef(view.ref, policy, pool, env);
}

/** Whether the table has seen a session since `time` (ms); `scope` and the words as in `setEntry`. */
export function seenSince(
  scope: EntryScope,
  high: number,
  low: number,
  region: SessionRegion,
  time: number,
  env: DecideEnv,
): boolean {
  fingerprint(scope, high, low, words);
  return env.sessions.find(region, words[0], words[1], env.now, view) && view.lastSeen >= time;
}

/**
 * The same endpoint in this pool, by the policy's identity: another port of a Service, another Service of a group, a pod
 * of a StatefulSet that was made anew.
 */
export function indexOfRef(ref: number, policy: CompiledPolicy, pool: LivePool, env: DecideEnv): number {
  const place = env.placeOf(ref);
  if (place?.pool === pool) return place.index;
  if (place !== undefined && pool.parts !== undefined) {
    for (const part of pool.parts) if (part.pool === place.pool) return part.first + place.index;
  }
  const prefix = prefixOfRef(ref, policy, env);
  return prefix === undefined ? ELSEWHERE : (pool.identity[policy.identity].byPrefix.get(prefix) ?? ELSEWHERE);
}

/** A token prefix of the endpoint, which may have gone. */
export function prefixOfRef(ref: number, { identity }: CompiledPolicy, env: DecideEnv): string | undefined {
  const place = env.placeOf(ref);
  return place === undefined ? env.formerPrefix(ref, identity) : prefixAt(place, identity);
}

export function prefixAt({ pool, index }: EndpointPlace, identity: IdentityKind): string | undefined {
  const [prefixes] = pool.identity[identity].prefixes.values();
  return prefixes?.[index];
}

/** A draining endpoint keeps the sessions that it has, for as long as the policy says. */
export function drainKeeps(policy: CompiledPolicy, pool: LivePool, index: number, now: number): boolean {
  const endpoint = pool.endpoints[index];
  if (endpoint?.state !== DRAINING || policy.drain.action === 'Move') return false;
  return policy.drain.maxDuration === 0 || now - endpoint.since < policy.drain.maxDuration;
}

function mix(a: number, b: number): number {
  let x = Math.imul(a ^ (a >>> 16), 0x21f0aaad);
  x = ((x ^ (x >>> 15)) + b) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x735a2d97);
  return x ^ (x >>> 15);
}
