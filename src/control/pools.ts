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
  #specsByService = new Map<ObjectKey, PoolSpec[]>();

  get all(): ReadonlyMap<PoolKey, Pool> {
    return this.#pools;
  }

  problems(): Problem[] {
    return [...this.#problems.values()].flat();
  }

  /** A new table may want other pools, or the same ones made otherwise (another port name). */
  retable(table: Table, snapshot: Snapshot, now: number): void {
    this.#specsByService = new Map();
    for (const spec of table.pools.values()) {
      const specs = this.#specsByService.get(spec.serviceKey);
      if (specs === undefined) this.#specsByService.set(spec.serviceKey, [spec]);
      else specs.push(spec);
      this.#build(spec, snapshot, now);
    }
    for (const key of this.#pools.keys()) {
      if (table.pools.has(key)) continue;
      this.#pools.delete(key);
      this.#problems.delete(key);
    }
  }

  /** The fast path: rebuilds the pools of these Services; returns those that came out different. */
  refresh(services: Iterable<ObjectKey>, snapshot: Snapshot, now: number): Pool[] {
    const changed: Pool[] = [];
    for (const service of services) {
      for (const spec of this.#specsByService.get(service) ?? []) {
        const before = this.#pools.get(spec.key);
        const after = this.#build(spec, snapshot, now);
        if (after !== before) changed.push(after);
      }
    }
    return changed;
  }

  /** Keeps the object of a pool that is the same as before: what is identical is not sent again. */
  #build(spec: PoolSpec, snapshot: Snapshot, now: number): Pool {
    const slices = snapshot.slicesByService.get(spec.serviceKey)?.values() ?? [];
    const before = this.#pools.get(spec.key);
    const { pool, problems } = buildPool(spec, slices, before, now, snapshot.pods);
    this.#problems.set(spec.key, problems);
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
