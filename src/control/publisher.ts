/** Turns compiled tables and pools into deltas: remembers what the workers have, sends what changed, gives everything its slots. */
import { isDeepStrictEqual } from 'node:util';
import { STORE_TAGS, type KeyRing, type SessionKey } from '../affinity/keyring.ts';
import { Overrides } from '../affinity/overrides.ts';
import { seedsOf } from '../affinity/rendezvous.ts';
import type { ClientAuthorities, TableCertificate, TlsHost } from '../model/certificate.ts';
import type { IdentityKind, ObjectKey, PoolKey } from '../model/ids.ts';
import { DRAINING, NOT_READY, READY } from '../model/live.ts';
import { changedKeys } from '../model/sharded-map.ts';
import { identityOf, type Endpoint, type Pool } from '../model/pool.ts';
import type { Override } from '../model/override.ts';
import type { CompiledAffinity, CompiledPolicy } from '../model/policy.ts';
import type { Route, Table, VirtualHost } from '../model/table.ts';
import type { UpstreamTls } from '../model/transport.ts';
import type { Counted } from '../shared/counted.ts';
import type { EndpointData, IdentityData, PoolData, TableDelta } from '../shared/messages.ts';
import { refOf } from '../shared/session-entries.ts';
import { endpointSlotKey } from '../shared/slot-keys.ts';
import { IdentityNeeds } from './identity-needs.ts';
import { needsOfPolicies, needsOfRoutes, SlotNeeds, type SlotNeed } from './slot-needs.ts';

const STATE_CODES = { Ready: READY, Draining: DRAINING, NotReady: NOT_READY } as const;

/** `Pools`, as far as it matters here. */
interface AllPools {
  readonly all: ReadonlyMap<PoolKey, Pool>;
  readonly of: (service: ObjectKey) => Iterable<Pool>;
}

interface Difference<T> {
  readonly changed: T[];
  readonly removed: string[];
  /** What was sent before under the keys that changed or are gone. */
  readonly former: T[];
}

/** The part of a delta that repeats for hosts, policies and affinities: what is new or different, and what is gone. */
class SentMap<T> {
  #sent: ReadonlyMap<string, T> = new Map();

