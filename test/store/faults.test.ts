/** A session store that is killed, hangs, forgets, lies or lets nobody in: no request fails, and none waits for long. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { beforeAll, expect, test } from 'vitest';
import { Client, closeAtEnd, eventually, site, startBackends } from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';
import { startRedis } from '../support/redis.ts';
import { startReplicas } from '../support/replicas.ts';

const BY_USER = { name: 'users', header: { name: 'X-User', mode: 'Table' } } as const;

let backends: Backend[];
let manifests: Record<string, string>;

beforeAll(async () => {
  backends = await startBackends('web-0', 'web-1', 'web-2', 'web-3');
  const endpoints = backends.map((backend) => backend.endpoint());
  manifests = {
    'users.yaml': site('users', { endpoints, rules: [BY_USER], newSession: { algorithm: 'Random' } }),
  };
});

const ask = async ({ port }: App, user: string) =>
  await new Client(port, { host: 'users.test', keepAlive: false }).get('/', { 'x-user': user });

/** Log lines that the replicas have written about the store. */
const said = (app: App, what: string): number => app.logs.filter((line) => line.includes(what)).length;
const AWAY = 'the session store is not asked';
const BACK = 'the session store answers';

/** Each worker has to find out by itself, and it has two. */
async function untilAway(replicas: readonly App[], times = 2): Promise<void> {
  for (const app of replicas) {
    await eventually(async () => {
      await Promise.all(Array.from({ length: 8 }, () => ask(app, crypto.randomUUID())));
      return said(app, AWAY) >= times;
    });
  }
}

const untilBack = async (replicas: readonly App[], times: number): Promise<void> => {
  for (const app of replicas) await eventually(() => said(app, BACK) >= times);
};

/** New and known keys at both replicas, without a pause, until `over`. */
async function load(replicas: readonly App[], over: Promise<unknown>): Promise<{ asked: number; bad: number }> {
  let [going, asked, bad] = [true, 0, 0];
  const end = over.finally(() => (going = false));
  const one = async (app: App, i: number) => {
    const client = new Client(app.port, { host: 'users.test' });
    for (let n = 0; going; n++) {
      const { status } = await client.get('/', { 'x-user': n % 2 === 0 ? `known-${i}` : crypto.randomUUID() });
      asked++;
      if (status !== 200) bad++;
    }
  };
  await Promise.all([end, ...replicas.flatMap((app) => [0, 1, 2].map((i) => one(app, i)))]);
  return { asked, bad };
}

test('killed, and started again empty, under load: no request fails, and what it has forgotten it is told again', async () => {
  const redis = await startRedis();
  const replicas = await startReplicas(manifests, { sessionStore: redis.address() });
  await untilBack(replicas, 2);
  const happening = (async () => {
    await ask(replicas[0], 'kept-all-along');
    await redis.stop();
    await untilAway(replicas);
    await redis.start();
    await untilBack(replicas, 4);
  })();
  const { asked, bad } = await load(replicas, happening);
  expect(bad).toBe(0);
  expect(asked).toBeGreaterThan(100);
  const store = await redis.client();
  await store.flushAll();
  const { pod } = await ask(replicas[0], 'kept-all-along');
  expect((await ask(replicas[0], 'kept-all-along')).pod).toBe(pod);
  // At its next check at the latest, which is due after five seconds.
  await eventually(async () => {
    await ask(replicas[0], 'kept-all-along');
    return (await store.keys('holdfast:*')).some((name) => name !== 'holdfast:probe');
  });
  const metrics = await replicas[0].metrics();
  expect(metrics.value('holdfast_session_store_errors_total')).toBeGreaterThan(0);
  expect(metrics.value('holdfast_session_store_requests_total')).toBeGreaterThan(
    metrics.value('holdfast_session_store_errors_total'),
  );
  expect(metrics.value('holdfast_session_store_seconds_count')).toBe(
    metrics.value('holdfast_session_store_requests_total'),
  );
});

test('paused: a request waits 50 ms, later ones not at all, and both replicas choose alike', async () => {
  const redis = await startRedis();
  const replicas = await startReplicas(manifests, { sessionStore: redis.address() });
  await untilBack(replicas, 2);
  redis.pause();
  const began = performance.now();
  expect((await ask(replicas[0], 'first')).status).toBe(200);
  const first = performance.now() - began;
  expect(first).toBeGreaterThanOrEqual(49);
  expect(first).toBeLessThan(500);
  await untilAway(replicas);
  // Now without a question: forty of them in less time than two questions would take.
  const before = await replicas[0].metrics();
  const pods: string[] = [];
  for (let i = 0; i < 40; i++) pods.push((await ask(replicas[0], `alike-${i}`)).pod);
  const after = await replicas[0].metrics();
  // Probes, once a second and worker, are all that is asked.
  const asked = (metrics: typeof after) => metrics.value('holdfast_session_store_requests_total');
  expect(asked(after) - asked(before)).toBeLessThan(20);
  for (let i = 0; i < 40; i++) expect((await ask(replicas[1], `alike-${i}`)).pod).toBe(pods[i]);
  expect(new Set(pods).size).toBeGreaterThan(1);
  expect((await replicas[0].admin('/readyz')).status).toBe(200);
  redis.goOn();
  await untilBack(replicas, 4);
});

