/** `preferVersion`: which endpoints a session that moves goes to first. */
import type { LivePool } from '../model/live.ts';
import type { CompiledPolicy } from '../model/policy.ts';
import type { KeyRing } from './keyring.ts';
import { endpointOf } from './plain.ts';
import type { VerifiedToken } from './token.ts';

/**
 * Whether an endpoint is one of those; undefined = all are alike.
 *
 * @param token the session's, as far as it has one
 * @param index of the endpoint that it leaves; negative = that has left the pool, and only the token knows its version
 */
export function preferred(
  policy: CompiledPolicy,
  pool: LivePool,
  token: VerifiedToken | undefined,
  index: number,
  keys: KeyRing,
): ((index: number) => boolean) | undefined {
  const { preferVersion } = policy.lost;
  if (preferVersion === 'Any') return undefined;
  const version = preferVersion === 'Newest' ? pool.newest : pool.endpoints[index]?.version;
  if (version !== undefined) return (other) => pool.endpoints[other]?.version === version;
  if (preferVersion === 'Newest' || token === undefined || token.version === 0) return undefined;
  const { keyId, version: tag } = token;
  return (other) => keys.versionTag(keyId, pool.endpoints[other]?.version) === tag;
}

/** Whether a token does not say the version of its endpoint although that matters: it was not known, or the pod was made anew. */
export function hasOldVersion(token: VerifiedToken, policy: CompiledPolicy, pool: LivePool, keys: KeyRing): boolean {
  // A key may have left the ring since the token was verified; then the token is written anew for that.
  const matters = policy.lost.preferVersion === 'Same' || policy.stickTo === 'Version';
  if (!matters || !keys.has(token.keyId)) return false;
  const version = pool.endpoints[endpointOf(token, pool, policy.identity)]?.version;
  return version !== undefined && keys.versionTag(token.keyId, version) !== token.version;
}
