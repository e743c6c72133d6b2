/** `session.stickTo`: sessions that stay at a version or at a backend, and are balanced among its endpoints. */
import { DRAINING, READY } from '../model/live.ts';
import type { Candidates, LivePool } from '../model/live.ts';
import type { CompiledPolicy } from '../model/policy.ts';
import type { Decision } from './decision.ts';
import { drainKeeps } from './entry.ts';
import type { DecideEnv } from './env.ts';
import type { KeyRing } from './keyring.ts';
import { partAt, partOf } from './parts.ts';
import { pickNew } from './pick-new.ts';
import type { VerifiedToken } from './token.ts';

/**
 * An endpoint for a session that is bound to the endpoint `index` of the pool (negative = that has left) and need not
 * stay there; -1 = it must, or what it stays at is gone. The token that bound it, if one did, is `d.bound`.
 */
export function pickWithin(d: Decision, policy: CompiledPolicy, pool: LivePool, index: number, env: DecideEnv): number {
  const token = d.bound;
  const home = partAt(pool, index) ?? (token === undefined ? undefined : partOf(pool, token));
  if (pool.parts !== undefined && home === undefined) return -1;
  if (pool.only !== undefined && home !== pool.only) return -1;
  const within = home?.pool ?? pool;
  const first = home?.first ?? 0;
  const among = policy.stickTo === 'Version' ? sameVersion(within, index - first, token, env.keys) : within;
  const next = among === undefined ? -1 : pickNew(policy, within, d.tried, env, 0, among);
  if (next < 0) return -1;
  const leaves = within.endpoints[next]?.state === DRAINING && !drainKeeps(policy, within, next, env.now);
  return leaves ? -1 : first + next;
}

/** undefined = nobody has the session's version, or it is not known. */
function sameVersion(
  pool: LivePool,
  index: number,
  token: VerifiedToken | undefined,
  keys: KeyRing,
): Candidates | undefined {
  const versions = versionsOf(pool);
  if (token === undefined || token.version === 0) {
    const version = pool.endpoints[index]?.version;
    return version === undefined ? undefined : versions.get(version);
  }
  for (const [version, candidates] of versions) {
    if (keys.versionTag(token.keyId, version) === token.version) return candidates;
  }
  return undefined;
}

/** Pools are replaced, never changed; made when the first such session comes. */
const made = new WeakMap<LivePool, ReadonlyMap<string, Candidates>>();

function versionsOf(pool: LivePool): ReadonlyMap<string, Candidates> {
  let versions = made.get(pool);
  if (versions === undefined) made.set(pool, (versions = divide(pool)));
  return versions;
}

function divide({ endpoints }: LivePool): ReadonlyMap<string, Candidates> {
  const versions = Map.groupBy(endpoints.keys(), (index) => endpoints[index]?.version ?? '');
  versions.delete('');
  const of = (indices: readonly number[], state: number) =>
    Int32Array.from(indices.filter((index) => endpoints[index]?.state === state));
  return new Map(
    [...versions].map(([version, indices]) => [
      version,
      { ready: of(indices, READY), draining: of(indices, DRAINING) },
    ]),
  );
}
