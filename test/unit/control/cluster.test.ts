/** The end of a replica: who takes the addresses out of the status of Ingresses, when, and for how long it tries. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { Cluster } from '../../../src/control/cluster.ts';
import type { KubeClient } from '../../../src/source/kubernetes/client.ts';
import { ApiServer, logged, TestClock, until, type Seen } from './api-server.ts';

const INGRESSES = '/apis/networking.k8s.io/v1/namespaces/shop/ingresses';
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/ns/leases/lead';
const SLICES = '/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices';
const NAMES = Array.from({ length: 40 }, (_, i) => `web-${i}`);
const PUBLISHED = { loadBalancer: { ingress: [{ ip: '203.0.113.7' }] } };
const ASKED = ['--remove-status-on-shutdown', '--replicas-service', 'ns/replicas'];

let server: ApiServer;
let client: KubeClient;
let clock: TestClock;
let lines: string[];

beforeEach(async () => {
  ({ server, client } = await ApiServer.start());
  clock = new TestClock();
  for (const name of NAMES) server.put(`${INGRESSES}/${name}`, { kind: 'Ingress' });
  replicas(true);
});

afterEach(async () => {
  client.close();
  await server.close();
});

/** The endpoints of their Service: whether each is terminating. */
function replicas(...terminating: (boolean | null)[]): void {
  const endpoints = terminating.map((ends, i) => ({
    addresses: [`10.0.0.${i + 1}`],
    conditions: { terminating: ends },
  }));
  const ports = [{ name: 'admin', port: 9090 }];
  const metadata = { name: 'replicas-1', namespace: 'ns', labels: { 'kubernetes.io/service-name': 'replicas' } };
  server.put(SLICES, { items: [{ metadata, addressType: 'IPv4', ports, endpoints }] });
}

/** A replica that leads and has written its addresses everywhere. */
async function published(...args: string[]): Promise<Cluster> {
  const given = [
    '--publish-address',
    '203.0.113.7',
    '--leader-lease',
    'ns/lead',
    '--session-keys-file',
    'none',
    ...args,
  ];
  const { config, errors } = loadConfig({ args: given, env: {}, readFile: () => '' });
  if (config === undefined) throw new Error(errors.join());
  const log = logged();
  lines = log.lines;
  const cluster = new Cluster({
    api: client,
    config,
    namespace: 'ns',
    identity: 'a',
    clock,
    logger: log.logger,
    onKeys: () => undefined,
    onKeysProblem: () => undefined,
  });
  cluster.start();
  const ingresses = new Map(NAMES.map((name) => [`shop/${name}`, name]));
  cluster.applied({ status: { ingresses, policies: new Map() }, found: [], problems: [] });
  await until(() => expect(statuses()).toEqual(NAMES.map(() => PUBLISHED)));
  return cluster;
}

function statuses(): unknown[] {
  return NAMES.map((name) => server.objects.get(`${INGRESSES}/${name}`)?.['status']);
}

/** Time goes by ten times as fast as it does; how long it took, ms. */
async function end(cluster: Cluster): Promise<number> {
  const began = clock.now();
  const really = performance.now();
  let ended = false;
  const closed = cluster.close().finally(() => (ended = true));
  await until(() => {
    clock.advance(began + (performance.now() - really) * 10 - clock.now());
    expect(ended).toBe(true);
  });
  await closed;
  return clock.now() - began;
}

function isWithdrawal({ method, path, body }: Seen): boolean {
  return method === 'PATCH' && path.startsWith(INGRESSES) && !('status' in (body ?? {}));
}

describe('the addresses go', () => {
  test('from every Ingress, by our field manager, before the lease is given back', async () => {
    const cluster = await published(...ASKED);
    const before = server.writes().length;
    await end(cluster);
    expect(statuses()).toEqual(NAMES.map(() => undefined));
    const writes = server.writes().slice(before);
    // Time has moved, so the lease may have been renewed in between.
    const last = writes.at(-1);
    expect([last?.path, last?.body?.['spec']]).toMatchObject([LEASE, { holderIdentity: '' }]);
    const patches = writes.filter(({ method }) => method === 'PATCH');
    expect(patches).toHaveLength(NAMES.length);
    for (const patch of patches) {
      expect(isWithdrawal(patch)).toBe(true);
      expect(patch.query.get('fieldManager')).toBe('holdfast.dev/ingress-controller');
    }
  });

  test('when all replicas end', async () => {
    replicas(true, true, true);
    await end(await published(...ASKED));
    expect(statuses()).toEqual(NAMES.map(() => undefined));
  });

  test('when the Service says a moment later that we end', async () => {
    replicas(false);
    let looks = 0;
    server.intercept = ({ path }) => {
      if (path === SLICES && ++looks === 2) replicas(true);
      return undefined;
    };
    await end(await published(...ASKED));
    expect(statuses()).toEqual(NAMES.map(() => undefined));
  });

  test('without a Service of replicas: this process is the only one', async () => {
    await end(await published('--remove-status-on-shutdown'));
    expect(statuses()).toEqual(NAMES.map(() => undefined));
  });

  test('but for those that are refused: it is told how many', async () => {
    const cluster = await published(...ASKED);
    server.intercept = (seen) => (isWithdrawal(seen) && seen.path.includes('/web-7/') ? 403 : undefined);
    await end(cluster);
    expect(statuses().filter((status) => status !== undefined)).toEqual([PUBLISHED]);
    expect(lines.filter((line) => line.includes('"done":39,"of":40') && line.includes('answered 403'))).toHaveLength(1);
  });
});

describe('the addresses stay', () => {
  afterEach(() => {
    expect(statuses()).toEqual(NAMES.map(() => PUBLISHED));
    expect(server.writes().filter(isWithdrawal)).toEqual([]);
    // And the next replica need not wait for the lease.
    expect(server.objects.get(LEASE)?.['spec']).toMatchObject({ holderIdentity: '' });
  });

  test('when nobody has asked', async () => {
    await end(await published('--replicas-service', 'ns/replicas'));
    expect(server.seen.filter(({ path }) => path === SLICES)).toEqual([]);
  });

  test.each([
    ['another replica remains', [true, false]],
    ['it is not said whether another one ends', [true, null]],
    ['our pod stays, and its container is started anew', [false]],
    ['the Service shows none', []],
  ])('when %s', async (_name, terminating) => {
    replicas(...terminating);
    await end(await published(...ASKED));
  });

  test('when the API server does not say who is there', async () => {
    const cluster = await published(...ASKED);
    server.intercept = ({ path }) => (path === SLICES ? 403 : undefined);
    await end(cluster);
  });
});

test.each([
  ['the replicas', ({ path }: Seen) => path === SLICES],
  ['the Ingresses', isWithdrawal],
])('an API server that says nothing about %s keeps the end for 7 s at most', async (_name, hangs) => {
  const cluster = await published(...ASKED);
  server.intercept = (seen) => (hangs(seen) ? 'nothing' : undefined);
  const took = await end(cluster);
  expect(took).toBeGreaterThanOrEqual(7000);
  expect(took).toBeLessThan(8000);
  expect(lines.join('')).toContain('in the status of Ingresses');
  expect(server.objects.get(LEASE)?.['spec']).toMatchObject({ holderIdentity: '' });
});

test('who does not lead takes nothing away', async () => {
  const cluster = await published(...ASKED);
  server.intercept = ({ path }) => (path === LEASE ? 503 : undefined);
  clock.advance(10_000);
  expect(cluster.leading).toBe(false);
  await end(cluster);
  expect(statuses()).toEqual(NAMES.map(() => PUBLISHED));
});
