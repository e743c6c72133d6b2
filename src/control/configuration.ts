/** From store changes to tables in the workers: compiles, builds pools, publishes, and keeps the problems and figures of it. */
import type { ActiveProblem } from '../admin/types.ts';
import type { KeyRing, SessionKey } from '../affinity/keyring.ts';
import type { Compiled } from '../compile/compile.ts';
import { Compiler } from '../compile/compiler.ts';
import type { CompileOptions } from '../compile/options.ts';
import type { PoolKey } from '../model/ids.ts';
import type { Override } from '../model/override.ts';
import type { Problem } from '../model/problem.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { CompiledStatus } from '../model/status.ts';
import type { Table } from '../model/table.ts';
import type { Counted } from '../shared/counted.ts';
import type { EndpointData, PoolData, TableDelta } from '../shared/messages.ts';
import type { Store, StoreChange } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { CertificateExpiry } from './certificate-expiry.ts';
import { leadsOf } from './leads.ts';
import { Pools } from './pools.ts';
import { ProblemList } from './problem-list.ts';
import { Publisher } from './publisher.ts';

export interface DrainRules {
  /** Sessions stay with the pod for now: it has work while it has sessions. */
  readonly keeps: boolean;
  /** ms after the start from which on the pod's sessions are taken for known: their clients have come by since. */
  readonly wait: number;
}

/** A client that has been away for longer than this may come back to a drained pod's successor. */
const SESSIONS_KNOWN_MS = 60_000;

export interface ConfigurationOptions {
  readonly counted: Counted;
  readonly compile: CompileOptions;
  readonly logger: Logger;
  readonly clock: () => number;
  /** Replicas share keys by a session store. */
  readonly sharesKeys: boolean;
  /** Sends a delta to all workers. */
  readonly send: (delta: TableDelta) => void;
}

export class Configuration {
  readonly pools = new Pools();
  readonly #options: ConfigurationOptions;
  readonly #publisher: Publisher;
  readonly #problems = new ProblemList();
  readonly #expiry = new CertificateExpiry();
  readonly #compiler: Compiler;
  #compiled: Compiled | undefined;
  #snapshot: Snapshot | undefined;
  /** Seconds that the last compilation took: the first one of everything, later ones of what a change touched. */
  compileSeconds = 0;
  /** Wall clock ms of the last table that was published. */
  lastSuccess = 0;

  constructor(options: ConfigurationOptions) {
    this.#options = options;
    this.#publisher = new Publisher(options.counted, options.clock, options.sharesKeys);
    this.#compiler = new Compiler(options.compile);
  }

  /** Empty before the first compilation. */
  get table(): Table | undefined {
    return this.#compiled?.table;
  }

  /** What the objects' own status shall say; of the same compilation as `table`. */
  get status(): CompiledStatus | undefined {
    return this.#compiled?.status;
  }

  get version(): number {
    return this.#publisher.version;
  }

  problems(): ActiveProblem[] {
    return this.#problems.list();
  }

  everything(): TableDelta {
    return this.#publisher.everything();
  }

  setKeys(keys: readonly SessionKey[], keyRing: KeyRing): void {
    this.#options.send(this.#publisher.publishKeys(keys, keyRing, this.pools.all.values()));
  }

  setReplicas(replicas: number): void {
    this.#options.send(this.#publisher.publishReplicas(replicas));
  }

  /** `removed`: what is over. */
  setOverrides(overrides: readonly Override[], removed: readonly Override[]): void {
    this.#options.send(this.#publisher.publishOverrides(overrides, removed));
  }

  /** The pools as the workers have them. */
  livePools(): Iterable<PoolData> {
    return this.#publisher.pools.values();
  }

  /** Who holds the slot; undefined = no endpoint of a pool. */
  endpointAt(slot: number): EndpointData | undefined {
    return this.#publisher.endpointAt(slot);
  }

  /** What the session table calls the endpoint of a pool that tokens begin so for; undefined = it is not there. */
  refOf(pool: PoolKey, prefix: string): number | undefined {
    const data = this.#publisher.pools.get(pool);
    for (const { prefixes } of Object.values(data?.identity ?? {})) {
      for (const [, list] of prefixes) {
        const index = list.indexOf(prefix);
        if (index >= 0) return data?.endpoints[index]?.ref;
      }
    }
    return undefined;
  }

