/** The outcomes of all parts put together: table, Problems and status of the whole, changed in place part by part. */
import { isDeepStrictEqual } from 'node:util';
import type { ClientAuthorities, TableCertificate, TlsHost } from '../model/certificate.ts';
import { compactList } from '../model/compact.ts';
import type { ObjectKey, PoolKey } from '../model/ids.ts';
import type { CompiledAffinity, CompiledPolicy, PolicyId } from '../model/policy.ts';
import type { Problem } from '../model/problem.ts';
import type { CompiledStatus, PolicyStatus } from '../model/status.ts';
import type { PoolSpec, Route, Table, VirtualHost } from '../model/table.ts';
import type { UpstreamTls } from '../model/transport.ts';
import { SnapshotMap } from '../model/sharded-map.ts';
import type { Compiled } from './compile.ts';
import { sortedByObject } from './report.ts';

/** What a part has in the whole: keys alone, for there are thousands of parts. */
export interface Share {
  readonly hosts: readonly string[];
  readonly policies: readonly PolicyId[];
  readonly affinities: readonly string[];
  readonly pools: readonly PoolKey[];
  readonly tlsHosts: readonly string[];
  readonly certificates: readonly ObjectKey[];
  readonly upstreamTls: readonly string[];
  readonly clientAuthorities: readonly string[];
  readonly hasFallback: boolean;
  readonly ingresses: readonly ObjectKey[];
  readonly statuses: readonly ObjectKey[];
  readonly problems: readonly Problem[];
}

export class Outcome implements Compiled {
  readonly #hosts = new Entries<VirtualHost>();
  readonly #policies = new Entries<CompiledPolicy>();
  readonly #affinities = new Entries<CompiledAffinity>();
  readonly #pools = new Entries<PoolSpec>();
  readonly #tlsHosts = new Entries<TlsHost>();
  readonly #certificates = new Entries<TableCertificate>();
  readonly #upstreamTls = new Entries<UpstreamTls>();
  readonly #clientAuthorities = new Entries<ClientAuthorities>();
  readonly #ingresses = new Entries<string>();
  readonly #statuses = new Entries<PolicyStatus>();
  /** Shares with Problems. */
  readonly #troubled = new Set<Share>();
  #fallback: Route | undefined;
  #problems: Problem[] | undefined;

  /** Immutable; what stays the same stays the same object. */
  get table(): Table {
    return {
      hosts: this.#hosts.map,
      fallback: this.#fallback,
      policies: this.#policies.map,
      affinities: this.#affinities.map,
      pools: this.#pools.map,
      tlsHosts: this.#tlsHosts.map,
      certificates: this.#certificates.map,
      upstreamTls: this.#upstreamTls.map,
      clientAuthorities: this.#clientAuthorities.map,
    };
  }

  /** By object, as `compile` has them. */
  get problems(): Problem[] {
    this.#problems ??= sortedByObject([...this.#troubled].flatMap(({ problems }) => problems));
    return this.#problems;
  }

  /** Immutable, as the table. */
  get status(): CompiledStatus {
    return { ingresses: this.#ingresses.map, policies: this.#statuses.map };
  }

  /** Takes the shares `before` out and puts what was compiled in their place; returns its shares, in order. */
  replace(before: readonly Share[], after: readonly Compiled[]): Share[] {
    for (const { table, status } of after) {
      this.#hosts.add(table.hosts);
      this.#policies.add(table.policies);
      this.#affinities.add(table.affinities);
      this.#pools.add(table.pools);
      this.#tlsHosts.add(table.tlsHosts);
      this.#certificates.add(table.certificates);
      this.#upstreamTls.add(table.upstreamTls);
      this.#clientAuthorities.add(table.clientAuthorities);
      this.#ingresses.add(status.ingresses);
      this.#statuses.add(status.policies);
    }
    for (const share of before) this.#remove(share);
    const fallback = after.find(({ table }) => table.fallback !== undefined)?.table.fallback;
    if (fallback !== undefined || before.some(({ hasFallback }) => hasFallback)) {
      if (!isDeepStrictEqual(this.#fallback, fallback)) this.#fallback = fallback;
    }
    this.#problems = undefined;
    const shares = after.map(shareOf);
    for (const share of shares) if (share.problems.length > 0) this.#troubled.add(share);
    return shares;
  }

  #remove(share: Share): void {
    this.#hosts.remove(share.hosts);
    this.#policies.remove(share.policies);
    this.#affinities.remove(share.affinities);
    this.#pools.remove(share.pools);
    this.#tlsHosts.remove(share.tlsHosts);
    this.#certificates.remove(share.certificates);
    this.#upstreamTls.remove(share.upstreamTls);
    this.#clientAuthorities.remove(share.clientAuthorities);
    this.#ingresses.remove(share.ingresses);
    this.#statuses.remove(share.statuses);
    this.#troubled.delete(share);
  }
}

/** Entries that several parts may hold, all with the same value; they are there as long as one does. */
class Entries<T> {
  readonly #entries = new SnapshotMap<T>();
  readonly #shared = new Shared();

  get map(): ReadonlyMap<string, T> {
    return this.#entries.freeze();
  }

  /** To be called before the former holders are removed: what comes out as it was stays the same object. */
  add(entries: ReadonlyMap<string, T>): void {
    for (const [key, value] of entries) {
      const known = this.#entries.get(key);
      if (known !== undefined) this.#shared.add(key);
      if (known === undefined || !isDeepStrictEqual(known, value)) this.#entries.set(key, value);
    }
  }

  remove(keys: readonly string[]): void {
    for (const key of keys) if (!this.#shared.remove(key)) this.#entries.delete(key);
  }
}

/** How many more than one hold a key. */
class Shared {
  readonly #more = new Map<string, number>();

  add(key: string): void {
    this.#more.set(key, (this.#more.get(key) ?? 0) + 1);
  }

  /** Whether somebody still holds the key. */
  remove(key: string): boolean {
    const more = this.#more.get(key);
    if (more === undefined) return false;
    if (more === 1) this.#more.delete(key);
    else this.#more.set(key, more - 1);
    return true;
  }
}

function shareOf({ table, problems, status }: Compiled): Share {
  return {
    hosts: keysOf(table.hosts),
    policies: keysOf(table.policies),
    affinities: keysOf(table.affinities),
    pools: keysOf(table.pools),
    tlsHosts: keysOf(table.tlsHosts),
    certificates: keysOf(table.certificates),
    upstreamTls: keysOf(table.upstreamTls),
    clientAuthorities: keysOf(table.clientAuthorities),
    hasFallback: table.fallback !== undefined,
    ingresses: keysOf(status.ingresses),
    statuses: keysOf(status.policies),
    problems: compactList(problems),
  };
}

function keysOf(entries: ReadonlyMap<string, unknown>): readonly string[] {
  return compactList([...entries.keys()]);
}
