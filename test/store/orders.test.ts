/** Sessions that were moved or ended by hand: the session store remembers them when no replica does. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import {
  Client,
  closeAtEnd,
  eventually,
  makeFolder,
  setCookieValue,
  site,
  startApp,
  startBackends,
} from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';
import { startRedis } from '../support/redis.ts';
import type { Redis } from '../support/redis.ts';

let redis: Redis;
let backends: Backend[];
let keysFile: string;

beforeAll(async () => {
  redis = await startRedis();
  backends = await startBackends('web-0', 'web-1', 'web-2');
  const folder = await makeFolder();
  closeAtEnd(() => rm(folder, { recursive: true, force: true }));
  keysFile = join(folder, 'keys.json');
});

/** A controller on its own: it starts when there is no other, or no other any more. */
async function start(): Promise<App> {
  return await startApp({
    manifests: site('web', { endpoints: backends.map((backend) => backend.endpoint()) }),
    config: { sessionKeysFile: keysFile, sessionStore: redis.address() },
  });
}

async function post(app: App, action: 'move' | 'end', body: object): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${app.adminPort}/api/v1/sessions/${action}`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  });
  expect(response.status).toBe(200);
}

async function begun(app: App): Promise<{ token: string; pod: string }> {
  const answer = await new Client(app.port, { host: 'web.test' }).get('/');
  return { token: setCookieValue(answer, 'HF') ?? '', pod: answer.pod };
}

const returning = async (app: App, token: string) =>
  await new Client(app.port, { host: 'web.test' }).get('/', { cookie: `HF=${token}` });

const other = (pod: string): string => backends.find((backend) => backend.pod !== pod)?.pod ?? '';

/** Names of what is remembered. */
async function remembered(): Promise<string[]> {
  const store = await redis.client();
  const names = await store.keys('holdfast:*');
  const kinds = await Promise.all(names.map((name) => store.type(name)));
  return names.filter((_, i) => kinds[i] === 'zset');
}

test('a controller that starts when all have ended knows what was said; nothing of it can be read in the store', async () => {
  const first = await start();
  const [moved, ended] = [await begun(first), await begun(first)];
  const to = other(moved.pod);
  await post(first, 'move', { session: moved.token, to });
  await post(first, 'end', { session: ended.token });
  await first.close();

  const store = await redis.client();
  const [name = '', ...more] = await remembered();
  expect(more).toEqual([]);
  expect(await store.zCard(name)).toBe(2);
  expect(await store.pTTL(name)).toBeGreaterThan(23 * 3600_000);
  for (const member of await store.zRange(name, 0, -1))
    expect(Buffer.from(member, 'base64url').toString()).not.toContain('web');

  const second = await start();
  expect((await returning(second, moved.token)).pod).toBe(to);
  expect((await returning(second, ended.token)).setCookies).toHaveLength(1);
  const metrics = await second.metrics();
  for (const outcome of ['moved', 'new'])
    expect(metrics.sum('holdfast_decisions_total', { outcome, reason: 'override' })).toBe(1);
  await second.close();
});

test('garbage among it is passed over; a store that was away is told what it has missed', async () => {
  const store = await redis.client();
  const [name = ''] = await remembered();
  for (const member of ['', 'x', 'A'.repeat(100), 'A'.repeat(100_000)])
    await store.zAdd(name, { score: Date.now() * 2, value: member });
  const first = await start();
  await store.set(name, 'another type of value');
  await redis.stop();
  const { token } = await begun(first);
  await post(first, 'end', { session: token });
  await redis.start();
  await eventually(async () => (await remembered()).length === 1, 20_000);
  await first.close();
  const second = await start();
  expect((await returning(second, token)).setCookies).toHaveLength(1);
  expect((await second.metrics()).sum('holdfast_decisions_total', { outcome: 'new', reason: 'override' })).toBe(1);
  await second.close();
});
