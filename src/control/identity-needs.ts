/** Which identities of a Service's endpoints are looked up at all: those that the policies in force tell endpoints by. */
import { objectKey, type IdentityKind, type ObjectKey, type PoolKey } from '../model/ids.ts';
import type { Table } from '../model/table.ts';

const KINDS: readonly IdentityKind[] = ['PodUID', 'PodName', 'Address'];
const NONE: readonly IdentityKind[] = [];

export class IdentityNeeds {
  /** Each value in the order of `KINDS`. */
  #kinds: ReadonlyMap<ObjectKey, readonly IdentityKind[]> = new Map();

  /** Empty where nothing is sticky: no look-up material is made, sent or kept for such a Service's endpoints. */
  of(namespace: string, service: string): readonly IdentityKind[] {
    return this.#kinds.get(objectKey(namespace, service)) ?? NONE;
  }

  /** Takes over what a table needs; returns the Services of which something else is needed now. */
  update(table: Table): ReadonlySet<ObjectKey> {
    const before = this.#kinds;
    const now = needsOf(table);
    this.#kinds = now;
    const changed = new Set<ObjectKey>();
    for (const [service, kinds] of now) if (String(before.get(service)) !== String(kinds)) changed.add(service);
    for (const service of before.keys()) if (!now.has(service)) changed.add(service);
    return changed;
  }
}

function needsOf({ affinities, policies }: Table): Map<ObjectKey, readonly IdentityKind[]> {
  const needs = new Map<ObjectKey, readonly IdentityKind[]>();
  const need = (service: ObjectKey, kind: IdentityKind): void => {
    const known = needs.get(service) ?? NONE;
    if (!known.includes(kind))
      needs.set(
        service,
        KINDS.filter((each) => each === kind || known.includes(each)),
      );
  };
  for (const { policy: id, service, groupPools } of affinities.values()) {
    const policy = policies.get(id);
    if (policy === undefined) continue;
    need(objectKey(policy.namespace, service), policy.identity);
    // A session of the group may be at an endpoint of another Service, which its token must lead to.
    for (const pool of groupPools) need(serviceOf(pool), policy.identity);
  }
  return needs;
}

function serviceOf(pool: PoolKey): ObjectKey {
  return pool.slice(0, pool.lastIndexOf(':'));
}
