/** Turns compiled tables and pools into deltas: remembers what the workers have, sends what changed, gives everything its slots. */
import { isDeepStrictEqual } from 'node:util';
import type { KeyRing, SessionKey } from '../affinity/keyring.ts';
import { seedsOf } from '../affinity/rendezvous.ts';
import { objectKey, type IdentityKind, type ObjectKey, type PoolKey } from '../model/ids.ts';
import { DRAINING, NOT_READY, READY } from '../model/live.ts';
import type { Pool } from '../model/pool.ts';
import type { CompiledAffinity, CompiledPolicy } from '../model/policy.ts';
import type { Route, Table, VirtualHost } from '../model/table.ts';
import type { Counted } from '../shared/counted.ts';
import type { IdentityData, PoolData, TableDelta } from '../shared/messages.ts';
import { refOf } from '../shared/session-table.ts';
import { endpointSlotKey } from '../shared/slot-keys.ts';
import { IdentityNeeds } from './identity-needs.ts';
import { needsOfPolicies, needsOfRoutes, SlotNeeds, type SlotNeed } from './slot-needs.ts';

const STATE_CODES = { Ready: READY, Draining: DRAINING, NotReady: NOT_READY } as const;
/** Prefixes remembered, those of pods long gone among them; then they are computed anew. */
const MAX_PREFIXES = 1_000_000;

interface Difference<T> {
  readonly changed: T[];
  readonly removed: string[];
  /** What was sent before under the keys that changed or are gone. */
  readonly former: T[];
}

/** The part of a delta that repeats for hosts, policies and affinities: what is new or different, and what is gone. */
class SentMap<T> {
  readonly #sent = new Map<string, T>();

