/** Who a pod is: sessions belong to pods, not to addresses, and edits of the manifests do not shake them. */
import { beforeAll, expect, test } from 'vitest';
import {
  Client,
  eventually,
  file,
  ingress,
  policy,
  service,
  setCookieValue,
  site,
  slice,
  slices,
  startApp,
  startBackend,
  startBackends,
} from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';

let app: App;
let inherited: Backend;
const pods: Record<string, Backend[]> = {};
const NAMES = ['twice', 'port', 'flash', 'renamed', 'ttl', 'drain'];

beforeAll(async () => {
  inherited = await startBackend({ pod: 'address' });
  const manifests: Record<string, string> = {
    'inherited.yaml': site('inherited', { endpoints: [inherited.endpoint({ pod: 'a', uid: 'a' })] }),
    'contested.yaml': '',
  };
  for (const name of NAMES) {
    const backends = await startBackends(`${name}-0`, `${name}-1`, `${name}-2`);
    pods[name] = backends;
    manifests[`${name}.yaml`] = site(name, { endpoints: endpoints(name) });
  }
  app = await startApp({ manifests });
});

function endpoints(name: string) {
  return (pods[name] ?? []).map((backend) => backend.endpoint());
}

/** Clients with sessions on all pods of a site, and the pods that they are on. */
async function visitors(name: string, count = 9): Promise<{ client: Client; pod: string }[]> {
  const found: { client: Client; pod: string }[] = [];
  for (let i = 0; i < count; i++) {
    const client = new Client(app.port, { host: `${name}.test`, jar: true });
    found.push({ client, pod: (await client.get('/')).pod });
  }
  expect(new Set(found.map(({ pod }) => pod)).size).toBe(3);
  return found;
}

async function moved(policyName: string, reason?: string): Promise<number> {
  const labels = { policy: policyName, outcome: 'moved', ...(reason !== undefined && { reason }) };
  return (await app.metrics()).sum('holdfast_decisions_total', labels);
}

test('T1: a new pod on the address of an old one inherits no session', async () => {
  const client = new Client(app.port, { host: 'inherited.test', jar: true });
  await client.get('/');
  await app.change('inherited.yaml', site('inherited', { endpoints: [inherited.endpoint({ pod: 'b', uid: 'b' })] }));
  expect((await client.get('/')).setCookies).toHaveLength(1);
  expect(await moved('inherited', 'endpoint_gone')).toBe(1);
  expect((await client.get('/')).setCookies).toEqual([]);
  expect((await app.metrics()).by('pod', 'holdfast_endpoint_requests_total', { service: 'inherited' })).toEqual({
    a: 1,
    b: 2,
  });
});

test('a Service port that gets another name, and its slices with it, moves no session', async () => {
  const clients = await visitors('port');
  const renamed = site('port', { endpoints: endpoints('port') }).replaceAll('name: http', 'name: web');
  const marker = ingress({ name: 'port-marker', host: 'port-marker.test', service: 'port' });
  await app.change('port.yaml', file(renamed, marker));
  for (const { client, pod } of clients) expect(await client.get('/')).toMatchObject({ pod, setCookies: [] });
  expect(await moved('port')).toBe(0);
});

test('T35: a pod in two slices is one pod, and its sessions stay', async () => {
  const clients = await visitors('twice');
  const [first] = endpoints('twice');
  const again = slice({ service: 'twice', name: 'twice-again', endpoints: [first!] });
  // A new route says when the file is live: the slices alone may change nothing.
  const marker = (name: string) => ingress({ name, host: `${name}.test`, service: 'twice' });
  await app.change('twice.yaml', file(site('twice', { endpoints: endpoints('twice') }), again, marker('one')));
  for (const { client, pod } of clients) expect(await client.get('/')).toMatchObject({ pod, setCookies: [] });
  expect((await app.metrics()).all('holdfast_endpoint_state', { service: 'twice', state: 'Ready' })).toHaveLength(3);
  // The slice that it was in first goes: it still is the same pod.
  await app.change('twice.yaml', file(site('twice', { endpoints: endpoints('twice').slice(1) }), again, marker('two')));
  for (const { client, pod } of clients) expect(await client.get('/')).toMatchObject({ pod, setCookies: [] });
});

test('T66: sessions outlast a moment without any endpoint', async () => {
  const clients = await visitors('flash');
  await app.change('flash.yaml', site('flash', { endpoints: [] }));
  for (const { client } of clients) expect(await client.get('/')).toMatchObject({ status: 503, setCookies: [] });
  await app.change('flash.yaml', site('flash', { endpoints: endpoints('flash') }));
  for (const { client, pod } of clients) expect(await client.get('/')).toMatchObject({ pod, setCookies: [] });
  expect(await moved('flash')).toBe(0);
});

