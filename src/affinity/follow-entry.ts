/** What becomes of a request whose key the session table alone knows: modes Table and Learn. */
import { ABSENT } from '../model/live.ts';
import type { LivePool } from '../model/live.ts';
import type { TableUse } from '../model/policy.ts';
import type { LiveAffinity, LiveRule } from './build.ts';
import { chooseNew } from './choose-new.ts';
import { ALONE, OUTCOME, REASON, UNREACHABLE } from './decision.ts';
import type { Decision } from './decision.ts';
import { prefixOfRef } from './entry.ts';
import type { DecideEnv } from './env.ts';
import { followBinding, rejectWithoutEndpoint } from './follow.ts';
import { findKey } from './key-entry.ts';
import { rebalanceKey } from './rebalance.ts';
import { hashText } from './rendezvous.ts';
import { pickHashed } from './select.ts';

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
  d.key = value;
  const index = findKey(d, live, use, words[0], words[1], pool, env);
  if (d.expected !== ABSENT) followKnown(d, live, rule, pool, index, env);
  else if (d.asked !== ALONE && d.askedScope !== d.scope) d.ask();
  else if (d.asked !== ALONE && d.foundTag !== '') followFound(d, live, rule, pool, env);
  else if (use.mode === 'Learn') {
    d.region = -1;
    return false;
  } else if (d.asked === UNREACHABLE) chooseByKey(d, live, pool, env);
  else chooseNew(d, live.policy, pool, true, d.born > 0 ? REASON.absolute_expired : REASON['-'], env);
  return true;
}

/** The session store has the key at an endpoint that this replica did not have when it was asked. */
function followFound(d: Decision, live: LiveAffinity, rule: LiveRule, pool: LivePool, env: DecideEnv): void {
  d.began = d.foundBegan;
  const index = pool.identity[live.policy.identity].byPrefix.get(d.foundTag) ?? -1;
  followBinding(d, live, rule, d.foundTag, pool, index, env);
}

/** A new key while the session store is away: every replica chooses the same endpoint for it. */
function chooseByKey(d: Decision, { policy }: LiveAffinity, pool: LivePool, env: DecideEnv): void {
  const index = pickHashed(policy, 'Rendezvous', pool, d.sessionHigh, d.sessionLow, d.tried, env);
  if (index < 0) rejectWithoutEndpoint(d);
  else d.choose(index, OUTCOME.new, d.born > 0 ? REASON.absolute_expired : REASON['-']);
}

function followKnown(
  d: Decision,
  live: LiveAffinity,
  rule: LiveRule,
  pool: LivePool,
  index: number,
  env: DecideEnv,
): void {
  // Of a key that replicas share this one does not know when it was last used.
  const lighter = d.asked === ALONE ? rebalanceKey(d, live.policy, rule, d.lastSeen, pool, index, env) : -1;
  if (lighter >= 0) d.choose(lighter, OUTCOME.moved, REASON.rebalance);
  else followBinding(d, live, rule, formerName(d, live, env), pool, index, env);
}

/** How `LivePool.left` calls the key's endpoint; found out only where its return is waited for. */
function formerName(d: Decision, { policy }: LiveAffinity, env: DecideEnv): string | undefined {
  return policy.lost.goneGrace > 0 ? prefixOfRef(d.expected, policy, env) : undefined;
}
