/** Which identities of a Service's endpoints are looked up at all: those that the policies in force tell endpoints by. */
import { objectKey, type IdentityKind, type ObjectKey, type PoolKey } from '../model/ids.ts';
import type { CompiledAffinity } from '../model/policy.ts';
import { changedKeys } from '../model/sharded-map.ts';
import type { Table } from '../model/table.ts';

const KINDS: readonly IdentityKind[] = ['PodUID', 'PodName', 'Address'];
const NONE: readonly IdentityKind[] = [];

/** What one affinity needs: the same kind of each of these Services. */
interface Need {
  readonly kind: IdentityKind;
  readonly services: readonly ObjectKey[];
}

export class IdentityNeeds {
  #affinities: Table['affinities'] = new Map();
  #policies: Table['policies'] = new Map();
  /** By affinity. */
  readonly #needs = new Map<string, Need>();
  /** How many affinities need a kind. */
  readonly #times = new Map<ObjectKey, Map<IdentityKind, number>>();

  /** Empty where nothing is sticky: no look-up material is made, sent or kept for such a Service's endpoints. */
  of(namespace: string, service: string): readonly IdentityKind[] {
    const times = this.#times.get(objectKey(namespace, service));
    return times === undefined ? NONE : KINDS.filter((kind) => times.has(kind));
  }

  /** Takes over what a table needs; returns the Services of which something else is needed now. */
  update({ affinities, policies }: Table): ReadonlySet<ObjectKey> {
    const touched = new Set(changedKeys(this.#affinities, affinities));
    const edited = new Set<string>();
    for (const id of changedKeys(this.#policies, policies)) {
      if (this.#policies.get(id)?.identity !== policies.get(id)?.identity) edited.add(id);
    }
    // One that is new or gone has affinities that are new or gone; only an edited one can have some that stay.
    if ([...edited].some((id) => this.#policies.has(id) && policies.has(id))) {
      for (const { id, policy } of affinities.values()) if (edited.has(policy)) touched.add(id);
    }
    const changed = new Set<ObjectKey>();
    for (const id of touched) this.#replace(id, needOf(affinities.get(id), policies), changed);
    this.#affinities = affinities;
    this.#policies = policies;
    return changed;
  }

  #replace(id: string, need: Need | undefined, changed: Set<ObjectKey>): void {
    const before = this.#needs.get(id);
    // In this order, so that what stays needed is never thought to be gone.
    if (need !== undefined) this.#count(need, 1, changed);
    if (before !== undefined) this.#count(before, -1, changed);
    if (need === undefined) this.#needs.delete(id);
    else this.#needs.set(id, need);
  }

  #count({ kind, services }: Need, by: 1 | -1, changed: Set<ObjectKey>): void {
    for (const service of services) {
      const times = this.#times.get(service) ?? new Map<IdentityKind, number>();
      const before = times.get(kind) ?? 0;
      if (before === 0 || before + by === 0) changed.add(service);
      if (before + by === 0) times.delete(kind);
      else times.set(kind, before + by);
      if (times.size === 0) this.#times.delete(service);
      else this.#times.set(service, times);
    }
  }
}

function needOf(affinity: CompiledAffinity | undefined, policies: Table['policies']): Need | undefined {
  const policy = policies.get(affinity?.policy ?? '');
  if (affinity === undefined || policy === undefined) return undefined;
  // A session may be at an endpoint of another Service of the group, or that requests are divided among.
  const divided = (affinity.splits ?? []).flatMap(({ backends }) => backends.map(({ pool }) => pool));
  const services = [
    objectKey(policy.namespace, affinity.service),
    ...[...affinity.groupPools, ...divided, ...(affinity.canaries ?? [])].map(serviceOf),
  ];
  return { kind: policy.identity, services: [...new Set(services)] };
}

function serviceOf(pool: PoolKey): ObjectKey {
  return pool.slice(0, pool.lastIndexOf(':'));
}