test('T67: sessions outlast an edit of their policy', async () => {
  const clients = await visitors('ttl');
  const session = { idleTimeout: '10m', absoluteTimeout: '1h' };
  await app.change('ttl.yaml', site('ttl', { endpoints: endpoints('ttl'), session, drain: { maxDuration: '1h' } }));
  for (const { client, pod } of clients.toReversed()) expect((await client.get('/')).pod).toBe(pod);
  expect(await moved('ttl')).toBe(0);
});

test('T67: sessions outlast another name of their cookie; the former name is free for the application', async () => {
  const clients = await visitors('renamed');
  const renamed = (name: string) =>
    site('renamed', {
      endpoints: endpoints('renamed'),
      rules: [{ name: 'browsers', cookie: { name, mode: 'Insert' } }],
    });
  await app.change('renamed.yaml', renamed('NEW'));
  // Not in the order in which they came, which balancing might repeat.
  for (const { client, pod } of clients.toReversed()) {
    const answer = await client.get('/');
    expect(answer.pod).toBe(pod);
    expect(answer.setCookies).toHaveLength(1);
    expect(setCookieValue(answer, 'NEW')?.slice(12, 22)).toBe(client.cookies.get('HF')?.slice(12, 22));
    expect(await client.get('/')).toMatchObject({ pod, setCookies: [] });
  }
  // Twice renamed, and not asked in between.
  const late = clients[0]!;
  late.client.cookies.delete('NEW');
  await app.change('renamed.yaml', renamed('NEWEST'));
  expect((await late.client.get('/')).pod).toBe(late.pod);
  expect(late.client.cookies.has('NEWEST')).toBe(true);
  const counts = (await app.metrics()).by('outcome', 'holdfast_decisions_total', { policy: 'renamed' });
  expect(counts).toEqual({ new: 9, kept: 19 });

  const stranger = new Client(app.port, { host: 'renamed.test' });
  const { described } = await stranger.get('/', { cookie: 'HF=of-the-application' });
  expect(described.headers['cookie']).toBe('HF=of-the-application');
  expect((await app.metrics()).sum('holdfast_invalid_tokens_total', { policy: 'renamed' })).toBe(0);
});

test('a draining pod keeps its sessions and gets no new ones; after maxDuration they move', async () => {
  const clients = await visitors('drain');
  const [first] = endpoints('drain');
  const drained = endpoints('drain').map((endpoint) =>
    endpoint === first || endpoint.pod === first?.pod
      ? { ...endpoint, ready: false, serving: true, terminating: true }
      : endpoint,
  );
  await app.change('drain.yaml', site('drain', { endpoints: drained }));
  for (const { client, pod } of clients) expect(await client.get('/')).toMatchObject({ pod, setCookies: [] });
  for (let i = 0; i < 9; i++)
    expect((await new Client(app.port, { host: 'drain.test' }).get('/')).pod).not.toBe(first?.pod);
  await app.change('drain.yaml', site('drain', { endpoints: drained, drain: { maxDuration: '1ms' } }));
  const leaving = clients.filter(({ pod }) => pod === first?.pod);
  for (const { client, pod } of clients) {
    const answer = await client.get('/');
    expect(answer.setCookies).toHaveLength(pod === first?.pod ? 1 : 0);
    if (pod === first?.pod) expect(answer.pod).not.toBe(pod);
    else expect(answer.pod).toBe(pod);
  }
  expect(await moved('drain', 'drain_timeout')).toBe(leaving.length);
});

test('T51: of two policies for one Ingress one wins whole, and the other is told so', async () => {
  const backends = pods['flash'] ?? [];
  const loser = policy({
    name: 'z-later',
    ingress: 'contested',
    rules: [{ name: 'browsers', cookie: { name: 'LOSER', mode: 'Insert' } }],
  });
  const winner = policy({
    name: 'a-first',
    ingress: 'contested',
    rules: [{ name: 'browsers', cookie: { mode: 'Insert', name: 'WINNER', path: '/x' } }],
  });
  await app.change(
    'contested.yaml',
    file(
      loser,
      ingress({ name: 'contested', host: 'contested.test', service: 'contested' }),
      service('contested'),
      winner,
      slices(
        'contested',
        backends.map((backend) => backend.endpoint()),
      ),
    ),
  );
  const answer = await new Client(app.port, { host: 'contested.test' }).get('/');
  expect(answer.setCookies).toHaveLength(1);
  expect(answer.setCookies[0]).toMatch(/^WINNER=[\w-]{56}; Path=\/x; HttpOnly; SameSite=Lax$/);
  const told = await eventually(async () => (await app.problems()).find(({ object }) => object.name === 'z-later'));
  expect(told).toMatchObject({ object: { kind: 'StickyPolicy', namespace: 'test' } });
  expect(told.message).toContain('a-first');
});
