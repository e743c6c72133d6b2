/** A client with our cookie keeps its pod; what the cookie looks like, who sees it, and what is no cookie of ours. */
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  Client,
  file,
  ingress,
  policy,
  service,
  setCookieValue,
  slices,
  startApp,
  startBackend,
  startBackends,
} from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';
import { startProcess } from '../support/process.ts';

const COOKIE = 'HF';
const TOKEN = /^[A-Za-z0-9_-]{56}$/;

const rules = [{ name: 'browsers', cookie: { name: COOKIE, mode: 'Insert' as const } }];

let app: App;
let backends: Backend[];
let manifests: string;

beforeAll(async () => {
  backends = await startBackends('web-0', 'web-1', 'web-2');
  const own = await startBackend({
    pod: 'own-cookies',
    handler: (_, response) => {
      response.setHeader('set-cookie', [
        'a=1; Path=/',
        `${COOKIE}=forged`,
        'b="2,3"; Expires=Fri, 01 Jan 2100 00:00:00 GMT',
      ]);
      response.end();
    },
  });
  manifests = file(
    ingress({ host: 'web.test' }),
    ingress({ name: 'own', host: 'own.test', service: 'own' }),
    ingress({ name: 'plain', host: 'plain.test' }),
    ingress({ name: 'other', host: 'other.test' }),
    service('web'),
    service('own'),
    ...['web', 'other', 'own'].map((name) => policy({ name, ingress: name, rules })),
    slices(
      'web',
      backends.map((backend) => backend.endpoint()),
    ),
    slices('own', [own.endpoint()]),
  );
  app = await startApp({ manifests });
});

/** Pods that `count` requests reached. */
async function podsOf(client: Client, count: number): Promise<Map<string, number>> {
  const pods = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const { pod } = await client.get('/');
    pods.set(pod, (pods.get(pod) ?? 0) + 1);
  }
  return pods;
}

test('T50: 100 requests with one cookie jar reach one pod, whichever worker they come to', async () => {
  const client = new Client(app.port, { jar: true, keepAlive: false });
  expect((await podsOf(client, 100)).size).toBe(1);
});

test('300 requests without cookies spread evenly', async () => {
  const pods = await podsOf(new Client(app.port, { keepAlive: false }), 300);
  expect([...pods.keys()].sort()).toEqual(['web-0', 'web-1', 'web-2']);
  for (const count of pods.values()) {
    expect(count).toBeGreaterThanOrEqual(75);
    expect(count).toBeLessThanOrEqual(125);
  }
});

describe('the cookie', () => {
  test('T12: is set once, with exactly these attributes, and not again while the session is kept', async () => {
    const client = new Client(app.port, { jar: true });
    const first = await client.get('/');
    expect(first.setCookies).toHaveLength(1);
    const value = setCookieValue(first, COOKIE) ?? '';
    expect(value).toMatch(TOKEN);
    expect(first.setCookies[0]).toBe(`${COOKIE}=${value}; Path=/; HttpOnly; SameSite=Lax`);
    for (let i = 0; i < 5; i++) expect((await client.get(`/${i}`)).setCookies).toEqual([]);
  });

  test('T5: tells nothing about the pod: tokens of one pod differ, and no name or address can be read from them', async () => {
    const client = new Client(app.port);
    const values = new Set<string>();
    for (let i = 0; i < 12; i++) {
      const answer = await client.get('/');
      const value = setCookieValue(answer, COOKIE) ?? '';
      values.add(value);
      const bytes = Buffer.from(value, 'base64url').toString('latin1');
      for (const secret of [answer.pod, 'web', '127.0.0.1', 'test']) expect(bytes).not.toContain(secret);
    }
    expect(values.size).toBe(12);
  });

  test('T18: is hidden from the backend, and all others arrive byte for byte, in order', async () => {
    const client = new Client(app.port);
    const ours = `${COOKIE}=${setCookieValue(await client.get('/'), COOKIE)}`;
    const cases: [sent: string, seen: string | undefined][] = [
      [ours, undefined],
      [`a=1; ${ours}; b="x y"`, 'a=1; b="x y"'],
      [`${ours}; a=1`, 'a=1'],
      [`a=1; ${ours}`, 'a=1'],
      [`a=1;b=2;  c = 3; ${COOKIE}x=4; d`, `a=1;b=2;  c = 3; ${COOKIE}x=4; d`],
    ];
    for (const [cookie, seen] of cases) {
      const { headers } = (await client.get('/', { cookie })).described;
      expect(headers['cookie'], cookie).toBe(seen);
    }
  });

  test('T19, T20: the backend keeps its own Set-Cookie lines, but for one of our name', async () => {
    const answer = await new Client(app.port, { host: 'own.test' }).get('/');
    expect(answer.setCookies.slice(0, 2)).toEqual(['a=1; Path=/', 'b="2,3"; Expires=Fri, 01 Jan 2100 00:00:00 GMT']);
    expect(answer.setCookies).toHaveLength(3);
    expect(answer.setCookies[2]).toMatch(new RegExp(`^${COOKIE}=[A-Za-z0-9_-]{56}; Path=/`));
  });

  test('T15, T16: is found among junk, quoted, or behind another value of its name', async () => {
    const client = new Client(app.port);
    const first = await client.get('/');
    const value = setCookieValue(first, COOKIE) ?? '';
    const cookies = [
      `${COOKIE}=junk; ${COOKIE}=${value}`,
      `;; =; x; ${COOKIE}="${value}"; $Version=1`,
      `n=${'x'.repeat(6000)};   ${COOKIE}=${value}`,
      `é=ü; ${COOKIE}=${value}`,
    ];
    for (const cookie of cookies) {
      const answer = await client.get('/', { cookie: Buffer.from(cookie).toString('latin1') });
      expect(answer.pod, cookie).toBe(first.pod);
      expect(answer.setCookies, cookie).toEqual([]);
    }
  });
});

