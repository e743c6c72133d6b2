/** Applies table deltas in a worker: plain data becomes the live table. */
import type { KeyRing, SessionKey } from '../affinity/keyring.ts';
import { buildAffinity } from '../affinity/build.ts';
import { prefixAt } from '../affinity/entry.ts';
import { Overrides } from '../affinity/overrides.ts';
import type {
  AffinityRef,
  CellRef,
  LiveCanary,
  LiveRoute,
  LiveSplit,
  LiveTable,
  PoolRef,
  RouteCells,
  TlsRef,
} from '../lanes/live-table.ts';
import { HostIndex } from '../match/router.ts';
import { compactMap } from '../model/compact.ts';
import type { LivePool } from '../model/live.ts';
import type { IdentityKind, PoolKey } from '../model/ids.ts';
import type { CompiledAffinity, CompiledPolicy, PolicyId, SplitBackend } from '../model/policy.ts';
import type { Route, RouteCanary, RouteSplit } from '../model/table.ts';
import type { UpstreamTls } from '../model/transport.ts';
import type { RegexCompiler } from '../rules/kind.ts';
import type { Blocks } from '../shared/cells.ts';
import type { CountedBlock, PoolData, TableDelta } from '../shared/messages.ts';
import { CEL_ERRORS } from '../shared/layout.ts';
import { policySlotKey, routeSlotKey, ruleSlotKey, serviceSlotKey } from '../shared/slot-keys.ts';
import { UNVERIFIED, type TlsProfile } from '../upstream/tls.ts';
import { canaryPair } from './canary-pair.ts';
import { JoinedPool } from './joined-pool.ts';
import { livePool } from './live-pool.ts';
import { Places } from './places.ts';

export interface TableBuilderOptions {
  readonly blocks: Blocks;
  /** This worker's row in the blocks. */
  readonly row: number;
  /** Wall clock, ms. */
  readonly clock: () => number;
  readonly compileRegex: RegexCompiler;
  readonly keyRing: (keys: readonly SessionKey[]) => KeyRing;
  readonly tlsProfile: (settings: UpstreamTls) => TlsProfile;
  /** No request uses the profile any more. */
  readonly onTlsRetired: (profile: TlsProfile) => void;
  /** An endpoint slot left its pool or changed its address. */
  readonly onRetired: (slot: number) => void;
}

type FormerPrefixes = Readonly<Record<IdentityKind, string | undefined>>;

/** Endpoints that have gone are remembered, no more than these. */
const MAX_FORMER = 10_000;

export class TableBuilder {
  table: LiveTable = HostIndex.build<LiveRoute>([], undefined, (route) => this.#route(route));
  keys: KeyRing | undefined;
  /** Replicas of the controller that are Ready. */
  replicas = 1;
  readonly overrides = new Overrides();
  readonly pools = new Map<PoolKey, { live: LivePool }>();
  readonly places = new Places();
  /** Token prefixes of endpoints that have gone, by ref, the latest last: keys of the session table are still theirs. */
  readonly formerPrefixes = new Map<number, FormerPrefixes>();
  readonly #options: TableBuilderOptions;
  readonly #policies = new Map<PolicyId, CompiledPolicy>();
  readonly #compiled = new Map<string, CompiledAffinity>();
  readonly #affinities = new Map<string, AffinityRef>();
  /** By id; under the empty one what asks for nothing. */
  readonly #tls: Map<string, TlsRef>;
  /** The longest `goneGrace` of all policies, ms: so long it is remembered who has left a pool. */
  #longestGrace = 0;
  /** By block and key. */
  readonly #cells: Readonly<Record<CountedBlock, Map<string, CellRef>>> = {
    route: new Map(),
    service: new Map(),
    rule: new Map(),
    policy: new Map(),
  };
  /** By key. */
  readonly #policySlots = new Map<string, number>();
  /** Names in the routes of one delta, each of which has its own copies of them in the message. */
  readonly #texts = new Map<string, string>();

  constructor(options: TableBuilderOptions) {
    this.#options = options;
    this.#tls = new Map([[UNVERIFIED.id, { live: options.tlsProfile(UNVERIFIED) }]]);
  }

