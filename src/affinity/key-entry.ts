/** A key's entry in the session table, which alone knows it: modes Table and Learn. */
import { ABSENT, AUTHORITATIVE } from '../model/live.ts';
import type { LivePool, SessionView } from '../model/live.ts';
import type { TableUse } from '../model/policy.ts';
import type { LiveAffinity } from './build.ts';
import { indexOfRef, setEntry } from './entry.ts';
import type { Entry, EntryScope } from './entry.ts';
import type { DecideEnv } from './env.ts';

export interface KeyEntry extends Entry {
  /** What other replicas know the entry by: the key's text, and its scope. */
  key: string;
  scope: EntryScope | undefined;
  /** The ref that the table has for the key, or `ABSENT`. */
  expected: number;
  /** Wall clock ms: an entry that began before is over. */
  born: number;
  /** Wall clock ms of its last use. */
  lastSeen: number;
  /** Wall clock ms at which it began. */
  began: number;
  /** ms by which the entry is extended while something that uses it is open. */
  extend: number;
}

const view: SessionView = { ref: 0, lastSeen: 0, firstSeen: 0 };

/**
 * Looks a key up, `high` and `low` being its hash: fills `entry` in but for its `key`, and answers the index in `pool` of its endpoint,
 * negative = there is none, or it has left.
 */
export function findKey(
  entry: KeyEntry,
  live: LiveAffinity,
  use: TableUse,
  high: number,
  low: number,
  pool: LivePool,
  env: DecideEnv,
): number {
  const index = look(entry, live, use, live.entries, high, low, pool, env);
  if (index >= 0 || !isElsewhereInGroup(entry, live, env)) return index;
  // The group's session stays where it is; this Service, which does not have that pod, remembers a choice of its own.
  return look(entry, live, use, live.ownEntries, high, low, pool, env);
}

function look(
  entry: KeyEntry,
  live: LiveAffinity,
  use: TableUse,
  scope: EntryScope,
  high: number,
  low: number,
  pool: LivePool,
  env: DecideEnv,
): number {
  const { absoluteTimeout } = live.policy;
  setEntry(entry, AUTHORITATIVE, scope, high, low, use.idleTimeout);
  entry.scope = scope;
  entry.extend = use.extendWhileActive;
  entry.expected = ABSENT;
  entry.born = 0;
  entry.began = env.now;
  if (!env.sessions.find(AUTHORITATIVE, entry.entryHigh, entry.entryLow, env.now, view)) return -1;
  if (absoluteTimeout > 0 && env.now > view.firstSeen + absoluteTimeout) {
    entry.born = view.firstSeen + 1;
    return -1;
  }
  entry.expected = view.ref;
  entry.lastSeen = view.lastSeen;
  entry.began = view.firstSeen;
  return indexOfRef(view.ref, live.policy, pool, env);
}

function isElsewhereInGroup({ expected }: KeyEntry, { affinity }: LiveAffinity, env: DecideEnv): boolean {
  if (affinity.groupPools.length === 0 || expected === ABSENT) return false;
  const place = env.placeOf(expected);
  return place !== undefined && affinity.groupPools.includes(place.pool.key);
}