test('back again: where the store has a key wins over what was decided meanwhile', async () => {
  const redis = await startRedis();
  const [a, b] = await startReplicas(manifests, { sessionStore: redis.address() });
  await untilBack([a, b], 2);
  const keys = Array.from({ length: 24 }, (_, i) => `won-${i}`);
  const stored = new Map<string, string>();
  for (const key of keys) stored.set(key, (await ask(a, key)).pod);
  redis.pause();
  await untilAway([b]);
  const meanwhile = new Map<string, string>();
  for (const key of keys) meanwhile.set(key, (await ask(b, key)).pod);
  // Random is not what the key's order says, so some have gone astray.
  expect(keys.some((key) => meanwhile.get(key) !== stored.get(key))).toBe(true);
  redis.goOn();
  await untilBack([b], 4);
  for (const key of keys) await eventually(async () => (await ask(b, key)).pod === stored.get(key));
});

test('whatever stands in the store: another endpoint, garbage, much of it, or another type', async () => {
  const redis = await startRedis();
  const [a, b] = await startReplicas(manifests, { sessionStore: redis.address() });
  await untilBack([a, b], 2);
  const store = await redis.client();
  const nameOf = async (key: string): Promise<string> => {
    const before = new Set(await store.keys('*'));
    await ask(a, key);
    return await eventually(async () => (await store.keys('*')).find((name) => !before.has(name)));
  };
  const lies: readonly ((name: string) => Promise<unknown>)[] = [
    (name) => store.set(name, 'AAAAAAAAAAAA00000001'),
    (name) => store.set(name, 'AAAAAAAAAAAAffffffff'),
    (name) => store.set(name, '\r\n$-1\r\n\0'),
    (name) => store.set(name, ''),
    (name) => store.set(name, 'x'.repeat(8 << 20)),
    async (name) => {
      await store.del(name);
      await store.lPush(name, ['a', 'b']);
    },
  ];
  for (const [i, lie] of lies.entries()) {
    const name = await nameOf(`lie-${i}`);
    await lie(name);
    const { status, pod } = await ask(b, `lie-${i}`);
    expect(status, `lie ${i}`).toBe(200);
    // What stands there now is the truth: B's endpoint.
    expect(await store.get(name), `lie ${i}`).toMatch(/^[\w-]{12}[0-9a-f]{8}$/);
    expect((await ask(b, `lie-${i}`)).pod, `lie ${i}`).toBe(pod);
  }
  expect(said(b, AWAY)).toBe(0);
});

test('a wrong password: it is served without the store, and the log says why but not with what', async () => {
  const redis = await startRedis('--requirepass', 'right-one');
  const [a] = await startReplicas(manifests, { sessionStore: redis.address(':wrong-one@') });
  expect((await ask(a, 'somebody')).status).toBe(200);
  const line = a.logs.find((one) => one.includes(AWAY)) ?? '';
  expect(line).toContain('WRONGPASS');
  expect(a.logs.join('')).not.toContain('wrong-one');
  const [b] = await startReplicas(manifests, { sessionStore: redis.address(':right-one@', 'redis', '/3') });
  await untilBack([b], 2);
});

test('nobody listens where the store should be: the replica starts, and is ready', async () => {
  const redis = await startRedis();
  await redis.stop();
  const [a] = await startReplicas(manifests, { sessionStore: redis.address() });
  expect((await ask(a, 'somebody')).status).toBe(200);
  expect((await a.admin('/readyz')).status).toBe(200);
  await redis.start();
  await untilBack([a], 2);
});

test('an endpoint that closes while the store is told of its key costs the request nothing', async () => {
  const redis = await startRedis();
  let accepted = 0;
  const closing = createServer((socket) => {
    accepted++;
    socket.on('error', () => undefined);
    setTimeout(() => socket.destroy(), 10);
  }).listen(0, '127.0.0.1');
  await once(closing, 'listening');
  closeAtEnd(async () => closing.close());
  const endpoint = { pod: 'closing', address: '127.0.0.1', port: (closing.address() as AddressInfo).port };
  const [one] = backends;
  if (one === undefined) throw new Error('no backend');
  const [a] = await startReplicas(
    {
      'users.yaml': site('users', {
        endpoints: [endpoint, one.endpoint()],
        rules: [BY_USER],
        newSession: { algorithm: 'RoundRobin' },
      }),
    },
    { sessionStore: redis.address() },
  );
  await untilBack([a], 2);
  const client = new Client(a.port, { host: 'users.test' });
  const store = await redis.client();
  const askOnce = async (attempt: number) => {
    // The endpoint that closes is the next in turn when the other one has answered.
    for (let i = 0; (await client.get('/', { 'x-user': `before-${attempt}-${i}` })).status !== 200; i++);
    accepted = 0;
    // Look-ups are answered, claims are not.
    await store.clientPause(60_000, 'WRITE');
    const headers = { 'x-user': `closing-${attempt}` };
    const answer = await client.ask('/', { method: 'POST', body: 'x', headers });
    await store.clientUnpause();
    return answer;
  };
  let answer = await askOnce(0);
  // Where the machine stalls, the store is given up before the close is heard, and the request has been sent: another try.
  for (let attempt = 1; answer.status === 502 && attempt < 6; attempt++) {
    await eventually(() => said(a, BACK) === said(a, AWAY) + 2);
    answer = await askOnce(attempt);
  }
  expect(answer.pod).toBe(one.pod);
  expect(accepted).toBeGreaterThan(0);
});
