/** Lists the sessions that this replica's table knows, with the names that users know. */
import type { SessionInfo, SessionListing, SessionQuery } from '../admin/types.ts';
import { entryScope } from '../affinity/entry.ts';
import { AUTHORITATIVE } from '../model/live.ts';
import type { CompiledAffinity, CompiledPolicy } from '../model/policy.ts';
import type { Table } from '../model/table.ts';
import type { Counted } from '../shared/counted.ts';
import { refOf, slotOf } from '../shared/session-entries.ts';
import type { ListedSession, SessionTable } from '../shared/session-table.ts';
import { slotLabels } from '../shared/slot-keys.ts';

/** An affinity, and its policy. */
export interface Owner {
  readonly affinity: CompiledAffinity;
  readonly policy: CompiledPolicy;
}

/** Whose sessions a scope's are; several Services of a group share one. */
export type Owners = ReadonlyMap<string, readonly [Owner, ...Owner[]]>;

/** By the text of the scope. */
export function ownersOf(table: Table | undefined): Owners {
  const owners = new Map<string, [Owner, ...Owner[]]>();
  for (const affinity of table?.affinities.values() ?? []) {
    const policy = table?.policies.get(affinity.policy);
    if (policy === undefined) continue;
    for (const scope of new Set([affinity.scope, affinity.ownScope])) {
      const known = owners.get(scope);
      if (known === undefined) owners.set(scope, [{ affinity, policy }]);
      else known.push({ affinity, policy });
    }
  }
  return owners;
}

/** 16 hexadecimal digits: the session's fingerprint, the same at all replicas. */
export function idOf({ high, low }: { readonly high: number; readonly low: number }): string {
  return [high, low].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

/** undefined = it is no id. */
export function wordsOf(id: string): { readonly high: number; readonly low: number } | undefined {
  if (!/^[0-9a-f]{16}$/.test(id)) return undefined;
  return { high: parseInt(id.slice(0, 8), 16) | 0, low: parseInt(id.slice(8), 16) | 0 };
}

interface Labels {
  readonly namespace: string;
  readonly service: string;
  readonly pod: string;
}

/** The latest used first. It goes through the whole table: some milliseconds for each 100,000 sessions. */
export function listSessions(
  sessions: Pick<SessionTable, 'each'>,
  counted: Counted,
  owners: Owners,
  { policy, pod, id, limit }: SessionQuery,
  now: number,
): SessionListing {
  const byScope = new Map([...owners].map(([scope, list]) => [entryScope(scope).id, list] as const));
  const bySlot = new Map([...counted.endpoints.entries()].map(([key, slot]) => [slot, key] as const));
  const words = id === undefined ? undefined : wordsOf(id);
  const found: SessionInfo[] = [];
  let more = false;
  sessions.each(now, (session) => {
    if (words !== undefined && (words.high !== session.high || words.low !== session.low)) return;
    const at = labelsOf(session, counted, bySlot);
    if (pod !== undefined && pod !== `${at?.namespace ?? ''}/${at?.pod ?? ''}`) return;
    const list = byScope.get(session.scope) ?? [];
    const owner = list.find(({ affinity }) => affinity.service === at?.service) ?? list[0];
    if (policy !== undefined && policy !== `${owner?.policy.namespace ?? ''}/${owner?.policy.name ?? ''}`) return;
    found.push(infoOf(session, at, owner));
    if (found.length < 2 * limit) return;
    more = true;
    cut(found, limit);
  });
  more ||= found.length > limit;
  cut(found, limit);
  return { sessions: found, more };
}

/** Of several replicas: each session once, as whoever saw it last says. */
export function mergeListings(listings: readonly SessionListing[], limit: number): SessionListing {
  const byId = new Map<string, SessionInfo>();
  for (const one of listings.flatMap(({ sessions }) => sessions)) {
    const key = `${one.kind} ${one.id}`;
    const known = byId.get(key);
    if (known === undefined) byId.set(key, one);
    else {
      const last = known.lastSeen >= one.lastSeen ? known : one;
      const firstSeen = Math.min(known.firstSeen, one.firstSeen);
      byId.set(key, { ...last, firstSeen, active: known.active || one.active });
    }
  }
  const sessions = [...byId.values()];
  const more = sessions.length > limit || listings.some((listing) => listing.more);
  cut(sessions, limit);
  return { sessions, more };
}

function cut(sessions: SessionInfo[], limit: number): void {
  sessions.sort((a, b) => b.lastSeen - a.lastSeen || (a.id < b.id ? -1 : 1));
  sessions.length = Math.min(sessions.length, limit);
}

/** undefined = its endpoint has gone. */
function labelsOf({ ref }: ListedSession, counted: Counted, bySlot: ReadonlyMap<number, string>): Labels | undefined {
  const slot = slotOf(ref);
  const key = bySlot.get(slot);
  if (key === undefined || refOf(slot, counted.endpoints.generation(slot)) !== ref) return undefined;
  const [namespace = '', service = '', , pod = ''] = slotLabels(key);
  return { namespace, service, pod };
}

function infoOf(session: ListedSession, at: Labels | undefined, owner: Owner | undefined): SessionInfo {
  return {
    id: idOf(session),
    kind: session.region === AUTHORITATIVE ? 'key' : 'seen',
    namespace: owner?.policy.namespace ?? at?.namespace ?? '',
    policy: owner?.policy.name ?? '',
    service: at?.service ?? owner?.affinity.service ?? '',
    pod: at?.pod ?? '',
    active: session.active,
    firstSeen: session.firstSeen,
    lastSeen: session.lastSeen,
  };
}