describe('what is no token of ours', () => {
  /** Requests balance as new ones and each gets a token of its own. */
  async function expectIgnored(values: readonly string[], reason: string): Promise<number> {
    const before = await app.metrics();
    const client = new Client(app.port);
    for (const value of values) {
      const answer = await client.get('/', { cookie: `${COOKIE}=${value}` });
      expect(answer.status, value).toBe(200);
      expect(setCookieValue(answer, COOKIE), value).toMatch(TOKEN);
    }
    const after = await app.metrics();
    const labels = { policy: 'web', outcome: 'new', reason };
    expect(after.sum('holdfast_decisions_total', labels) - before.sum('holdfast_decisions_total', labels)).toBe(
      values.length,
    );
    return after.sum('holdfast_invalid_tokens_total') - before.sum('holdfast_invalid_tokens_total');
  }

  test('T3: forged and damaged tokens are ignored and counted', async () => {
    const value = setCookieValue(await new Client(app.port).get('/'), COOKIE) ?? '';
    const flipped = value.slice(0, 20) + (value[20] === 'A' ? 'B' : 'A') + value.slice(21);
    const forged = [
      flipped,
      value.slice(0, -1) + (value.endsWith('A') ? 'B' : 'A'),
      `http://127.0.0.1:${backends[0]?.port}`,
      Buffer.from(`127.0.0.1:${backends[0]?.port}`).toString('base64'),
      'web-0',
      '0'.repeat(32),
    ];
    expect(await expectIgnored(forged, 'invalid_token')).toBe(forged.length);
  });

  test('T3: tokens of a pod, damaged, are not sent to that pod more than to others', async () => {
    const client = new Client(app.port);
    const first = await client.get('/');
    const value = setCookieValue(first, COOKIE) ?? '';
    let same = 0;
    for (let i = 0; i < 60; i++) {
      const at = 12 + (i % 40);
      const damaged = value.slice(0, at) + (value[at] === 'x' ? 'y' : 'x') + value.slice(at + 1);
      if ((await client.get('/', { cookie: `${COOKIE}=${damaged}` })).pod === first.pod) same++;
    }
    expect(same).toBeGreaterThanOrEqual(10);
    expect(same).toBeLessThanOrEqual(30);
  });

  test('T4: a token of another policy is ignored without an error', async () => {
    const other = await new Client(app.port, { host: 'other.test' }).get('/');
    const value = setCookieValue(other, COOKIE) ?? '';
    await expectIgnored([value], 'invalid_token');
  });

  test('T52: a route without a policy sets no cookie, leaves the token alone and balances', async () => {
    const value = setCookieValue(await new Client(app.port).get('/'), COOKIE) ?? '';
    const client = new Client(app.port, { host: 'plain.test' });
    const pods = new Set<string>();
    for (let i = 0; i < 9; i++) {
      const answer = await client.get('/', { cookie: `${COOKIE}=${value}` });
      expect(answer.setCookies).toEqual([]);
      expect(answer.described.headers['cookie']).toBe(`${COOKIE}=${value}`);
      pods.add(answer.pod);
    }
    expect(pods.size).toBe(3);
  });
});

test('T7: a second process with the same keys honours the cookie, and so does the process after a restart', async () => {
  const client = new Client(app.port, { jar: true });
  const { pod } = await client.get('/');
  const second = await startProcess({ manifests: app.dir, keysFile: app.keysFile });
  client.port = second.port;
  for (let i = 0; i < 10; i++) expect(await client.get('/')).toMatchObject({ pod, setCookies: [] });
  expect((await second.stop()).code).toBe(0);

  const restarted = await startProcess({ manifests: app.dir, keysFile: app.keysFile });
  client.port = restarted.port;
  for (let i = 0; i < 10; i++) expect(await client.get('/')).toMatchObject({ pod, setCookies: [] });
  const metrics = await restarted.metrics();
  expect(metrics.by('outcome', 'holdfast_decisions_total')).toEqual({ kept: 10 });
});

test('other keys are other sessions: nothing of the key file is in the cookie', async () => {
  const keys = JSON.parse(await readFile(app.keysFile, 'utf8')) as { key: string }[];
  const value = setCookieValue(await new Client(app.port).get('/'), COOKIE) ?? '';
  const bytes = Buffer.from(value, 'base64url').toString('hex');
  for (const { key } of keys) expect(Buffer.from(key, 'base64').toString('hex')).not.toContain(bytes.slice(20, 36));
  const stranger = await startApp({ manifests });
  const answer = await new Client(stranger.port).get('/', { cookie: `${COOKIE}=${value}` });
  expect(setCookieValue(answer, COOKIE)).toMatch(TOKEN);
  await stranger.close();
});
