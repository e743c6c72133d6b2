/** What the session table sees of requests: active sessions, moves counted once, open streams, drains, and a worker that dies. */
import type { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  Client,
  eventually,
  file,
  ingress,
  policy,
  service,
  site,
  slices,
  startApp,
  startBackend,
  startBackends,
} from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';
import { openWebSocket } from '../support/websocket.ts';

const workers: Worker[] = [];
const onWorker = (worker: Worker): void => void workers.push(worker);

let app: App;
let backends: Backend[];

const moving = (list: readonly Backend[]) => site('moving', { endpoints: list.map((backend) => backend.endpoint()) });
const hashed = (terminating?: string) =>
  file(
    ingress({ name: 'hashed', host: 'hashed.test', service: 'hashed' }),
    service('hashed'),
    policy({ name: 'hashed', ingress: 'hashed', rules: [{ name: 'apps', header: { name: 'x-id', mode: 'Hash' } }] }),
    slices(
      'hashed',
      backends.map((backend) => {
        const endpoint = backend.endpoint();
        return endpoint.pod === terminating
          ? { ...endpoint, ready: false, serving: true, terminating: true }
          : endpoint;
      }),
    ),
  );

beforeAll(async () => {
  process.on('worker', onWorker);
  backends = await startBackends('web-0', 'web-1', 'web-2');
  const endpoints = backends.map((backend) => backend.endpoint());
  app = await startApp({
    manifests: {
      'web.yaml': site('web', { endpoints, session: { idleTimeout: '2s' } }),
      'counted.yaml': site('counted', { endpoints }),
      'capped.yaml': site('capped', {
        endpoints,
        newSession: { algorithm: 'LeastSessions', maxSessionsPerEndpoint: 2, onFull: 'Reject' },
      }),
      'moving.yaml': moving(backends),
      'hashed.yaml': hashed(),
    },
  });
});
afterAll(() => process.off('worker', onWorker));

const decisions = async (policyName: string) =>
  await app.metrics().then((metrics) => metrics.by('outcome', 'holdfast_decisions_total', { policy: policyName }));

test('T62: sessions are active once their token has come back; clients without cookies never are', async () => {
  const clients = Array.from({ length: 6 }, () => new Client(app.port, { host: 'counted.test', jar: true }));
  for (const client of clients) await client.get('/');
  const crawler = new Client(app.port, { host: 'counted.test', keepAlive: false });
  for (let i = 0; i < 30; i++) await crawler.get('/');
  const active = async () => (await app.metrics()).sum('holdfast_endpoint_sessions_active', { service: 'counted' });
  expect(await active()).toBe(0);
  const pods = new Map<string, number>();
  for (const client of clients) {
    const { pod } = await client.get('/');
    pods.set(pod, (pods.get(pod) ?? 0) + 1);
  }
  const metrics = await app.metrics();
  expect(metrics.by('pod', 'holdfast_endpoint_sessions_active', { service: 'counted' })).toMatchObject(
    Object.fromEntries(pods),
  );
  expect(await active()).toBe(6);
  expect(metrics.value('holdfast_session_table_entries')).toBeGreaterThanOrEqual(36);
  const ratio = metrics.value('holdfast_balance_ratio', { service: 'counted', of: 'sessions' });
  expect(ratio).toBeCloseTo(Math.max(...pods.values()) / 2);
});

test('a session that moves counts once, however many requests move with it', async () => {
  const jar = new Client(app.port, { host: 'moving.test', jar: true });
  const { pod } = await jar.get('/');
  await jar.get('/');
  const cookie = jar.cookieHeader;
  await app.change('moving.yaml', moving(backends.filter((backend) => backend.pod !== pod)));
  const others = Array.from({ length: 20 }, () => new Client(app.port, { host: 'moving.test' }));
  const answers = await Promise.all(others.map((client) => client.get('/', { cookie })));
  expect(new Set(answers.map((answer) => answer.pod)).size).toBe(1);
  expect(answers[0]?.pod).not.toBe(pod);
  expect(await decisions('moving')).toMatchObject({ moved: 20 });
  const metrics = await app.metrics();
  expect(metrics.by('reason', 'holdfast_session_moves_total', { policy: 'moving' })).toEqual({ endpoint_gone: 1 });
});

test('a session with an open WebSocket is not idle, whatever its cookie says', async () => {
  const [streaming, idle] = [new Client(app.port, { jar: true }), new Client(app.port, { jar: true })];
  const { pod } = await streaming.get('/');
  await idle.get('/');
  const cookies = [streaming.cookieHeader, idle.cookieHeader];
  const began = Date.now();
  const { socket } = await openWebSocket(streaming);
  await eventually(() => Date.now() > began + 3500);
  expect((await decisions('web'))['new']).toBe(2);
  const kept = await new Client(app.port).get('/', { cookie: cookies[0] ?? '' });
  expect(kept.pod).toBe(pod);
  await new Client(app.port).get('/', { cookie: cookies[1] ?? '' });
  const reasons = (await app.metrics()).by('reason', 'holdfast_decisions_total', { policy: 'web' });
  expect(reasons).toMatchObject({ idle_expired: 1 });
  socket.close();
});

