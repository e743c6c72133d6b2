/** Sessions whose endpoint has vanished and may come back under the same identity, as a pod of a StatefulSet does. */
import { NOT_READY } from '../model/live.ts';
import type { LivePool } from '../model/live.ts';
import type { LiveAffinity, LiveRule } from './build.ts';
import type { DecideEnv } from './env.ts';
import type { VerifiedToken } from './token.ts';

/**
 * Until when the endpoint of a session is expected back (wall clock, ms); 0 = it is here, or not worth waiting for.
 * `name`: as `LivePool.left` calls it.
 */
export function returnsUntil(
  { policy, affinity }: LiveAffinity,
  rule: LiveRule,
  name: string,
  pool: LivePool,
  index: number,
  env: DecideEnv,
): number {
  const { goneGrace } = policy.lost;
  const endpoint = pool.endpoints[index];
  if (endpoint !== undefined) {
    // Made anew and still starting: it would refuse what it is sent.
    const starts = endpoint.state === NOT_READY && !endpoint.wasReady && !rule.force;
    const left = starts ? pool.left.get(name) : undefined;
    return left === undefined ? 0 : left + goneGrace;
  }
  let left = leftAt(name, pool);
  // A Service of a group that never had it does not take the group's session away from it.
  for (const key of affinity.groupPools) {
    const other = env.poolOf(key);
    if (other !== undefined) left = Math.max(left, leftAt(name, other));
  }
  return left + goneGrace;
}

/** Whoever starts does not know what has just left, and takes everything that is missing for that. */
function leftAt(name: string, pool: LivePool): number {
  return pool.left.get(name) ?? pool.firstSeen;
}

/** How `LivePool.left` calls the token's endpoint. */
export function nameOf({ plainId, prefix }: VerifiedToken): string {
  return plainId === '' ? prefix : plainId;
}