  diff(now: ReadonlyMap<string, T>): Difference<T> {
    const difference: Difference<T> = { changed: [], removed: [], former: [] };
    for (const key of changedKeys(this.#sent, now)) {
      const [known, value] = [this.#sent.get(key), now.get(key)];
      if (known !== undefined && value !== undefined && isDeepStrictEqual(known, value)) continue;
      if (known !== undefined) difference.former.push(known);
      if (value === undefined) difference.removed.push(key);
      else difference.changed.push(value);
    }
    this.#sent = now;
    return difference;
  }

  values(): T[] {
    return [...this.#sent.values()];
  }
}

export class Publisher {
  readonly #counted: Counted;
  readonly #clock: () => number;
  readonly #sharesKeys: boolean;
  readonly #hosts = new SentMap<VirtualHost>();
  readonly #policies = new SentMap<CompiledPolicy>();
  readonly #affinities = new SentMap<CompiledAffinity>();
  readonly #tlsHosts = new SentMap<TlsHost>();
  readonly #certificates = new SentMap<TableCertificate>();
  readonly #upstreamTls = new SentMap<UpstreamTls>();
  readonly #clientAuthorities = new SentMap<ClientAuthorities>();
  readonly #pools = new Map<PoolKey, PoolData>();
  /** By slot. */
  readonly #endpoints: (EndpointData | undefined)[] = [];
  /** The model pool that was last sent under a key; an unchanged pool is the same object. */
  readonly #sentPools = new Map<PoolKey, Pool>();
  readonly #identities = new IdentityNeeds();
  readonly #slots: SlotNeeds;
  #keys: readonly SessionKey[] = [];
  #keyRing: KeyRing | undefined;
  /** Of the last whole table. */
  #lastPools: ReadonlyMap<PoolKey, Pool> = new Map();
  #fallback: Route | undefined;
  #replicas = 1;
  readonly #overrides = new Overrides();
  version = 0;

  /** `sharesKeys`: with other replicas, by a session store. */
  constructor(counted: Counted, clock: () => number, sharesKeys: boolean) {
    this.#counted = counted;
    this.#clock = clock;
    this.#sharesKeys = sharesKeys;
    this.#slots = new SlotNeeds(counted);
  }

  /** The pools as the workers have them. */
  get pools(): ReadonlyMap<PoolKey, PoolData> {
    return this.#pools;
  }

  /** Who of the workers' endpoints holds the slot. */
  endpointAt(slot: number): EndpointData | undefined {
    return this.#endpoints[slot];
  }

  /** New keys: every pool is sent again with prefixes for them. */
  publishKeys(keys: readonly SessionKey[], keyRing: KeyRing, pools: Iterable<Pool>): TableDelta {
    this.#keys = keys;
    this.#keyRing = keyRing;
    // An id may stand for another key now: no prefix made so far is used again.
    this.#pools.clear();
    return {
      ...this.#delta(
        [...pools].map((pool) => this.#pool(pool)),
        [],
      ),
      keys,
    };
  }

  /** A whole table with all its pools, after routes were compiled. */
  publishTable(table: Table, pools: AllPools): TableDelta {
    const hosts = this.#hosts.diff(table.hosts);
    const policies = this.#policies.diff(table.policies);
    const affinities = this.#affinities.diff(table.affinities);
    const tlsHosts = this.#tlsHosts.diff(table.tlsHosts);
    const certificates = this.#certificates.diff(table.certificates);
    const upstreamTls = this.#upstreamTls.diff(table.upstreamTls);
    const clientAuthorities = this.#clientAuthorities.diff(table.clientAuthorities);
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
      tlsHosts: tlsHosts.changed,
      removedTlsHosts: tlsHosts.removed,
      certificates: certificates.changed,
      removedCertificates: certificates.removed,
      upstreamTls: upstreamTls.changed,
      removedUpstreamTls: upstreamTls.removed,
      clientAuthorities: clientAuthorities.changed,
      removedClientAuthorities: clientAuthorities.removed,
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

  /** Of the controller, Ready. */
  publishReplicas(replicas: number): TableDelta {
    this.#replicas = replicas;
    return { ...this.#delta([], []), replicas };
  }

  /** What was said of sessions by hand. `removed`: what is over. */
  publishOverrides(overrides: readonly Override[], removed: readonly Override[]): TableDelta {
    for (const override of removed) this.#overrides.delete(override);
    for (const override of overrides) this.#overrides.set(override);
    return { ...this.#delta([], []), overrides, removedOverrides: removed };
  }

  /** Everything, for a worker that has nothing yet. */
  everything(): TableDelta {
    return {
      version: this.version,
      chunks: this.#counted.allChunks(),
      keys: this.#keys,
      replicas: this.#replicas,
      overrides: [...this.#overrides],
      pools: [...this.#pools.values()],
      removedPools: [],
      policies: this.#policies.values(),
      removedPolicies: [],
      affinities: this.#affinities.values(),
      removedAffinities: [],
      hosts: this.#hosts.values(),
      removedHosts: [],
      tlsHosts: this.#tlsHosts.values(),
      removedTlsHosts: [],
      certificates: this.#certificates.values(),
      removedCertificates: [],
      upstreamTls: this.#upstreamTls.values(),
      removedUpstreamTls: [],
      clientAuthorities: this.#clientAuthorities.values(),
      removedClientAuthorities: [],
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
      tlsHosts: [],
      removedTlsHosts: [],
      certificates: [],
      removedCertificates: [],
      upstreamTls: [],
      removedUpstreamTls: [],
      clientAuthorities: [],
      removedClientAuthorities: [],
      slots: [],
      removedSlots: [],
    };
  }

  /** @param needy Services whose endpoints must be told by other identities than before */
  #diffPools(pools: AllPools, needy: ReadonlySet<ObjectKey>): { pools: PoolData[]; removed: PoolKey[] } {
    const changed: PoolData[] = [];
    const removed: PoolKey[] = [];
    const { all } = pools;
    for (const key of changedKeys(this.#lastPools, all)) {
      const pool = all.get(key);
      if (pool === undefined) removed.push(key);
      else if (this.#sentPools.get(key) !== pool) changed.push(this.#pool(pool));
    }
    this.#lastPools = all;
    const made = new Set(changed.map(({ key }) => key));
    for (const service of needy) {
      for (const pool of pools.of(service)) if (!made.has(pool.key)) changed.push(this.#pool(pool));
    }
    for (const key of removed) this.#removePool(key);
    return { pools: changed, removed };
  }

  #removePool(key: PoolKey): void {
    this.#retire(this.#endpointKeys(key));
    this.#counted.pools.retire(key, this.#clock(), this.version + 1);
    for (const { slot } of this.#pools.get(key)?.endpoints ?? []) this.#endpoints[slot] = undefined;
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
      portName: pool.portName,
      protocol: pool.protocol,
      endpoints: pool.endpoints.map((endpoint, i) => this.#endpoint(endpoint, keys[i] ?? '')),
      newest: pool.newest,
      identity: this.#identityOf(pool),
    };
    for (const [i, { slot }] of data.endpoints.entries()) {
      // One that comes (back) into a pool starts with a clean record: nobody has probed it while it was away.
      if (!former.delete(keys[i] ?? '')) this.#counted.forgetFailure(slot);
    }
    this.#retire(former);
    for (const { slot } of this.#pools.get(pool.key)?.endpoints ?? []) this.#endpoints[slot] = undefined;
    for (const endpoint of data.endpoints) this.#endpoints[endpoint.slot] = endpoint;
    this.#pools.set(pool.key, data);
    this.#sentPools.set(pool.key, pool);
    return data;
  }

  #endpoint(endpoint: Endpoint, key: string): EndpointData {
    const { address, port, pod, cookieValue, version, since, wasReady, podUid } = endpoint;
    const slot = this.#counted.endpoints.acquire(key, podUid);
    const ref = refOf(slot, this.#counted.endpoints.generation(slot));
    return { slot, ref, address, port, pod, cookieValue, version, state: STATE_CODES[endpoint.state], since, wasReady };
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

  #identityOf(pool: Pool): PoolData['identity'] {
    const identity: Partial<Record<IdentityKind, IdentityData>> = {};
    for (const kind of this.#identities.of(pool.namespace, pool.service)) {
      const own = pool.endpoints.map((endpoint) => identityOf(endpoint, kind));
      const known = this.#knownPrefixes(pool.key, kind);
      const ring = this.#keyRing;
      const prefixOf = (id: number, text: string) =>
        known.get(`${id} ${text}`) ?? (id === STORE_TAGS ? ring?.storeTag(text) : ring?.endpointPrefix(id, text)) ?? '';
      // The store's first: they are the ones that do not rotate, and of endpoints that have gone the first is kept.
      const ids = [...(this.#sharesKeys && ring !== undefined ? [STORE_TAGS] : []), ...this.#keys.map(({ id }) => id)];
      identity[kind] = {
        seeds: Int32Array.from(own.flatMap((text) => seedsOf(text))),
        prefixes: ids.map((id) => [id, own.map((text) => prefixOf(id, text))] as const),
      };
    }
    return identity;
  }

  /** Token prefixes that the workers have in a pool, by key id and identity: each is an HMAC, not to be made again. */
  #knownPrefixes(key: PoolKey, kind: IdentityKind): ReadonlyMap<string, string> {
    const known = new Map<string, string>();
    const endpoints = this.#sentPools.get(key)?.endpoints ?? [];
    for (const [id, prefixes] of this.#pools.get(key)?.identity[kind]?.prefixes ?? []) {
      for (const [i, endpoint] of endpoints.entries())
        known.set(`${id} ${identityOf(endpoint, kind)}`, prefixes[i] ?? '');
    }
    return known;
  }
}

/** Made anew for each use: kept for all endpoints they would take as much memory as the endpoints. */
function slotKeysOf({ namespace, service, port, endpoints }: Pool): string[] {
  return endpoints.map((endpoint) =>
    endpointSlotKey(namespace, service, port, endpoint.pod, identityOf(endpoint, 'Address')),
  );
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
