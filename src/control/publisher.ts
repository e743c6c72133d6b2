/** Turns compiled tables and pools into deltas: remembers what the workers have, sends what changed, gives everything its slots. */
import type { KeyRing, SessionKey } from '../affinity/keyring.ts';
import { seedsOf } from '../affinity/rendezvous.ts';
import type { IdentityKind, PoolKey } from '../model/ids.ts';
import { DRAINING, NOT_READY, READY } from '../model/live.ts';
import type { Endpoint, Pool } from '../model/pool.ts';
import type { Route, Table } from '../model/table.ts';
import type { Counted } from '../shared/counted.ts';
import type { IdentityData, PoolData, TableDelta } from '../shared/messages.ts';
import { refOf } from '../shared/session-table.ts';
import { endpointSlotKey, policySlotKey, routeSlotKey, ruleSlotKey, serviceSlotKey } from '../shared/slot-keys.ts';

type SlotEntry = TableDelta['slots'][number];
type Sent<T> = Map<string, { readonly text: string; readonly value: T }>;

const STATE_CODES = { Ready: READY, Draining: DRAINING, NotReady: NOT_READY } as const;
/** Prefixes remembered, those of pods long gone among them; then they are computed anew. */
const MAX_PREFIXES = 1_000_000;
const IDENTITY_KINDS: readonly IdentityKind[] = ['PodUID', 'PodName', 'Address'];

/** The part of a delta that repeats for hosts, policies and affinities: what is new or different, and what is gone. */
class SentMap<T> {
  readonly #sent: Sent<T> = new Map();

  diff(now: ReadonlyMap<string, T>): { changed: T[]; removed: string[] } {
    const changed: T[] = [];
    for (const [key, value] of now) {
      const known = this.#sent.get(key);
      if (known?.value === value) continue;
      const text = JSON.stringify(value);
      if (known?.text !== text) changed.push(value);
      this.#sent.set(key, { text, value });
    }
    const removed = [...this.#sent.keys()].filter((key) => !now.has(key));
    for (const key of removed) this.#sent.delete(key);
    return { changed, removed };
  }

  values(): T[] {
    return [...this.#sent.values()].map((entry) => entry.value);
  }
}

export class Publisher {
  readonly #counted: Counted;
  readonly #clock: () => number;
  readonly #hosts = new SentMap<Table['hosts'] extends ReadonlyMap<string, infer H> ? H : never>();
  readonly #policies = new SentMap<Table['policies'] extends ReadonlyMap<string, infer P> ? P : never>();
  readonly #affinities = new SentMap<Table['affinities'] extends ReadonlyMap<string, infer A> ? A : never>();
  readonly #pools = new Map<PoolKey, PoolData>();
  /** The model pool that was last sent under a key; an unchanged pool is the same object. */
  readonly #sentPools = new Map<PoolKey, Pool>();
  readonly #poolEndpoints = new Map<PoolKey, ReadonlySet<string>>();
  readonly #slots = new Map<string, SlotEntry>();
  /** Token prefixes by key id and identity: an HMAC each, so made once. */
  #prefixes = new Map<string, string>();
  #keys: readonly SessionKey[] = [];
  #keyRing: KeyRing | undefined;
  #fallbackText = 'null';
  #fallback: Route | undefined;
  version = 0;

  constructor(counted: Counted, clock: () => number) {
    this.#counted = counted;
    this.#clock = clock;
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
    const slots = this.#newSlots(table);
    if (this.#prefixes.size > MAX_PREFIXES) this.#prefixes = new Map();
    const { pools: changedPools, removed: removedPools } = this.#diffPools(pools);
    const hosts = this.#hosts.diff(table.hosts);
    const policies = this.#policies.diff(table.policies);
    const affinities = this.#affinities.diff(table.affinities);
    const delta: TableDelta = {
      ...this.#delta(changedPools, removedPools),
      slots,
      hosts: hosts.changed,
      removedHosts: hosts.removed,
      policies: policies.changed,
      removedPolicies: policies.removed,
      affinities: affinities.changed,
      removedAffinities: affinities.removed,
    };
    const fallbackText = JSON.stringify(table.fallback ?? null);
    if (fallbackText === this.#fallbackText) return delta;
    this.#fallbackText = fallbackText;
    this.#fallback = table.fallback;
    return { ...delta, fallback: table.fallback ?? null };
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
      slots: [...this.#slots.values()],
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
    };
  }

  #diffPools(pools: ReadonlyMap<PoolKey, Pool>): { pools: PoolData[]; removed: PoolKey[] } {
    const changed: PoolData[] = [];
    for (const pool of pools.values()) {
      if (this.#sentPools.get(pool.key) !== pool) changed.push(this.#pool(pool));
    }
    const removed = [...this.#pools.keys()].filter((key) => !pools.has(key));
    for (const key of removed) this.#removePool(key);
    return { pools: changed, removed };
  }

  #removePool(key: PoolKey): void {
    const now = this.#clock();
    for (const endpoint of this.#poolEndpoints.get(key) ?? [])
      this.#counted.endpoints.retire(endpoint, now, this.version + 1);
    this.#counted.pools.retire(key, now, this.version + 1);
    this.#pools.delete(key);
    this.#sentPools.delete(key);
    this.#poolEndpoints.delete(key);
  }

  #pool(pool: Pool): PoolData {
    const keys = pool.endpoints.map((endpoint) =>
      endpointSlotKey(pool.namespace, pool.service, pool.port, endpoint.pod, endpoint.identities.Address),
    );
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
      })),
      identity: this.#identities(pool.endpoints),
    };
    this.#forgetFailures(pool.key, keys);
    this.#retireEndpoints(pool.key, new Set(keys));
    this.#pools.set(pool.key, data);
    this.#sentPools.set(pool.key, pool);
    return data;
  }

