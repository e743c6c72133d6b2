/** Pools that are joined from the Services of a rule with `backends`: which of them a request belongs to. */
import type { LivePool, PoolPart } from '../model/live.ts';
import { weight as hashed } from './rendezvous.ts';
import type { VerifiedToken } from './token.ts';

/** The part that has the endpoint; undefined = no endpoint, or the pool of one Service. */
export function partAt({ parts }: LivePool, index: number): PoolPart | undefined {
  if (parts === undefined || index < 0) return undefined;
  for (let k = parts.length - 1; k >= 0; k--) if (index >= (parts[k]?.first ?? 0)) return parts[k];
  return undefined;
}

/** The part that a token names; undefined = its backend is not one of them. */
export function partOf({ parts }: LivePool, { keyId, backend }: VerifiedToken): PoolPart | undefined {
  if (parts === undefined) return undefined;
  for (let k = 0; k < parts.length; k++) if (parts[k]?.tags.get(keyId) === backend) return parts[k];
  return undefined;
}

/** The pool of the Service that the endpoint is of. */
export function servedBy(pool: LivePool, index: number): LivePool {
  return partAt(pool, index)?.pool ?? pool;
}

/**
 * The first part in a key's order, the same for every replica, that is not among `passed` (a bit for each) and takes new
 * sessions; -1 = none. Each comes first for its share of the keys, and a change of weights moves no other keys than it
 * must: weighted rendezvous hashing, Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", SPAA 2005.
 */
export function firstPart(parts: readonly PoolPart[], high: number, low: number, passed: number): number {
  let best = -1;
  let bestScore = 0;
  for (let k = 0; k < parts.length; k++) {
    const part = parts[k];
    if (part === undefined || part.weight === 0 || (passed & (1 << k)) !== 0) continue;
    const uniform = ((hashed(high, low, part.seeds[0], part.seeds[1]) >>> 0) + 0.5) / 2 ** 32;
    const score = -part.weight / Math.log(uniform);
    if (best >= 0 && score <= bestScore) continue;
    best = k;
    bestScore = score;
  }
  return best;
}
