/** What becomes of a request whose key the session table alone knows: modes Table and Learn. */
import { ABSENT } from '../model/live.ts';
import type { LivePool } from '../model/live.ts';
import type { TableUse } from '../model/policy.ts';
import type { LiveAffinity, LiveRule } from './build.ts';
import { chooseNew } from './choose-new.ts';
import { OUTCOME, REASON } from './decision.ts';
import type { Decision } from './decision.ts';
import { prefixOfRef } from './entry.ts';
import type { DecideEnv } from './env.ts';
import { followBinding } from './follow.ts';
import { findKey } from './key-entry.ts';
import { rebalanceKey } from './rebalance.ts';
import { hashText } from './rendezvous.ts';

const words = { 0: 0, 1: 0 };

/** False = no backend has minted this key (mode Learn), and nothing is decided. */
export function followEntry(
  d: Decision,
  live: LiveAffinity,
  rule: LiveRule,
  use: TableUse,
  value: string,
  pool: LivePool,
  env: DecideEnv,
): boolean {
  hashText(value, words);
  d.sessionHigh = words[0];
  d.sessionLow = words[1];
  const index = findKey(d, live, use, words[0], words[1], pool, env);
  if (d.expected !== ABSENT) followKnown(d, live, rule, pool, index, env);
  else if (use.mode === 'Learn') d.region = -1;
  else chooseNew(d, live.policy, pool, true, d.born > 0 ? REASON.absolute_expired : REASON['-'], env);
  return d.expected !== ABSENT || use.mode === 'Table';
}

function followKnown(
  d: Decision,
  live: LiveAffinity,
  rule: LiveRule,
  pool: LivePool,
  index: number,
  env: DecideEnv,
): void {
  const lighter = rebalanceKey(d, live.policy, rule, d.lastSeen, pool, index, env);
  if (lighter >= 0) d.choose(lighter, OUTCOME.moved, REASON.rebalance);
  else followBinding(d, live, rule, formerName(d, live, env), pool, index, env);
}

/** How `LivePool.left` calls the key's endpoint; found out only where its return is waited for. */
function formerName(d: Decision, { policy }: LiveAffinity, env: DecideEnv): string | undefined {
  return policy.lost.goneGrace > 0 ? prefixOfRef(d.expected, policy, env) : undefined;
}