  #slotOf(key: string): { slot: number; ref: number } {
    const { endpoints } = this.#counted;
    const slot = endpoints.acquire(key);
    return { slot, ref: refOf(slot, endpoints.generation(slot)) };
  }

  /** An endpoint that comes (back) into a pool starts with a clean record: nobody has probed it while it was away. */
  #forgetFailures(pool: PoolKey, keys: readonly string[]): void {
    const before = this.#poolEndpoints.get(pool);
    for (const key of keys) if (before?.has(key) !== true) this.#counted.forgetFailure(key);
  }

  #retireEndpoints(pool: PoolKey, kept: ReadonlySet<string>): void {
    const now = this.#clock();
    for (const key of this.#poolEndpoints.get(pool) ?? []) {
      if (!kept.has(key)) this.#counted.endpoints.retire(key, now, this.version + 1);
    }
    this.#poolEndpoints.set(pool, kept);
  }

  #identities(endpoints: readonly Endpoint[]): PoolData['identity'] {
    const [uid, name, address] = IDENTITY_KINDS.map((kind) =>
      this.#identity(endpoints.map((endpoint) => endpoint.identities[kind])),
    );
    if (uid === undefined || name === undefined || address === undefined)
      throw new Error('an identity kind is missing');
    return { PodUID: uid, PodName: name, Address: address };
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

  /** Gives slots to routes, Services, policies and rules; returns those that the workers do not know yet, retires the vanished. */
  #newSlots(table: Table): SlotEntry[] {
    const added: SlotEntry[] = [];
    const needed = new Set<string>();
    const need = (block: SlotEntry[0], key: string) => {
      const at = `${block} ${key}`;
      if (needed.has(at)) return;
      needed.add(at);
      const slot = this.#counted[block].acquire(key);
      if (this.#slots.get(at)?.[2] === slot) return;
      const entry: SlotEntry = [block, key, slot];
      this.#slots.set(at, entry);
      added.push(entry);
    };
    for (const route of routesOf(table)) {
      need('route', routeSlotKey(route.namespace, route.ingress, route.service));
      need('service', serviceSlotKey(route.namespace, route.service));
      need('rule', ruleSlotKey(route.namespace, '', ''));
    }
    for (const { namespace, name, rules } of table.policies.values()) {
      need('policy', policySlotKey(namespace, name));
      for (const rule of ['', ...rules.map((known) => known.name)]) need('rule', ruleSlotKey(namespace, name, rule));
    }
    for (const [at, [block, key]] of this.#slots) {
      if (needed.has(at)) continue;
      this.#counted[block].retire(key, this.#clock(), this.version + 1);
      this.#slots.delete(at);
    }
    return added;
  }
}

export function* routesOf(table: Table): Iterable<Route> {
  for (const host of table.hosts.values()) {
    yield* host.routes;
    if (host.fallback !== undefined) yield host.fallback;
  }
  if (table.fallback !== undefined) yield table.fallback;
}
