/** What a kept session costs in a small installation and in a large one: routes, endpoints of its pool, policies. */
import { ingress, policy, service, slice } from '../../test/support/manifests.ts';
import type { EndpointOptions } from '../../test/support/manifests.ts';
import { startBackends } from '../support/backends.ts';
import type { Lab, Scenario } from '../support/lab.ts';
import { requestsOf, wrk } from '../support/load.ts';
import { startHoldfast } from '../support/peers/holdfast.ts';
import type { HoldfastOptions } from '../support/peers/holdfast.ts';
import type { Report } from '../support/report.ts';

const CONNECTIONS = 64;
const PATHS_PER_INGRESS = 100;
const SMALL = 10;

interface Growth {
  readonly of: string;
  readonly large: number;
  readonly goal: string;
  readonly grown: (count: number, backendPort: number) => HoldfastOptions;
}

const GROWTHS: readonly Growth[] = [
  { of: 'routes', large: 100_000, goal: '≤ 1.05', grown: (count) => ({ others: routes(count) }) },
  { of: 'endpoints', large: 10_000, goal: '≤ 1.1', grown: (count, port) => ({ endpoints: endpoints(count, port) }) },
  { of: 'policies', large: 1_000, goal: '', grown: (count) => ({ others: policies(count) }) },
];

export const growth: Scenario = {
  name: 'growth',
  about: 'a kept session with 10 and 100,000 routes, 10 and 10,000 endpoints, 10 and 1,000 policies',
  programs: ['nginx', 'wrk'],
  async run(lab) {
    const backends = await startBackends(lab, true);
    const reports: Report[] = [];
    for (const one of GROWTHS) reports.push(await compareSizes(lab, backends, one));
    return reports;
  },
};

async function compareSizes(lab: Lab, backends: number, { of, large, goal, grown }: Growth): Promise<Report> {
  const most = lab.quick ? large / 10 : large;
  const nameOf = (count: number) => `${count} ${of}`;
  const start = (count: number) => startHoldfast(lab, backends, { name: nameOf(count), ...grown(count, backends) });
  const peers = [await start(SMALL), await start(most)];
  const question = {
    title: `A kept session, ${SMALL} and ${most} ${of}`,
    unit: 'CPU µs a request',
    us: nameOf(most),
    goals: { [nameOf(SMALL)]: goal },
  };
  const report = await lab.compare(question, peers, async (peer) => {
    const { figure } = await requestsOf(peer, () => wrk(lab, peer, { connections: CONNECTIONS }));
    return { figure: 1e6 / figure, more: { 'MiB in all': peer.child.residentMemory() / 1024 } };
  });
  for (const { child } of peers) await child.stop();
  return report;
}

/** Beside the site's own: on hosts of their own, with many paths each. */
function routes(count: number): string[] {
  const ofOne = Math.min(PATHS_PER_INGRESS, count);
  return Array.from({ length: count / ofOne }, (_, i) => {
    const paths = Array.from({ length: ofOne }, (_, path) => ({ path: `/area-${path}`, service: 'web' }));
    return ingress({ name: `more-${i}`, host: `host-${i}.test`, paths });
  });
}

/** Each on an address of loopback, where one backend listens on all. */
function endpoints(count: number, port: number): EndpointOptions[] {
  return Array.from({ length: count }, (_, i) => {
    return { pod: `web-${i}`, address: `127.1.${i >> 8}.${i & 255}`, port };
  });
}

function policies(count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `more-${i}`;
    const rules = [{ name: 'browsers', cookie: { name: `C${i}` } }];
    return [
      ingress({ name, host: `host-${i}.test`, service: name }),
      service(name),
      slice({ service: name, endpoints: endpoints(1, 80) }),
      policy({ name, ingress: name, rules }),
    ];
  }).flat();
}