  /** Makes the delta live. It is one turn of the event loop, so no request sees half of it. */
  apply(delta: TableDelta): void {
    for (const chunk of delta.chunks) this.#options.blocks[chunk.block].attach(chunk);
    for (const [block, key, slot] of delta.slots) {
      this.#cells[block].set(key, this.#cellsOf(block, slot));
      if (block === 'policy') this.#policySlots.set(key, slot);
    }
    if (delta.keys !== undefined) this.keys = this.#options.keyRing(delta.keys);
    for (const override of delta.removedOverrides ?? []) this.overrides.delete(override);
    for (const override of delta.overrides ?? []) this.overrides.set(override);
    if (delta.replicas !== undefined) this.replicas = delta.replicas;
    for (const pool of delta.pools) this.#setPool(pool);
    this.#setPolicies(delta);
    for (const settings of delta.upstreamTls) this.#setTls(settings);
    // A change of endpoints alone, by far the most frequent, leaves the index as it is.
    if (delta.hosts.length > 0 || delta.removedHosts.length > 0)
      this.table = this.table.withHosts(delta.hosts, delta.removedHosts);
    if (delta.fallback !== undefined) this.table = this.table.withFallback(delta.fallback ?? undefined);
    for (const key of delta.removedPools) this.#removePool(key);
    for (const id of delta.removedAffinities) {
      this.#affinities.delete(id);
      this.#compiled.delete(id);
    }
    for (const id of delta.removedPolicies) this.#policies.delete(id);
    for (const id of delta.removedUpstreamTls) this.#removeTls(id);
    for (const [block, key] of delta.removedSlots) {
      this.#cells[block].delete(key);
      if (block === 'policy') this.#policySlots.delete(key);
    }
    this.#texts.clear();
  }

  /** The slot that the policy is counted in; undefined = it is not in force any more. */
  policySlot({ namespace, name }: CompiledPolicy): number | undefined {
    return this.#policySlots.get(policySlotKey(namespace, name));
  }

  #setPool(data: PoolData): void {
    const known = this.pools.get(data.key);
    const live = livePool(data, this.#options.clock(), known?.live, this.#longestGrace);
    if (known !== undefined) this.places.remove(known.live);
    this.places.add(live);
    if (known !== undefined) this.#remember(known.live);
    if (known === undefined) {
      this.pools.set(data.key, { live });
      return;
    }
    this.#retireMissing(known.live, live);
    known.live = live;
  }

