/** Finds the route of a request by host and path: exact host beats wildcard beats none; a known host never falls through to another. */
import type { Route, VirtualHost } from '../model/table.ts';
import { ShardedMap } from '../model/sharded-map.ts';
import { PathIndex } from './path-index.ts';

export { PathIndex } from './path-index.ts';

/** Makes what the index hands out from a route; called once per route when its host is (re)built. */
export type RouteMapper<R> = (route: Route, host: string) => R;

interface HostEntry<R> {
  readonly paths: PathIndex<R>;
  readonly fallback: R | undefined;
  /** Id of the ClientAuthorities of its routes, of which no two have others; undefined = none of them has any. */
  readonly authorities: string | undefined;
}

type Entries<R> = ShardedMap<HostEntry<R>>;

/** Immutable: changes make a new index that shares the unchanged hosts. */
export class HostIndex<R> {
  readonly #exact: Entries<R>;
  /** By what follows the `*`, with its dot: `.a.example`. */
  readonly #wildcard: Entries<R>;
  /** Rules without a host. */
  readonly #hostless: HostEntry<R> | undefined;
  /** Without paths. */
  readonly #rest: HostEntry<R>;
  readonly #map: RouteMapper<R>;

  private constructor(
    exact: Entries<R>,
    wildcard: Entries<R>,
    hostless: HostEntry<R> | undefined,
    rest: HostEntry<R>,
    map: RouteMapper<R>,
  ) {
    this.#exact = exact;
    this.#wildcard = wildcard;
    this.#hostless = hostless;
    this.#rest = rest;
    this.#map = map;
  }

  /** `fallback` serves everything that no host and no host's own fallback takes. */
  static build<R>(hosts: Iterable<VirtualHost>, fallback: Route | undefined, map: RouteMapper<R>): HostIndex<R> {
    const rest = makeEntry({ host: '', routes: [], fallback: undefined }, map);
    const empty = new HostIndex<R>(ShardedMap.empty(), ShardedMap.empty(), undefined, rest, map);
    return empty.withHosts(hosts, []).withFallback(fallback);
  }

  /** A new index with these hosts replaced or added, and those (by `VirtualHost.host`) taken out; `map` applies to the changed ones. */
  withHosts(changed: Iterable<VirtualHost>, removed: Iterable<string>, map: RouteMapper<R> = this.#map): HostIndex<R> {
    const exact = this.#exact.edit();
    const wildcard = this.#wildcard.edit();
    let hostless = this.#hostless;
    for (const host of removed) {
      if (host === '') hostless = undefined;
      else if (host.startsWith('*.')) wildcard.delete(host.slice(1));
      else exact.delete(host);
    }
    for (const virtualHost of changed) {
      const { host } = virtualHost;
      const entry = makeEntry(virtualHost, map);
      if (host === '') hostless = entry;
      else if (host.startsWith('*.')) wildcard.set(host.slice(1), entry);
      else exact.set(host, entry);
    }
    return new HostIndex(exact.done(), wildcard.done(), hostless, this.#rest, map);
  }

  /** A new index with another global fallback. */
  withFallback(fallback: Route | undefined, map: RouteMapper<R> = this.#map): HostIndex<R> {
    const rest = makeEntry({ host: '', routes: [], fallback }, map);
    return new HostIndex(this.#exact, this.#wildcard, this.#hostless, rest, map);
  }

  /** `host` from `normalizeHost`, `path` from `normalizePath`; undefined = 404. */
  find(host: string, path: string): R | undefined {
    const entry = this.#entryOf(host);
    return entry.paths.find(path) ?? entry.fallback ?? this.#rest.fallback;
  }

  /** Id of the ClientAuthorities that clients of a host are asked for; undefined = they are not asked. */
  authoritiesOf(host: string): string | undefined {
    return this.#entryOf(host).authorities;
  }

  #entryOf(host: string): HostEntry<R> {
    return this.#exact.get(host) ?? this.#findWildcard(host) ?? this.#hostless ?? this.#rest;
  }

  /** A wildcard covers exactly one label, which is not empty. */
  #findWildcard(host: string): HostEntry<R> | undefined {
    if (this.#wildcard.size === 0) return undefined;
    const dot = host.indexOf('.');
    return dot > 0 ? this.#wildcard.get(host.slice(dot)) : undefined;
  }
}

function makeEntry<R>(virtualHost: VirtualHost, map: RouteMapper<R>): HostEntry<R> {
  const { host, routes, fallback } = virtualHost;
  const entries = routes.map((route) => ({ path: route.path, pathType: route.pathType, value: map(route, host) }));
  return {
    paths: new PathIndex(entries),
    fallback: fallback === undefined ? undefined : map(fallback, host),
    authorities: [...routes, fallback].find((route) => route?.clientVerification)?.clientVerification?.authorities,
  };
}
