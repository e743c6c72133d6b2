/** Two replicas that share keys by a session store: they agree, follow one another's moves, and learn from one another. */
import { once } from 'node:events';
import { beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { Client, closeAtEnd, eventually, site, startBackend, startBackends } from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';
import { startRedis } from '../support/redis.ts';
import type { Redis } from '../support/redis.ts';
import { startReplicas } from '../support/replicas.ts';

const BY_USER = { name: 'users', header: { name: 'X-User', mode: 'Table' } } as const;

let redis: Redis;
let replicas: readonly [App, App];
let backends: Backend[];

const ask = async (app: App, host: string, user: string) =>
  await new Client(app.port, { host: `${host}.test`, keepAlive: false }).get('/', { 'x-user': user });

/** Questions that the store has not answered within its 50 ms: after one a replica goes its own way, as it should. */
async function unanswered(): Promise<number> {
  const all = await Promise.all(replicas.map((app) => app.metrics()));
  return all.reduce((sum, metrics) => sum + metrics.value('holdfast_session_store_errors_total'), 0);
}

const moving = (list: readonly Backend[]) =>
  site('moving', { endpoints: list.map((backend) => backend.endpoint()), rules: [BY_USER] });

const grouped = (name: string, list: readonly Backend[]) =>
  site(name, {
    endpoints: list.map((backend) => backend.endpoint()),
    rules: [BY_USER],
    session: { group: 'shop' },
    newSession: { algorithm: 'Random' },
  });

beforeAll(async () => {
  redis = await startRedis();
  backends = await startBackends('web-0', 'web-1', 'web-2', 'web-3');
  const endpoints = backends.map((backend) => backend.endpoint());
  const minting = await startBackends('app-0', 'app-1', 'app-2');
  replicas = await startReplicas(
    {
      'users.yaml': site('users', { endpoints, rules: [BY_USER], newSession: { algorithm: 'Random' } }),
      'moving.yaml': moving(backends),
      'cart.yaml': grouped('cart', backends),
      'pay.yaml': grouped('pay', backends),
      'news.yaml': grouped('news', await startBackends('news-0', 'news-1')),
      'brief.yaml': site('brief', {
        endpoints,
        rules: [{ name: 'users', header: { name: 'X-User', mode: 'Table', table: { idleTimeout: '2s' } } }],
        newSession: { algorithm: 'Random' },
      }),
      'near.yaml': site('near', { endpoints, rules: [BY_USER], session: { stickTo: 'Service' } }),
      'short.yaml': site('short', {
        endpoints,
        rules: [BY_USER],
        session: { absoluteTimeout: '3s' },
        newSession: { algorithm: 'RoundRobin' },
      }),
      'learn.yaml': site('learn', {
        endpoints: await Promise.all(
          minting.map(async ({ pod }) => {
            const backend = await startBackend({
              pod: `${pod}-minting`,
              handler: (request, response) => {
                const minted = request.url === '/login' ? { 'set-cookie': `SID=${pod}-${crypto.randomUUID()}` } : {};
                const over = request.url === '/logout' ? { 'set-cookie': 'SID=; Max-Age=0' } : {};
                response.writeHead(200, { ...minted, ...over });
                response.end(JSON.stringify({ pod }));
              },
            });
            return backend.endpoint();
          }),
        ),
        rules: [{ name: 'app', cookie: { name: 'SID', mode: 'Learn' } }],
        newSession: { algorithm: 'Random' },
      }),
    },
    { sessionStore: redis.address() },
  );
});

test('a key that one replica has bound goes to the same endpoint at the other', async () => {
  const [a, b] = replicas;
  for (let key = 0; key < 30; key++) {
    const { pod } = await ask(a, 'users', `user-${key}`);
    expect((await ask(b, 'users', `user-${key}`)).pod, `user-${key}`).toBe(pod);
  }
  const found = (await b.metrics()).by('outcome', 'holdfast_decisions_total', { policy: 'users' });
  expect(found).toEqual({ kept: 30 });
  expect((await b.metrics()).sum('holdfast_session_moves_total', { policy: 'users' })).toBe(0);
});

test('the first requests of a key, at once at both, agree', async () => {
  for (let key = 0, agreed = 0; agreed < 25; key++) {
    const before = await unanswered();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) => ask(replicas[i % 2] as App, 'users', `both-${key}`)),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    if (key < 50 && (await unanswered()) > before) continue;
    expect(new Set(answers.map(({ pod }) => pod)).size, `both-${key}`).toBe(1);
    agreed++;
  }
});

