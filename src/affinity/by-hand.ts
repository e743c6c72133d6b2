/** Sessions that were moved or ended by hand. While there are no overrides this costs one comparison. */
import type { LivePool } from '../model/live.ts';
import type { CompiledPolicy } from '../model/policy.ts';
import type { Decision } from './decision.ts';
import { fingerprint } from './entry.ts';
import type { EntryScope } from './entry.ts';
import type { DecideEnv } from './env.ts';
import { sessionOf } from './plain.ts';
import { HEALTHY_READY, tierOf } from './select.ts';
import type { VerifiedToken } from './token.ts';

/** How long it may be, by replicas' clocks, until all have heard of an override: tokens that were made meanwhile do not know of it. */
const SPREAD = 10_000;

const words = { 0: 0, 1: 0 };

/** Whether the session of a token has been ended: its id never comes back, however new the token is. */
export function isEnded(
  d: Decision,
  token: VerifiedToken,
  scope: EntryScope,
  clientAddress: string,
  env: DecideEnv,
): boolean {
  if (env.overrides.size === 0) return false;
  const id = sessionOf(token, clientAddress);
  fingerprint(scope, id[0], id[1], words);
  const found = env.overrides.find(words[0], words[1]);
  if (found === undefined || found.to !== undefined) return false;
  d.dated = true;
  return true;
}

/**
 * Index of the endpoint that the decision's session was moved to; -1 = none, or it cannot take it, or the token was made
 * later. `token`: undefined = the session is that of a key.
 */
export function movedTo(
  d: Decision,
  policy: CompiledPolicy,
  token: VerifiedToken | undefined,
  pool: LivePool,
  env: DecideEnv,
): number {
  if (env.overrides.size === 0) return -1;
  const found = env.overrides.find(d.entryHigh, d.entryLow);
  if (found?.to === undefined) return -1;
  d.dated = true;
  if (token !== undefined && (token.lastSeen || token.issuedAt) > found.from + SPREAD) return -1;
  const index = pool.identity[policy.identity].byPrefix.get(found.to) ?? -1;
  return index >= 0 && tierOf(pool, index, d.tried, env.meters) === HEALTHY_READY ? index : -1;
}
