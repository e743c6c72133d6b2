/** Shows that the cost of finding a route does not grow with the number of routes: `node bench/match.ts`. */
import { HostIndex } from '../src/match/router.ts';
import { normalizeHost } from '../src/match/host.ts';
import { normalizePath } from '../src/match/path.ts';
import type { PathType } from '../src/model/resources.ts';
import type { Route, VirtualHost } from '../src/model/table.ts';

const TYPES: readonly PathType[] = ['Prefix', 'Prefix', 'Exact', 'ImplementationSpecific'];
const LOOKUPS = 2_000_000;

function pathOf(i: number): string {
  return `/api/v${i % 7}/team-${i % 97}/item-${i}`;
}

function makeRoute(i: number): Route {
  const pathType = TYPES[i % TYPES.length] ?? 'Prefix';
  return {
    namespace: 'ns',
    ingress: 'i',
    path: pathOf(i),
    pathType,
    service: `s${i}`,
    pool: undefined,
    affinity: undefined,
  };
}

/** `spread`: one route on each of many hosts, else all routes on one host. */
function makeHosts(routes: number, spread: boolean): VirtualHost[] {
  const all = Array.from({ length: routes }, (_, i) => makeRoute(i));
  if (!spread) return [{ host: 'shop.example', routes: all, fallback: undefined }];
  return all.map((route, i) => ({ host: `h${i}.example`, routes: [route], fallback: undefined }));
}

function measure(routes: number, spread: boolean): number {
  const index = HostIndex.build(makeHosts(routes, spread), undefined, (route) => route);
  // The same number of distinct requests whatever the table's size, so that caches are not what is measured.
  const requests = Array.from({ length: 10 }, (_, i) => {
    const n = Math.floor((i * routes) / 10);
    const path = n % 4 === 2 ? pathOf(n) : `${pathOf(n)}/more/of/it`;
    return { host: spread ? `h${n}.example` : 'shop.example', path };
  });
  const run = (count: number): number => {
    let found = 0;
    for (let i = 0; i < count; i++) {
      const request = requests[i % requests.length];
      if (request === undefined) continue;
      const host = normalizeHost(request.host);
      const path = normalizePath(request.path);
      if (host !== undefined && path !== undefined && index.find(host, path) !== undefined) found++;
    }
    return found;
  };
  run(LOOKUPS / 10);
  const started = performance.now();
  const found = run(LOOKUPS);
  const nanoseconds = ((performance.now() - started) * 1e6) / LOOKUPS;
  if (found !== LOOKUPS) throw new Error(`only ${found} of ${LOOKUPS} look-ups found a route`);
  return nanoseconds;
}

for (const routes of [10, 100, 1_000, 10_000, 100_000]) {
  const oneHost = measure(routes, false).toFixed(0);
  const manyHosts = measure(routes, true).toFixed(0);
  process.stdout.write(
    `${String(routes).padStart(7)} routes: one host ${oneHost} ns, a host each ${manyHosts} ns a request\n`,
  );
}