test('a key that has moved is where it has moved to at the other, too', async () => {
  const [a, b] = replicas;
  const keys = Array.from({ length: 12 }, (_, i) => `m-${i}`);
  const before = new Map<string, string>();
  for (const key of keys) before.set(key, (await ask(a, 'moving', key)).pod);
  const lost = [...before.values()][0];
  const rest = backends.filter(({ pod }) => pod !== lost);
  await Promise.all([a.change('moving.yaml', moving(rest)), b.change('moving.yaml', moving(rest))]);
  for (const key of keys) {
    const [one, two] = await Promise.all([ask(a, 'moving', key), ask(b, 'moving', key)]);
    expect(one.pod, key).toBe(two.pod);
    if (before.get(key) !== lost) expect(one.pod, key).toBe(before.get(key));
  }
  // It stays there when the endpoint is back.
  const now = await ask(a, 'moving', keys[0] ?? '');
  await Promise.all([a.change('moving.yaml', moving(backends)), b.change('moving.yaml', moving(backends))]);
  expect((await ask(b, 'moving', keys[0] ?? '')).pod).toBe(now.pod);
});

test('a key that a backend minted by way of one replica is known to the other, until it is taken back', async () => {
  const [a, b] = replicas;
  for (let session = 0; session < 10; session++) {
    const login = await new Client(a.port, { host: 'learn.test' }).get('/login');
    const cookie = login.setCookies[0]?.split(';', 1)[0] ?? '';
    const pod = (JSON.parse(login.text) as { pod: string }).pod;
    const podAtOther = async (): Promise<string> => {
      const answer = await new Client(b.port, { host: 'learn.test', keepAlive: false }).get('/', { cookie });
      return (JSON.parse(answer.text) as { pod: string }).pod;
    };
    // The store is told while the answer is on its way.
    await eventually(async () => (await podAtOther()) === pod);
    for (let i = 0; i < 4; i++) expect(await podAtOther(), cookie).toBe(pod);
  }
  const store = await redis.client();
  const before = new Set(await store.keys('*'));
  const login = await new Client(a.port, { host: 'learn.test' }).get('/login');
  const name = await eventually(async () => (await store.keys('*')).find((one) => !before.has(one)));
  const cookie = login.setCookies[0]?.split(';', 1)[0] ?? '';
  await new Client(b.port, { host: 'learn.test' }).get('/logout', { cookie });
  await eventually(async () => (await store.exists(name)) === 0);
});

test('a key in use follows the store within some seconds, although this replica knows it', async () => {
  const [a, b] = replicas;
  const store = await redis.client();
  const nameOf = async (key: string): Promise<string> => {
    const before = new Set(await store.keys('*'));
    await ask(a, 'users', key);
    return await eventually(async () => (await store.keys('*')).find((name) => !before.has(name)));
  };
  const name = await nameOf('followed');
  const { pod } = await ask(b, 'users', 'followed');
  let elsewhere = '';
  let value = '';
  for (let i = 0; elsewhere === ''; i++) {
    const other = await nameOf(`other-${i}`);
    const found = await ask(b, 'users', `other-${i}`);
    if (found.pod !== pod) [elsewhere, value] = [found.pod, (await store.get(other)) ?? ''];
  }
  await store.set(name, value, { KEEPTTL: true });
  await eventually(async () => (await ask(b, 'users', 'followed')).pod === elsewhere);
  expect((await ask(b, 'users', 'followed')).pod).toBe(elsewhere);
  // No replica has moved anything.
  for (const app of replicas)
    expect((await app.metrics()).sum('holdfast_session_moves_total', { policy: 'users' })).toBe(0);
});

test('a session is over at both when its absolute time is, whichever it has come by', { timeout: 60_000 }, async () => {
  const [a, b] = replicas;
  const expired = async () =>
    (await b.metrics()).sum('holdfast_decisions_total', {
      policy: 'short',
      outcome: 'new',
      reason: 'absolute_expired',
    });
  for (let attempt = 1; ; attempt++) {
    const [key, before, over] = [`k-${attempt}`, await unanswered(), await expired()];
    const began = Date.now();
    const { pod } = await ask(a, 'short', key);
    await eventually(() => Date.now() > began + 2000);
    const at = [await ask(b, 'short', key)];
    await eventually(() => Date.now() > began + 4500);
    // In turn, so that whoever starts anew does so elsewhere.
    at.push(await ask(b, 'short', key), await ask(a, 'short', key));
    if (attempt < 5 && (await unanswered()) > before) continue;
    const [first, anew, agreed] = at.map((answer) => answer.pod);
    expect([first, agreed, (await expired()) - over]).toEqual([pod, anew, 1]);
    return;
  }
});

