/** Key rotation and the ends of sessions by time. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  Client,
  eventually,
  file,
  ingress,
  policy,
  service,
  setCookieValue,
  slices,
  startApp,
  startBackends,
} from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';

interface Key {
  readonly id: number;
  readonly key: string;
  readonly issueFrom: string;
}

const COOKIE = 'HF';
let backends: Backend[];

beforeAll(async () => {
  backends = await startBackends('web-0', 'web-1', 'web-2', 'web-3');
});

async function startWith(session: { idleTimeout?: string; absoluteTimeout?: string }, maxAge?: string): Promise<App> {
  return await startApp({
    manifests: file(
      ingress({ host: 'web.test' }),
      service(),
      policy({
        session,
        rules: [
          { name: 'browsers', cookie: { name: COOKIE, mode: 'Insert', ...(maxAge !== undefined && { maxAge }) } },
        ],
      }),
      slices(
        'web',
        backends.map((backend) => backend.endpoint()),
      ),
    ),
  });
}

describe.concurrent('T6: rotating the session keys', () => {
  test('a token of the old key is issued anew and kept; without the old key it is unknown', async () => {
    const app = await startWith({});
    const keys = JSON.parse(await readFile(app.keysFile, 'utf8')) as Key[];
    const client = new Client(app.port, { jar: true });
    const { pod } = await client.get('/');
    const old = client.cookies.get(COOKIE) ?? '';

    const added: Key = { id: 1, key: randomBytes(32).toString('base64'), issueFrom: new Date(0).toISOString() };
    const newest: Key = { ...added, issueFrom: new Date().toISOString() };
    await writeKeys(app, [...keys, newest]);
    const reissued = await eventually(async () => {
      const answer = await client.get('/');
      expect(answer.pod).toBe(pod);
      return answer.setCookies.length === 1 && answer;
    });
    expect(setCookieValue(reissued, COOKIE)).not.toBe(old);
    // The session id is the same: characters 12 to 22 of the token hold nothing else.
    expect(setCookieValue(reissued, COOKIE)?.slice(12, 22)).toBe(old.slice(12, 22));
    for (let i = 0; i < 5; i++) expect(await client.get('/')).toMatchObject({ pod, setCookies: [] });
    // Until the browser has stored the new one, the old one is as good.
    expect((await new Client(app.port).get('/', { cookie: `${COOKIE}=${old}` })).pod).toBe(pod);
    expect((await app.metrics()).sum('holdfast_decisions_total', { outcome: 'moved' })).toBe(0);

    await writeKeys(app, [newest]);
    const stranger = new Client(app.port);
    await eventually(async () => {
      const answer = await stranger.get('/', { cookie: `${COOKIE}=${old}` });
      return setCookieValue(answer, COOKIE)?.slice(12, 22) !== old.slice(12, 22) && answer.setCookies.length === 1;
    });
    expect(
      (await app.metrics()).value('holdfast_invalid_tokens_total', { policy: 'web', reason: 'unknown_key' }),
    ).toBeGreaterThan(0);
    expect(await client.get('/')).toMatchObject({ pod, setCookies: [] });
  });

  test('a broken key file leaves the keys in memory in force', async () => {
    const app = await startWith({});
    const client = new Client(app.port, { jar: true });
    const { pod } = await client.get('/');
    await writeFile(app.keysFile, '[{');
    await eventually(() => app.logs.some((line) => line.includes('the session keys in memory stay in force')));
    expect(await client.get('/')).toMatchObject({ pod, setCookies: [] });
  });
});

async function writeKeys(app: App, keys: readonly Key[]): Promise<void> {
  await writeFile(`${app.keysFile}.new`, JSON.stringify(keys));
  await rename(`${app.keysFile}.new`, app.keysFile);
}

describe.concurrent('the end of a session by time', () => {
  const outcomes = async (app: App, reason: string) =>
    (await app.metrics()).sum('holdfast_decisions_total', { outcome: 'new', reason });

  test('T9: an idle session is over although the client still has the cookie', async () => {
    const app = await startWith({ idleTimeout: '1s' });
    const client = new Client(app.port, { jar: true });
    await client.get('/');
    const before = client.cookies.get(COOKIE) ?? '';
    // No look before that: whoever comes by uses the session, whatever its cookie says. Tokens tell whole seconds.
    const over = Date.now() + 1000 + 1000 / 8 + 1000;
    await eventually(() => Date.now() > over);
    const answer = await client.get('/');
    expect(answer.setCookies).toHaveLength(1);
    expect(setCookieValue(answer, COOKIE)?.slice(12, 22)).not.toBe(before.slice(12, 22));
    expect(await outcomes(app, 'idle_expired')).toBe(1);
  });

  test('T11, T13: an active session is renewed and outlives its idle timeout', async () => {
    const app = await startWith({ idleTimeout: '2s' });
    const client = new Client(app.port, { jar: true });
    const { pod } = await client.get('/');
    const session = client.cookies.get(COOKIE)?.slice(12, 22);
    const until = Date.now() + 3 * 2000;
    let renewals = 0;
    await eventually(async () => {
      const two = await Promise.all([client.get('/a'), client.get('/b')]);
      for (const answer of two) {
        expect(answer.pod).toBe(pod);
        renewals += answer.setCookies.length;
        for (const _ of answer.setCookies) expect(setCookieValue(answer, COOKIE)?.slice(12, 22)).toBe(session);
      }
      return Date.now() > until;
    });
    expect(renewals).toBeGreaterThan(4);
    expect((await app.metrics()).by('outcome', 'holdfast_decisions_total')).toMatchObject({ new: 1 });
  });

  test('an active session ends at its absolute timeout', async () => {
    const app = await startWith({ absoluteTimeout: '2s' });
    const client = new Client(app.port, { jar: true });
    await client.get('/');
    const session = client.cookies.get(COOKIE)?.slice(12, 22);
    await eventually(async () => {
      await client.get('/');
      return client.cookies.get(COOKIE)?.slice(12, 22) !== session;
    });
    expect(await outcomes(app, 'absolute_expired')).toBe(1);
  });

  test('T8: Expires is computed for each answer', async () => {
    const app = await startWith({}, '1m');
    const expires = async () => {
      const [line = ''] = (await new Client(app.port).get('/')).setCookies;
      expect(line).toMatch(/; Max-Age=60; Expires=/);
      return Date.parse(/Expires=([^;]+)/.exec(line)?.[1] ?? '');
    };
    const first = await expires();
    expect(first).toBeGreaterThan(Date.now());
    await eventually(async () => (await expires()) > first);
  });
});
