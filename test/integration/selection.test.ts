/** How new sessions are spread, seen from outside: by latency, by public port, past an endpoint that starts slowly. */
import { beforeAll, expect, test } from 'vitest';
import { Client, site, startApp, startBackend, startBackends } from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';

/** So slow that nothing this machine does to the other backend comes near. */
const SLOW_MS = 3000;
const PUBLIC_PORT = 8443;
const TRUSTED = '127.0.0.9';

let app: App;
let growing: Backend[];

beforeAll(async () => {
  const slow = await startBackend({
    pod: 'slow',
    handler: (_request, response) => setTimeout(() => response.end('{"pod":"slow"}'), SLOW_MS),
  });
  const [quick] = await startBackends('quick');
  growing = await startBackends('old-0', 'old-1', 'new-0');
  const ports = await startBackends('port-0', 'port-1');
  const byPath = (name: string, port: number) => ({ name, when: { ports: [port] }, path: { mode: 'Hash' } }) as const;
  app = await startApp({
    manifests: {
      'latency.yaml': site('latency', {
        endpoints: [slow.endpoint(), quick!.endpoint()],
        newSession: { algorithm: 'PeakEwma' },
      }),
      'growing.yaml': growingSite(growing.slice(0, 2)),
      'ports.yaml': site('ports', {
        endpoints: ports.map((backend) => backend.endpoint()),
        rules: [byPath('direct', PUBLIC_PORT), byPath('proxied', 4711), { name: 'rest', none: {} }],
      }),
    },
    config: { publicHttpPort: PUBLIC_PORT, trustedProxies: [TRUSTED] },
  });
  expect(await app.problems()).toEqual([]);
});

function growingSite(backends: readonly Backend[]): string {
  const endpoints = backends.map((backend) => backend.endpoint());
  return site('growing', { endpoints, newSession: { algorithm: 'RoundRobin', slowStart: '24h' } });
}

async function podOf(host: string): Promise<string> {
  return (await new Client(app.port, { host, keepAlive: false }).get('/')).pod;
}

test('PeakEwma: a slow pod gets no new sessions while the other is quick', async () => {
  const first = [await podOf('latency.test'), await podOf('latency.test')];
  expect(first.sort()).toEqual(['quick', 'slow']);
  for (let i = 0; i < 20; i++) expect(await podOf('latency.test')).toBe('quick');
});

test('HAProxy slowstart: what was there at the start is not slow, what comes later is', async () => {
  const counts: Record<string, number> = {};
  for (let i = 0; i < 20; i++) counts[await podOf('growing.test')] = i;
  expect(Object.keys(counts).sort()).toEqual(['old-0', 'old-1']);
  await app.change('growing.yaml', growingSite(growing));
  for (let i = 0; i < 20; i++) expect(await podOf('growing.test')).not.toBe('new-0');
  await app.change('growing.yaml', growingSite(growing.slice(2)));
  expect(await podOf('growing.test')).toBe('new-0');
});

test('when.ports: the public port, or what a trusted proxy says', async () => {
  const rules = async () => (await app.metrics()).by('rule', 'holdfast_decisions_total', { policy: 'ports' });
  const direct = new Client(app.port, { host: 'ports.test' });
  await direct.get('/', { 'x-forwarded-port': '4711' });
  expect(await rules()).toEqual({ direct: 1 });
  const proxied = new Client(app.port, { host: 'ports.test', from: TRUSTED });
  await proxied.get('/', { 'x-forwarded-port': '4711' });
  expect(await rules()).toEqual({ direct: 1, proxied: 1 });
  await proxied.get('/', { 'x-forwarded-port': '80' });
  await proxied.get('/', { 'x-forwarded-port': 'junk' });
  expect(await rules()).toEqual({ direct: 2, proxied: 1, rest: 1 });
});