  /** `policy` labels of the routes that lead to each pool. */
  policiesByPool(): Map<PoolKey, Set<string>> {
    const policies = new Map<PoolKey, Set<string>>();
    const { table } = this;
    for (const { pool, policy } of table === undefined ? [] : leadsOf(table)) {
      const name = policy?.name ?? '';
      const known = policies.get(pool);
      if (known === undefined) policies.set(pool, new Set([name]));
      else known.add(name);
    }
    return policies;
  }

  /** What the policies say of a pod's sessions when it drains. */
  drainRules(namespace: string, pod: string, now: number): DrainRules {
    let wait = 0;
    let keeps = false;
    const pools = this.pools.all;
    for (const lead of this.table === undefined ? [] : leadsOf(this.table)) {
      const { policy } = lead;
      if (policy === undefined || lead.namespace !== namespace) continue;
      const endpoint = pools.get(lead.pool)?.endpoints.find((one) => one.pod === pod);
      if (endpoint === undefined) continue;
      const { action, maxDuration } = policy.drain;
      const limits = [policy.idleTimeout, maxDuration].filter((limit) => limit > 0);
      const over = endpoint.state === 'Draining' && maxDuration > 0 && now - endpoint.since >= maxDuration;
      if (action === 'Move' || over) continue;
      keeps = true;
      wait = Math.max(wait, Math.min(...limits, SESSIONS_KNOWN_MS));
    }
    return { keeps, wait };
  }

  /** Problems in force by kind of object. */
  problemCounts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { object } of this.problems()) counts.set(object.kind, (counts.get(object.kind) ?? 0) + 1);
    return counts;
  }

  /** Objects by kind, for the metric. */
  objectCounts(): ReadonlyMap<string, number> {
    const snapshot = this.#snapshot;
    if (snapshot === undefined) return new Map();
    let slices = 0;
    for (const ofService of snapshot.slicesByService.values()) slices += ofService.size;
    return new Map([
      ['Ingress', snapshot.ingresses.size],
      ['IngressClass', snapshot.ingressClasses.size],
      ['Service', snapshot.services.size],
      ['EndpointSlice', slices],
      ['Secret', snapshot.secrets.size],
      ['StickyPolicy', snapshot.policies.size + snapshot.refusedPolicies.size],
    ]);
  }

  /** Makes a change live. The first one must have `routesChanged`. */
  apply(change: StoreChange, store: Store): void {
    const now = this.#options.clock();
    this.#snapshot = change.snapshot;
    let compiled = this.#compiled;
    if (change.routesChanged || compiled === undefined) compiled = this.#retable(change, now);
    else {
      const pools = this.pools.refresh(change.services, change.snapshot, now);
      if (pools.length > 0) this.#options.send(this.#publisher.publishPools(pools));
    }
    this.lastSuccess = now;
    const expired = this.#expiry.problems(compiled.table.certificates, change.snapshot.secrets, now);
    this.#report([...store.problems(), ...compiled.problems, ...this.pools.problems(), ...expired], now);
  }

  #retable({ snapshot, services }: StoreChange, now: number): Compiled {
    const started = performance.now();
    const compiled = this.#compiler.update(snapshot);
    this.compileSeconds = (performance.now() - started) / 1000;
    this.#compiled = compiled;
    const { table } = compiled;
    this.pools.retable(table, services, snapshot, now);
    this.#options.send(this.#publisher.publishTable(table, this.pools));
    return compiled;
  }

  #report(problems: readonly Problem[], now: number): void {
    for (const { severity, object, field, message, location } of this.#problems.replace(problems, now)) {
      const where = location === undefined ? undefined : `${location.file}:${location.line}`;
      const name = object.namespace === '' ? object.name : `${object.namespace}/${object.name}`;
      this.#options.logger.warn({ severity, object: `${object.kind} ${name}`, field, where }, message);
    }
  }
}
