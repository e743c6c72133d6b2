/** The kinds of rule end to end: what is hashed sticks and spreads, and how the chain of rules is read. */
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
  startBackends,
} from '../support/app.ts';
import type { Answer, App } from '../support/app.ts';
import type { Rule } from '../../src/model/sticky-policy.ts';

const insert = { name: 'browsers', cookie: { name: 'HF', mode: 'Insert' } } as const;
const byUser = { name: 'apps', header: { name: 'X-User', mode: 'Hash' } } as const;

const POLICIES: Readonly<Record<string, readonly Rule[]>> = {
  header: [byUser],
  query: [{ name: 'key', query: { name: 'user', mode: 'Hash' } }],
  path: [{ name: 'key', path: { mode: 'Hash' } }],
  host: [{ name: 'key', host: { mode: 'Hash' } }],
  address: [{ name: 'key', sourceIP: { mode: 'Hash' } }],
  cookie: [{ name: 'key', cookie: { name: 'JSESSIONID', mode: 'Hash' } }],
  chain: [{ name: 'static', when: { pathSuffixes: ['.css'] }, none: {} }, insert, byUser],
  strict: [{ ...byUser, onMissing: 'Reject' }],
  balance: [{ ...byUser, onMissing: 'Balance' }, insert],
  next: [byUser],
};

let app: App;

beforeAll(async () => {
  const backends = await startBackends('web-0', 'web-1', 'web-2');
  app = await startApp({
    manifests: file(
      service(),
      slices(
        'web',
        backends.map((backend) => backend.endpoint()),
      ),
      ...Object.entries(POLICIES).flatMap(([name, rules]) => [
        ingress({ name, host: name === 'host' ? '*.host.test' : `${name}.test` }),
        policy({ name, ingress: name, rules }),
      ]),
    ),
  });
});

function clientOf(name: string, from?: string): Client {
  return new Client(app.port, { host: `${name}.test`, keepAlive: false, ...(from !== undefined && { from }) });
}

async function decisions(policyName: string): Promise<Record<string, number>> {
  const metrics = await app.metrics();
  const sums: Record<string, number> = {};
  for (const { labels, value } of metrics.all('holdfast_decisions_total', { policy: policyName })) {
    const key = `${labels['rule']} ${labels['outcome']} ${labels['reason']}`;
    sums[key] = (sums[key] ?? 0) + value;
  }
  return sums;
}

describe('a hashed key sticks to one pod, and many keys spread over all', () => {
  const ASK: Readonly<Record<string, (key: number) => Promise<Answer>>> = {
    header: async (key) => await clientOf('header').get('/', { 'x-user': `user-${key}` }),
    query: async (key) => await clientOf('query').get(`/?a=1&user=user-${key}`),
    path: async (key) => await clientOf('path').get(`/videos/${key}`),
    host: async (key) => await clientOf(`tenant-${key}.host`).get('/'),
    address: async (key) => await clientOf('address', `127.0.0.${key + 10}`).get('/'),
    cookie: async (key) => await clientOf('cookie').get('/', { cookie: `a=1; JSESSIONID=${key}-of-the-backend` }),
  };
  test.each(Object.entries(ASK))('%s', async (name, ask) => {
    const all = new Set<string>();
    for (let key = 0; key < 24; key++) {
      const answers = [await ask(key), await ask(key), await ask(key)];
      const pods = new Set(answers.map(({ pod }) => pod));
      expect(pods.size, `key ${key}`).toBe(1);
      for (const pod of pods) all.add(pod);
      for (const { setCookies } of answers) expect(setCookies).toEqual([]);
    }
    expect([...all].sort()).toEqual(['web-0', 'web-1', 'web-2']);
    const rule = name === 'header' ? 'apps' : 'key';
    expect(await decisions(name)).toEqual({ [`${rule} new -`]: 24, [`${rule} kept -`]: 48 });
  });

  test('the hashed cookie of the application is left to it', async () => {
    const { headers } = (await clientOf('cookie').get('/', { cookie: 'a=1; JSESSIONID=x' })).described;
    expect(headers['cookie']).toBe('a=1; JSESSIONID=x');
  });

  test('T41: requests without the key are balanced, not sent to one pod', async () => {
    const pods = new Map<string, number>();
    for (let i = 0; i < 60; i++) {
      const { pod } = await clientOf('next').get('/');
      pods.set(pod, (pods.get(pod) ?? 0) + 1);
    }
    expect(pods.size).toBe(3);
    for (const count of pods.values()) expect(count).toBeGreaterThanOrEqual(10);
    expect(await decisions('next')).toEqual({ ' stateless missing_key': 60 });
  });
});

describe('a chain of rules', () => {
  test('`none` balances and sets no cookie, even for a client with a session, whose session stays as it is', async () => {
    const client = new Client(app.port, { host: 'chain.test', jar: true, keepAlive: false });
    const first = await client.get('/style.css');
    expect(first.setCookies).toEqual([]);
    const { pod } = await client.get('/');
    const pods = new Set<string>();
    for (let i = 0; i < 9; i++) {
      const answer = await client.get('/style.css');
      expect(answer.setCookies).toEqual([]);
      expect(answer.described.headers['cookie']).toBeUndefined();
      pods.add(answer.pod);
    }
    expect(pods.size).toBe(3);
    expect(await client.get('/')).toMatchObject({ pod, setCookies: [] });
    expect(await decisions('chain')).toMatchObject({ 'static stateless -': 1, 'static stateless ignored': 9 });
  });

  test('a first visit gets its cookie although a later rule chose, and from then on the cookie decides', async () => {
    for (let key = 0; key < 6; key++) {
      const headers = { 'x-user': `user-${key}` };
      const hashed = (await clientOf('header').get('/', headers)).pod;
      const client = new Client(app.port, { host: 'chain.test', jar: true });
      const first = await client.get('/', headers);
      expect(first.pod).toBe(hashed);
      expect(first.setCookies).toHaveLength(1);
      for (const other of ['someone', 'else', 'entirely'])
        expect(await client.get('/', { 'x-user': other })).toMatchObject({ pod: hashed, setCookies: [] });
    }
    expect(await decisions('chain')).toMatchObject({ 'apps new -': 6 });
  });

  test('onMissing: Reject refuses, Balance balances at once', async () => {
    expect(await clientOf('strict').get('/')).toMatchObject({ status: 400, setCookies: [] });
    expect(await clientOf('strict').get('/', { 'x-user': 'a' })).toMatchObject({ status: 200 });
    expect(await decisions('strict')).toEqual({ 'apps rejected missing_key': 1, 'apps new -': 1 });
    const answer = await clientOf('balance').get('/');
    expect(answer.status).toBe(200);
    expect(await decisions('balance')).toEqual({ 'apps stateless missing_key': 1 });
    expect(setCookieValue(answer, 'HF')).toBeUndefined();
  });
});