  #removePool(key: PoolKey): void {
    const known = this.pools.get(key);
    if (known === undefined) return;
    for (const endpoint of known.live.endpoints) this.#options.onRetired(endpoint.slot);
    this.places.remove(known.live);
    this.pools.delete(key);
  }

  #setTls(settings: UpstreamTls): void {
    const live = this.#options.tlsProfile(settings);
    const known = this.#tls.get(settings.id);
    if (known === undefined) {
      this.#tls.set(settings.id, { live });
      return;
    }
    this.#options.onTlsRetired(known.live);
    known.live = live;
  }

  #removeTls(id: string): void {
    const known = this.#tls.get(id);
    if (known !== undefined) this.#options.onTlsRetired(known.live);
    this.#tls.delete(id);
  }

  /** Of a pool as it was, whoever is not in any pool now. */
  #remember(pool: LivePool): void {
    for (const [index, { ref }] of pool.endpoints.entries()) {
      this.formerPrefixes.delete(ref);
      if (this.places.get(ref) !== undefined) continue;
      const place = { pool, index };
      this.formerPrefixes.set(ref, {
        PodUID: prefixAt(place, 'PodUID'),
        PodName: prefixAt(place, 'PodName'),
        Address: prefixAt(place, 'Address'),
      });
    }
    for (const ref of this.formerPrefixes.keys()) {
      if (this.formerPrefixes.size <= MAX_FORMER) break;
      this.formerPrefixes.delete(ref);
    }
  }

  #retireMissing(before: LivePool, after: LivePool): void {
    const kept = new Set(after.endpoints.map((endpoint) => endpoint.slot));
    for (const { slot } of before.endpoints) if (!kept.has(slot)) this.#options.onRetired(slot);
  }

  #setPolicies({ policies, affinities }: TableDelta): void {
    const edited = new Set(policies.filter(({ id }) => this.#policies.has(id)).map(({ id }) => id));
    for (const policy of policies) this.#policies.set(policy.id, policy);
    for (const compiled of affinities) {
      this.#compiled.set(compiled.id, compiled);
      this.#setAffinity(compiled);
    }
    if (policies.length > 0)
      this.#longestGrace = Math.max(...this.#policies.values().map(({ lost }) => lost.goneGrace));
    // A new policy comes with its affinities: only an edited one has some that were there before.
    if (edited.size === 0) return;
    const sent = new Set(affinities.map(({ id }) => id));
    for (const compiled of this.#compiled.values())
      if (edited.has(compiled.policy) && !sent.has(compiled.id)) this.#setAffinity(compiled);
  }

  #setAffinity(compiled: CompiledAffinity): void {
    const policy = this.#policies.get(compiled.policy);
    if (policy === undefined) throw new Error(`affinity ${compiled.id} without its policy`);
    const { namespace, name } = policy;
    const rules = ['', ...policy.rules.map((rule) => rule.name)].map((rule) =>
      this.#cell('rule', ruleSlotKey(namespace, name, rule)),
    );
    const onCelError = (rule: number) => {
      const { cells, at } = rules[rule + 1]!;
      cells[at + CEL_ERRORS]!++;
    };
    const made: AffinityRef = {
      live: buildAffinity(policy, compiled, this.#options.compileRegex, onCelError),
      policy: this.#cell('policy', policySlotKey(namespace, name)),
      rules,
      joined: compactMap(new Map(compiled.splits?.map(({ rule, backends }) => [rule, this.#join(backends)]))),
    };
    const known = this.#affinities.get(compiled.id);
    if (known === undefined) this.#affinities.set(compiled.id, made);
    else Object.assign(known, made);
  }

  #join(backends: readonly SplitBackend[]): PoolRef {
    const of = backends.flatMap(({ pool, weight }) => {
      const ref = this.pools.get(pool);
      return ref === undefined ? [] : [{ ref, weight }];
    });
    return new JoinedPool(of, () => this.keys);
  }

  #share<T extends string | undefined>(text: T): T {
    if (text === undefined) return text;
    const known = this.#texts.get(text) as T;
    if (known === undefined) this.#texts.set(text, text);
    return known ?? text;
  }

  #route({ path, pathType, ...names }: Route): LiveRoute {
    const route: Route = {
      namespace: this.#share(names.namespace),
      ingress: this.#share(names.ingress),
      path: this.#share(path),
      pathType: this.#share(pathType),
      service: this.#share(names.service),
      pool: this.#share(names.pool),
      affinity: this.#share(names.affinity),
      redirectsToHttps: names.redirectsToHttps,
      hsts: this.#share(names.hsts),
      sendProxyProtocol: this.#share(names.sendProxyProtocol),
      transport: names.transport,
      clientVerification: names.clientVerification,
      splits: names.splits,
      canary: names.canary,
    };
    const pool = route.pool === undefined ? undefined : this.pools.get(route.pool);
    const { requests, durations } = this.#routeCells(route, route.service);
    return {
      route,
      pool,
      affinity: route.affinity === undefined ? undefined : this.#affinities.get(route.affinity),
      tls: this.#tlsOf(route.transport?.tls ?? UNVERIFIED.id),
      stateless: this.#cell('rule', ruleSlotKey(route.namespace, '', '')),
      // Not spread: that would keep half of the fields in an array beside the object.
      requests,
      durations,
      splits: route.splits?.map((split) => this.#split(route, split)),
      canary: pool && route.canary && this.#canary(route, pool, route.canary),
    };
  }

  #tlsOf(id: string): TlsRef {
    const ref = this.#tls.get(id);
    if (ref === undefined) throw new Error(`route without its TLS settings ${id}`);
    return ref;
  }

  #canary(route: Route, primary: PoolRef, canary: RouteCanary): LiveCanary | undefined {
    const own = this.pools.get(canary.pool);
    if (own === undefined) return undefined;
    const services = [route.service, canary.service];
    const counted = new Map(services.map((service) => [service, this.#routeCells(route, service)]));
    return canaryPair(primary, own, canary, counted, this.#options.compileRegex, () => this.keys);
  }

  #split(route: Route, { rule, affinity, services }: RouteSplit): LiveSplit {
    const ref = this.#affinities.get(affinity);
    if (ref === undefined) throw new Error(`split without its affinity ${affinity}`);
    const counted = new Map(services.map((service) => [service, this.#routeCells(route, service)]));
    return { rule, affinity: ref, counted };
  }

  #routeCells({ namespace, ingress }: Route, service: string): RouteCells {
    return {
      requests: this.#cell('route', routeSlotKey(namespace, ingress, service)),
      durations: this.#cell('service', serviceSlotKey(namespace, service)),
    };
  }

  #cell(block: CountedBlock, key: string): CellRef {
    const cell = this.#cells[block].get(key);
    if (cell === undefined) throw new Error(`no slot for ${block} ${key}`);
    return cell;
  }

  #cellsOf(block: CountedBlock, slot: number): CellRef {
    const cells = this.#options.blocks[block];
    return { cells: cells.cells(slot), at: cells.at(slot, this.#options.row) };
  }
}