test('T8 a session that begins with a slow answer begins then, not when it was decided', async () => {
  const waiting: (() => void)[] = [];
  const slow = await startBackend({
    pod: 'slow-0',
    handler: (request, response) =>
      request.url === '/slow' ? void waiting.push(() => response.end('done')) : void response.end('done'),
  });
  await app.change('slow.yaml', site('slow', { endpoints: [slow.endpoint()], session: { idleTimeout: '1s' } }));
  const client = new Client(app.port, { host: 'slow.test', jar: true });
  const answer = client.get('/slow');
  await eventually(() => waiting.length === 1);
  const asked = Date.now();
  await eventually(() => Date.now() > asked + 2500);
  waiting[0]?.();
  await answer;
  await client.get('/');
  expect(await decisions('slow')).toEqual({ new: 1, kept: 1 });
});

test('a hashed key that was seen stays on its endpoint while that drains, and is counted by the table', async () => {
  const ask = async (id: number) =>
    (await new Client(app.port, { host: 'hashed.test' }).get('/', { 'x-id': `user-${id}` })).pod;
  const before = await Promise.all(Array.from({ length: 12 }, (_, id) => ask(id)));
  const [leaving = ''] = before;
  await app.change('hashed.yaml', hashed(leaving));
  expect(await Promise.all(before.map((_, id) => ask(id)))).toEqual(before);
  // Nobody has seen these.
  for (let id = 100; id < 130; id++) expect(await ask(id)).not.toBe(leaving);
  expect(await decisions('hashed')).toEqual({ new: 42, kept: 12 });
  const metrics = await app.metrics();
  expect(metrics.value('holdfast_draining_sessions', { service: 'hashed', pod: leaving })).toBe(
    before.filter((pod) => pod === leaving).length,
  );
  await app.change('hashed.yaml', hashed());
  expect(await Promise.all(before.map((_, id) => ask(id)))).toEqual(before);
});

test('a full endpoint gets no new sessions, and when all are full new clients are refused', async () => {
  const visit = async () => {
    const client = new Client(app.port, { host: 'capped.test', jar: true });
    const answer = await client.get('/');
    return { client, answer };
  };
  const visits: Awaited<ReturnType<typeof visit>>[] = [];
  for (let i = 0; i < 6; i++) visits.push(await visit());
  const pods = visits.map(({ answer }) => answer.pod).sort();
  expect(pods).toEqual(['web-0', 'web-0', 'web-1', 'web-1', 'web-2', 'web-2']);
  const refused = (await visit()).answer;
  expect([refused.status, refused.headers['retry-after'], refused.setCookies]).toEqual([503, '1', []]);
  for (const { client, answer } of visits) expect((await client.get('/')).pod).toBe(answer.pod);
  expect(await decisions('capped')).toEqual({ new: 6, kept: 6, rejected: 1 });
});

test('new sessions are counted also when the table is full of others that came back', async () => {
  const endpoints = backends.map((backend) => backend.endpoint());
  const hosts = ['one', 'two', 'three', 'late'];
  const small = await startApp({
    manifests: file(...hosts.map((name) => site(name, { endpoints }))),
    config: { sessionTableEntries: 1024 },
  });
  for (const host of hosts) {
    const clients = Array.from(
      { length: host === 'late' ? 30 : 100 },
      () => new Client(small.port, { host: `${host}.test`, jar: true }),
    );
    for (const client of clients) {
      await client.get('/');
      if (host !== 'late') await client.get('/');
      client.close();
    }
  }
  const metrics = await small.metrics();
  expect(metrics.sum('holdfast_endpoint_new_sessions_total', { service: 'one' })).toBe(100);
  expect(metrics.sum('holdfast_endpoint_new_sessions_total', { service: 'late' })).toBe(30);
});

test('sessions outlive a worker that dies', async () => {
  const client = new Client(app.port, { host: 'counted.test', jar: true, keepAlive: false });
  const { pod } = await client.get('/');
  const before = (await app.metrics()).sum('holdfast_endpoint_sessions_active', { service: 'counted' });
  await workers[0]?.terminate();
  await eventually(async () => (await app.metrics()).sum('holdfast_worker_restarts_total') === 1);
  expect((await client.get('/')).pod).toBe(pod);
  expect((await app.metrics()).sum('holdfast_endpoint_sessions_active', { service: 'counted' })).toBe(before + 1);
});
