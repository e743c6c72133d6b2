/** The pools of the current table: built from EndpointSlices, rebuilt one by one when slices change. */
import { buildPool } from '../compile/endpoints.ts';
import type { ObjectKey, PoolKey } from '../model/ids.ts';
import type { Pool } from '../model/pool.ts';
import type { Problem } from '../model/problem.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { PoolSpec, Table } from '../model/table.ts';

export class Pools {
  readonly #pools = new Map<PoolKey, Pool>();
  readonly #problems = new Map<PoolKey, readonly Problem[]>();
  readonly #specs = new Map<PoolKey, PoolSpec>();
  readonly #keysByService = new Map<ObjectKey, readonly PoolKey[]>();

  get all(): ReadonlyMap<PoolKey, Pool> {
    return this.#pools;
  }

  problems(): Problem[] {
    return [...this.#problems.values()].flat();
  }

  /**
   * A new table may want other pools, or the same ones made otherwise (another port name).
   *
   * @param changed Services whose slices or pods are different
   */
  retable(table: Table, changed: ReadonlySet<ObjectKey>, snapshot: Snapshot, now: number): void {
    for (const spec of table.pools.values()) {
      const known = this.#specs.get(spec.key);
      if (known === spec && !changed.has(spec.serviceKey)) continue;
      if (known === undefined) this.#add(spec);
      this.#specs.set(spec.key, spec);
      this.#build(spec, snapshot, now);
    }
    if (this.#specs.size === table.pools.size) return;
    for (const [key, spec] of this.#specs) if (!table.pools.has(key)) this.#remove(spec);
  }

  /** The fast path: rebuilds the pools of these Services; returns those that came out different. */
  refresh(services: Iterable<ObjectKey>, snapshot: Snapshot, now: number): Pool[] {
    const changed: Pool[] = [];
    for (const service of services) {
      for (const key of this.#keysByService.get(service) ?? []) {
        const spec = this.#specs.get(key);
        if (spec === undefined) continue;
        const before = this.#pools.get(key);
        const after = this.#build(spec, snapshot, now);
        if (after !== before) changed.push(after);
      }
    }
    return changed;
  }

  #add({ key, serviceKey }: PoolSpec): void {
    this.#keysByService.set(serviceKey, [...(this.#keysByService.get(serviceKey) ?? []), key]);
  }

  #remove({ key, serviceKey }: PoolSpec): void {
    const left = (this.#keysByService.get(serviceKey) ?? []).filter((other) => other !== key);
    if (left.length === 0) this.#keysByService.delete(serviceKey);
    else this.#keysByService.set(serviceKey, left);
    this.#specs.delete(key);
    this.#pools.delete(key);
    this.#problems.delete(key);
  }

  /** Keeps the object of a pool that is the same as before: what is identical is not sent again. */
  #build(spec: PoolSpec, snapshot: Snapshot, now: number): Pool {
    const slices = snapshot.slicesByService.get(spec.serviceKey)?.values() ?? [];
    const before = this.#pools.get(spec.key);
    const { pool, problems } = buildPool(spec, slices, before, now, snapshot.pods);
    if (problems.length > 0) this.#problems.set(spec.key, problems);
    else this.#problems.delete(spec.key);
    if (before !== undefined && samePool(before, pool)) return before;
    this.#pools.set(spec.key, pool);
    return pool;
  }
}

function samePool(a: Pool, b: Pool): boolean {
  if (a.endpoints.length !== b.endpoints.length) return false;
  return a.endpoints.every((endpoint, i) => {
    const other = b.endpoints[i];
    return (
      other !== undefined &&
      endpoint.address === other.address &&
      endpoint.port === other.port &&
      endpoint.state === other.state &&
      endpoint.since === other.since &&
      endpoint.pod === other.pod &&
      endpoint.cookieValue === other.cookieValue &&
      endpoint.identities.PodUID === other.identities.PodUID &&
      endpoint.identities.PodName === other.identities.PodName
    );
  });
}