  /** Nearly everything is the same object as before, so going through all of it costs little. */
  diff(now: ReadonlyMap<string, T>): Difference<T> {
    const changed: T[] = [];
    const former: T[] = [];
    for (const [key, value] of now) {
      const known = this.#sent.get(key);
      if (known === value || (known !== undefined && isDeepStrictEqual(known, value))) continue;
      changed.push(value);
      if (known !== undefined) former.push(known);
      this.#sent.set(key, value);
    }
    return { changed, removed: this.#forgetMissing(now, former), former };
  }

  values(): T[] {
    return [...this.#sent.values()];
  }

  #forgetMissing(now: ReadonlyMap<string, T>, former: T[]): string[] {
    const removed: string[] = [];
    if (this.#sent.size === now.size) return removed;
    for (const [key, value] of this.#sent) {
      if (now.has(key)) continue;
      removed.push(key);
      former.push(value);
      this.#sent.delete(key);
    }
    return removed;
  }
}

export class Publisher {
  readonly #counted: Counted;
  readonly #clock: () => number;
  readonly #hosts = new SentMap<VirtualHost>();
  readonly #policies = new SentMap<CompiledPolicy>();
  readonly #affinities = new SentMap<CompiledAffinity>();
  readonly #pools = new Map<PoolKey, PoolData>();
  /** The model pool that was last sent under a key; an unchanged pool is the same object. */
  readonly #sentPools = new Map<PoolKey, Pool>();
  readonly #identities = new IdentityNeeds();
  readonly #slots: SlotNeeds;
  /** Token prefixes by key id and identity: an HMAC each, so made once. */
  #prefixes = new Map<string, string>();
  #keys: readonly SessionKey[] = [];
  #keyRing: KeyRing | undefined;
  #fallback: Route | undefined;
  version = 0;

  constructor(counted: Counted, clock: () => number) {
    this.#counted = counted;
    this.#clock = clock;
    this.#slots = new SlotNeeds(counted);
  }

  /** The pools as the workers have them. */
  get pools(): ReadonlyMap<PoolKey, PoolData> {
    return this.#pools;
  }

  /** New keys: every pool is sent again with prefixes for them. */
  publishKeys(keys: readonly SessionKey[], keyRing: KeyRing, pools: Iterable<Pool>): TableDelta {
    this.#keys = keys;
    this.#keyRing = keyRing;
    this.#prefixes = new Map();
    return {
      ...this.#delta(
        [...pools].map((pool) => this.#pool(pool)),
        [],
      ),
      keys,
    };
  }

  /** A whole table with all its pools, after routes were compiled. */
  publishTable(table: Table, pools: ReadonlyMap<PoolKey, Pool>): TableDelta {
    if (this.#prefixes.size > MAX_PREFIXES) this.#prefixes = new Map();
    const hosts = this.#hosts.diff(table.hosts);
    const policies = this.#policies.diff(table.policies);
    const affinities = this.#affinities.diff(table.affinities);
    const same = isEmpty(policies) && isEmpty(affinities);
    const { pools: changedPools, removed: removedPools } = this.#diffPools(
      pools,
      same ? new Set() : this.#identities.update(table),
    );
    const before = this.#fallback;
    this.#fallback = table.fallback;
    const { added, removed } = this.#slots.change(
      needsOf([...hosts.changed.flatMap(routesOfHost), ...present(table.fallback)], policies.changed),
      needsOf([...hosts.former.flatMap(routesOfHost), ...present(before)], policies.former),
      this.#clock(),
      this.version + 1,
    );
    return {
      ...this.#delta(changedPools, removedPools),
      slots: added,
      removedSlots: removed,
      hosts: hosts.changed,
      removedHosts: hosts.removed,
      policies: policies.changed,
      removedPolicies: policies.removed,
      affinities: affinities.changed,
      removedAffinities: affinities.removed,
      ...(isDeepStrictEqual(before, table.fallback) ? {} : { fallback: table.fallback ?? null }),
    };
  }

  /** The fast path: only these pools changed. */
  publishPools(pools: readonly Pool[]): TableDelta {
    return this.#delta(
      pools.map((pool) => this.#pool(pool)),
      [],
    );
  }

  /** Everything, for a worker that has nothing yet. */
  everything(): TableDelta {
    return {
      version: this.version,
      chunks: this.#counted.allChunks(),
      keys: this.#keys,
      pools: [...this.#pools.values()],
      removedPools: [],
      policies: this.#policies.values(),
      removedPolicies: [],
      affinities: this.#affinities.values(),
      removedAffinities: [],
      hosts: this.#hosts.values(),
      removedHosts: [],
      fallback: this.#fallback ?? null,
      slots: this.#slots.all(),
      removedSlots: [],
    };
  }

  #delta(pools: readonly PoolData[], removedPools: readonly PoolKey[]): TableDelta {
    return {
      version: ++this.version,
      chunks: this.#counted.takeNewChunks(),
      pools,
      removedPools,
      policies: [],
      removedPolicies: [],
      affinities: [],
      removedAffinities: [],
      hosts: [],
      removedHosts: [],
      slots: [],
      removedSlots: [],
    };
  }

  /** @param needy Services whose endpoints must be told by other identities than before */
  #diffPools(
    pools: ReadonlyMap<PoolKey, Pool>,
    needy: ReadonlySet<ObjectKey>,
  ): { pools: PoolData[]; removed: PoolKey[] } {
    const changed: PoolData[] = [];
    for (const pool of pools.values()) {
      const sent = this.#sentPools.get(pool.key) === pool;
      if (!sent || (needy.size > 0 && needy.has(objectKey(pool.namespace, pool.service)))) {
        changed.push(this.#pool(pool));
      }
    }
    const gone = this.#pools.size === pools.size ? [] : this.#pools.keys();
    const removed = [...gone].filter((key) => !pools.has(key));
    for (const key of removed) this.#removePool(key);
    return { pools: changed, removed };
  }

  #removePool(key: PoolKey): void {
    this.#retire(this.#endpointKeys(key));
    this.#counted.pools.retire(key, this.#clock(), this.version + 1);
    this.#pools.delete(key);
    this.#sentPools.delete(key);
  }

