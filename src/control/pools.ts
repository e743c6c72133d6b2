/** The pools of the current table: built from EndpointSlices, rebuilt one by one when slices change. */
import { buildPool } from '../compile/endpoints.ts';
import { compactList } from '../model/compact.ts';
import type { ObjectKey, PoolKey } from '../model/ids.ts';
import type { Pool } from '../model/pool.ts';
import type { Problem } from '../model/problem.ts';
import { changedKeys, SnapshotMap } from '../model/sharded-map.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { PoolSpec, Table } from '../model/table.ts';

export class Pools {
  readonly #pools = new SnapshotMap<Pool>();
  readonly #problems = new Map<PoolKey, readonly Problem[]>();
  #specs: Table['pools'] = new Map();
  readonly #keysByService = new Map<ObjectKey, readonly PoolKey[]>();

  get all(): ReadonlyMap<PoolKey, Pool> {
    return this.#pools.freeze();
  }

  /** One for each port of the Service that a route leads to. */
  of(service: ObjectKey): Pool[] {
    const keys = this.#keysByService.get(service) ?? [];
    return keys.map((key) => this.#pools.get(key)).filter((pool) => pool !== undefined);
  }

  problems(): Problem[] {
    return [...this.#problems.values()].flat();
  }

  /**
   * A new table may want other pools, or the same ones made otherwise (another port name).
   *
   * @param changed Services whose slices or pods are different
   */
  retable(table: Table, changed: Iterable<ObjectKey>, snapshot: Snapshot, now: number): void {
    const before = this.#specs;
    this.#specs = table.pools;
    for (const key of changedKeys(before, table.pools)) {
      const [former, spec] = [before.get(key), table.pools.get(key)];
      if (spec === undefined) this.#remove(key, former?.serviceKey ?? '');
      else {
        if (former === undefined) this.#add(spec);
        this.#build(spec, snapshot, now);
      }
    }
    this.refresh(changed, snapshot, now);
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
    this.#keysByService.set(serviceKey, compactList([...(this.#keysByService.get(serviceKey) ?? []), key]));
  }

  #remove(key: PoolKey, service: ObjectKey): void {
    const left = (this.#keysByService.get(service) ?? []).filter((other) => other !== key);
    if (left.length === 0) this.#keysByService.delete(service);
    else this.#keysByService.set(service, left);
    this.#pools.delete(key);
    this.#problems.delete(key);
  }

  /** Keeps the object of a pool that is the same as before: what is identical is not sent again. */
  #build(spec: PoolSpec, snapshot: Snapshot, now: number): Pool {
    const slices = snapshot.slicesByService.get(spec.serviceKey)?.values() ?? [];
    const before = this.#pools.get(spec.key);
    const { pool, problems } = buildPool(spec, slices, before, now, snapshot.pods, snapshot.podVersions);
    if (problems.length > 0) this.#problems.set(spec.key, problems);
    else this.#problems.delete(spec.key);
    if (before !== undefined && samePool(before, pool)) return before;
    this.#pools.set(spec.key, pool);
    return pool;
  }
}

function samePool(a: Pool, b: Pool): boolean {
  if (a.endpoints.length !== b.endpoints.length || a.portName !== b.portName) return false;
  if (a.newest !== b.newest || a.protocol !== b.protocol) return false;
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
      endpoint.version === other.version &&
      endpoint.podNamespace === other.podNamespace &&
      endpoint.podUid === other.podUid
    );
  });
}