test('of two replicas that move a key at once to different endpoints one wins', async () => {
  const [a, b] = replicas;
  const keys = Array.from({ length: 10 }, (_, i) => `race-${i}`);
  for (const key of keys) await Promise.all([ask(a, 'moving', key), ask(b, 'moving', key)]);
  // Each has lost what the other still has, for a while.
  const [one, two, ...rest] = backends;
  if (one === undefined || two === undefined) throw new Error('too few backends');
  await Promise.all([
    a.change('moving.yaml', moving([one, ...rest.slice(0, 1)])),
    b.change('moving.yaml', moving([two, ...rest.slice(0, 1)])),
  ]);
  for (const key of keys) {
    const answers = await Promise.all([ask(a, 'moving', key), ask(b, 'moving', key)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  }
  await Promise.all(replicas.map((app) => app.change('moving.yaml', moving(backends))));
  for (const key of keys)
    await eventually(async () => (await ask(a, 'moving', key)).pod === (await ask(b, 'moving', key)).pod);
});

test('an upgrade finds its key as a request does', async () => {
  const [a, b] = replicas;
  const open = async (app: App, user: string): Promise<string> => {
    const socket = new WebSocket(`ws://127.0.0.1:${app.port}/ws`, { headers: { host: 'users.test', 'x-user': user } });
    closeAtEnd(async () => socket.terminate());
    const [first] = (await once(socket, 'message')) as [Buffer];
    return first.toString();
  };
  const { pod } = await ask(a, 'users', 'streaming');
  expect(await open(b, 'streaming')).toBe(pod);
  for (let key = 0; key < 8; key++) {
    const [one, two] = await Promise.all([open(a, `stream-${key}`), open(b, `stream-${key}`)]);
    expect(one).toBe(two);
  }
});

test('a group shares its keys over Services and replicas; a Service without the pod makes a choice of its own, once', async () => {
  const [a, b] = replicas;
  for (let i = 0; i < 8; i++) {
    const { pod } = await ask(a, 'cart', `g-${i}`);
    expect((await ask(b, 'pay', `g-${i}`)).pod).toBe(pod);
    const own = await ask(b, 'news', `g-${i}`);
    expect(own.pod).toMatch(/^news-/);
    expect((await ask(a, 'news', `g-${i}`)).pod).toBe(own.pod);
    expect((await ask(b, 'cart', `g-${i}`)).pod).toBe(pod);
  }
});

test('an open stream keeps its key in the store beyond the idle time', async () => {
  const [a, b] = replicas;
  const headers = { host: 'brief.test', 'x-user': 'watcher' };
  const socket = new WebSocket(`ws://127.0.0.1:${a.port}/ws`, { headers });
  closeAtEnd(async () => socket.terminate());
  const [first] = (await once(socket, 'message')) as [Buffer];
  const began = Date.now();
  await eventually(() => Date.now() > began + 5000);
  expect((await ask(b, 'brief', 'watcher')).pod).toBe(first.toString());
  const metrics = await b.metrics();
  expect(metrics.by('outcome', 'holdfast_decisions_total', { policy: 'brief' })).toEqual({ kept: 1 });
});

test('a key whose requests are balanced near its endpoint is at that one in the store, whoever serves them', async () => {
  const store = await redis.client();
  const before = new Set(await store.keys('*'));
  await ask(replicas[0], 'near', 'u');
  const [name = ''] = (await store.keys('*')).filter((one) => !before.has(one) && one !== 'holdfast:probe');
  const value = await store.get(name);
  expect(value).toMatch(/^[\w-]{20}$/);
  const pods = new Set<string>();
  for (let i = 0; i < 30; i++) for (const replica of replicas) pods.add((await ask(replica, 'near', 'u')).pod);
  expect(pods.size).toBeGreaterThan(1);
  expect(await store.get(name)).toBe(value);
});

test('the store holds no address, key, pod or session id, and names are of our own making', async () => {
  const store = await redis.client();
  const names = (await store.keys('*')).filter((name) => name !== 'holdfast:probe');
  expect(names.length).toBeGreaterThan(50);
  for (const name of names) {
    expect(name).toMatch(/^holdfast:[\w-]{22}$/);
    expect(await store.get(name)).toMatch(/^[\w-]{12}[0-9a-f]{8}$/);
    expect(await store.pTTL(name)).toBeGreaterThan(0);
  }
});