  #pool(pool: Pool): PoolData {
    const keys = slotKeysOf(pool);
    const former = new Set(this.#endpointKeys(pool.key));
    const data: PoolData = {
      key: pool.key,
      slot: this.#counted.pools.acquire(pool.key),
      namespace: pool.namespace,
      service: pool.service,
      port: pool.port,
      endpoints: pool.endpoints.map((endpoint, i) => ({
        ...this.#slotOf(keys[i] ?? ''),
        address: endpoint.address,
        port: endpoint.port,
        pod: endpoint.pod,
        cookieValue: endpoint.cookieValue,
        state: STATE_CODES[endpoint.state],
        since: endpoint.since,
        wasReady: endpoint.wasReady,
      })),
      identity: this.#identityOf(pool),
    };
    for (const key of keys) {
      // One that comes (back) into a pool starts with a clean record: nobody has probed it while it was away.
      if (!former.delete(key)) this.#counted.forgetFailure(key);
    }
    this.#retire(former);
    this.#pools.set(pool.key, data);
    this.#sentPools.set(pool.key, pool);
    return data;
  }

  #slotOf(key: string): { slot: number; ref: number } {
    const { endpoints } = this.#counted;
    const slot = endpoints.acquire(key);
    return { slot, ref: refOf(slot, endpoints.generation(slot)) };
  }

  /** Of the endpoints that the workers have in a pool. */
  #endpointKeys(pool: PoolKey): readonly string[] {
    const sent = this.#sentPools.get(pool);
    return sent === undefined ? [] : slotKeysOf(sent);
  }

  #retire(endpoints: Iterable<string>): void {
    const now = this.#clock();
    for (const key of endpoints) this.#counted.endpoints.retire(key, now, this.version + 1);
  }

  #identityOf({ namespace, service, endpoints }: Pool): PoolData['identity'] {
    const identity: Partial<Record<IdentityKind, IdentityData>> = {};
    for (const kind of this.#identities.of(namespace, service)) {
      identity[kind] = this.#identity(endpoints.map(({ identities }) => identities[kind]));
    }
    return identity;
  }

  #identity(identities: readonly string[]): IdentityData {
    return {
      seeds: Int32Array.from(identities.flatMap((identity) => seedsOf(identity))),
      prefixes: this.#keys.map(({ id }) => [id, identities.map((identity) => this.#prefix(id, identity))] as const),
    };
  }

  #prefix(keyId: number, identity: string): string {
    const at = `${keyId} ${identity}`;
    let prefix = this.#prefixes.get(at);
    if (prefix === undefined) {
      prefix = this.#keyRing?.endpointPrefix(keyId, identity) ?? '';
      this.#prefixes.set(at, prefix);
    }
    return prefix;
  }
}

/** Made anew for each use: kept for all endpoints they would take as much memory as the endpoints. */
function slotKeysOf({ namespace, service, port, endpoints }: Pool): string[] {
  return endpoints.map(({ pod, identities }) => endpointSlotKey(namespace, service, port, pod, identities.Address));
}

function isEmpty({ changed, removed }: Difference<unknown>): boolean {
  return changed.length === 0 && removed.length === 0;
}

function* needsOf(routes: readonly Route[], policies: readonly CompiledPolicy[]): Generator<SlotNeed> {
  yield* needsOfRoutes(routes);
  yield* needsOfPolicies(policies);
}

function routesOfHost({ routes, fallback }: VirtualHost): Route[] {
  return [...routes, ...present(fallback)];
}

function present(route: Route | undefined): Route[] {
  return route === undefined ? [] : [route];
}

export function* routesOf(table: Table): Iterable<Route> {
  for (const host of table.hosts.values()) yield* routesOfHost(host);
  yield* present(table.fallback);
}
