/** Sessions listed, moved and ended, and caps shared out, over the workers of two replicas that are processes of their own. */
import { beforeAll, describe, expect, test } from 'vitest';
import { cli } from '../../src/cli/cli.ts';
import type { SessionInfo, SessionListing } from '../../src/admin/types.ts';
import { Client, eventually, setCookieValue, site, slices, startApp, startBackends } from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';
import { startProcess } from '../support/process.ts';
import type { HoldfastProcess } from '../support/process.ts';

const BY_USER = { name: 'users', header: { name: 'X-User', mode: 'Table' } } as const;

let first: App;
let second: HoldfastProcess;
let backends: Backend[];

beforeAll(async () => {
  backends = await startBackends('web-0', 'web-1', 'web-2');
  const endpoints = backends.map((pod) => pod.endpoint());
  const one = endpoints.slice(0, 1);
  const newSession = { maxSessionsPerEndpoint: 4, onFull: 'Reject' } as const;
  first = await startApp({
    manifests: {
      'web.yaml': site('web', { endpoints }),
      'users.yaml': site('users', { endpoints, rules: [BY_USER], newSession: { algorithm: 'RoundRobin' } }),
      'capped.yaml': site('capped', { endpoints: one, newSession }),
      'idle.yaml': site('idle', { endpoints, rebalance: { maxMovesPerMinute: 600, idleFor: '1s' } }),
    },
    config: { replicasService: { namespace: 'test', name: 'replicas' } },
  });
  second = await start();
  await first.change('replicas.yaml', replicas(first.adminPort, second.adminPort));
});

async function start(): Promise<HoldfastProcess> {
  const flags = { 'replicas-service': 'test/replicas', 'https-port': '0' };
  return await startProcess({ manifests: first.dir, keysFile: first.keysFile, flags });
}

function replicas(...ports: readonly number[]): string {
  return slices(
    'replicas',
    ports.map((port) => ({ pod: `r-${port}`, port })),
  );
}

async function listed(port: number, query: string): Promise<readonly SessionInfo[]> {
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/sessions${query}`);
  return ((await response.json()) as SessionListing).sessions;
}

async function post(action: string, body: object): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`http://127.0.0.1:${first.adminPort}/api/v1/sessions/${action}`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** A client over new connections, so that it meets every worker. */
function client(port: number, host = 'web', jar = true): Client {
  return new Client(port, { host: `${host}.test`, jar, keepAlive: false });
}

async function begun(port = first.port, host = 'web'): Promise<{ client: Client; pod: string; token: string }> {
  const one = client(port, host);
  const { pod } = await one.get('/');
  return { client: one, pod, token: one.cookies.get('HF') ?? '' };
}

const other = (pod: string): string => backends.find((backend) => backend.pod !== pod)?.pod ?? '';
const moves = async (at: App | HoldfastProcess, policy: string, reason: string): Promise<number> =>
  (await at.metrics()).sum('holdfast_session_moves_total', { policy, reason });

describe('moved by its cookie', () => {
  test('every worker of both replicas leads the old token to the pod, and each replica counts one move', async () => {
    const { token, pod } = await begun();
    const to = other(pod);
    const { status, body } = await post('move', { session: token, to });
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { to: `test/${to}`, told: { asked: 2, answered: 2 } },
    });
    const cookie = `HF=${token}`;
    const asked = async (port: number) =>
      await Promise.all(Array.from({ length: 12 }, () => client(port, 'web', false).get('/', { cookie })));
    // The other replica's workers have it a moment after it has answered.
    await eventually(async () => (await client(second.port, 'web', false).get('/', { cookie })).pod === to);
    for (const port of [first.port, second.port])
      for (const answer of await asked(port)) {
        expect(answer.pod).toBe(to);
        const issued = setCookieValue(answer, 'HF');
        expect(issued?.slice(12, 22)).toBe(token.slice(12, 22));
        expect(await client(port, 'web', false).get('/', { cookie: `HF=${issued}` })).toMatchObject({
          pod: to,
          setCookies: [],
        });
      }
    expect(await moves(first, 'web', 'override')).toBe(1);
    expect(await moves(second, 'web', 'override')).toBe(1);
    expect((await first.metrics()).sum('holdfast_decisions_total', { outcome: 'moved', reason: 'override' })).toBe(12);
  });

  test('a replica that starts later hears of it before it serves', async () => {
    const { token } = await begun();
    await post('end', { session: token });
    const third = await start();
    const answer = await client(third.port, 'web', false).get('/', { cookie: `HF=${token}` });
    expect(answer.setCookies).toHaveLength(1);
    expect((await third.metrics()).sum('holdfast_decisions_total', { outcome: 'new', reason: 'override' })).toBe(1);
    await third.stop();
  });

  test('what is no session, no pod, or not to be had, is told', async () => {
    const { token } = await begun();
    const forged = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`;
    expect(await post('move', { session: forged, to: 'web-0' })).toMatchObject({ status: 400 });
    const { status, body } = await post('move', { session: token, to: 'web-9' });
    expect(status).toBe(409);
    expect(body['error']).toBe("web-9 is no Ready pod of this session's Service; write one of web-0, web-1, web-2");
    expect(await post('end', { session: '00000000000000ff' })).toMatchObject({ status: 404 });
  });
});

test('ended: a new session begins at every replica, and goes on', async () => {
  const { token, client: one } = await begun();
  await post('end', { session: token });
  const answer = await one.get('/');
  const next = setCookieValue(answer, 'HF') ?? '';
  expect(next.slice(12, 22)).not.toBe(token.slice(12, 22));
  const { pod } = answer;
  for (let i = 0; i < 6; i++) expect(await one.get('/')).toMatchObject({ pod, setCookies: [] });
  await eventually(
    async () => (await client(second.port, 'web', false).get('/', { cookie: `HF=${token}` })).setCookies.length === 1,
  );
  expect(
    (await first.metrics()).sum('holdfast_decisions_total', { policy: 'web', reason: 'override', outcome: 'new' }),
  ).toBe(1);
});

describe('listed', () => {
  test('by every replica, each session once', async () => {
    const [here, there] = [await begun(first.port), await begun(second.port)];
    await here.client.get('/');
    const wanted = new Map<string, string>();
    for (const { token, pod } of [here, there])
      wanted.set(String((await post('show', { session: token })).body['id']), pod);
    for (const port of [first.adminPort, second.adminPort]) {
      const found = (await listed(port, '?policy=test/web')).filter(({ id }) => wanted.has(id));
      expect(new Map(found.map(({ id, pod }) => [id, pod]))).toEqual(wanted);
      for (const one of found)
        expect(one).toMatchObject({ kind: 'seen', namespace: 'test', policy: 'web', service: 'web' });
    }
    const [id] = wanted.keys();
    expect((await listed(second.adminPort, `?id=${id ?? ''}`)).map(({ active }) => active)).toEqual([true]);
    const atPod = await listed(first.adminPort, `?pod=test/${here.pod}`);
    expect(atPod.every(({ pod }) => pod === here.pod)).toBe(true);
    expect(atPod.length).toBeGreaterThan(0);
    expect(await listed(first.adminPort, '?limit=1')).toHaveLength(1);
    expect(await listed(first.adminPort, '?policy=test/none')).toEqual([]);
  });
});

test('a key of the table is moved and ended by its id', async () => {
  const ask = async () => await client(first.port, 'users', false).get('/', { 'x-user': 'alice' });
  const { pod } = await ask();
  const [known] = await listed(second.adminPort, '?policy=test/users');
  expect(known).toMatchObject({ kind: 'key', pod, active: false });
  const to = other(pod);
  expect((await post('move', { session: known?.id, to: `test/${to}` })).status).toBe(200);
  for (let i = 0; i < 6; i++) expect((await ask()).pod).toBe(to);
  expect(await moves(first, 'users', 'override')).toBe(1);
  await post('end', { session: known?.id });
  expect(await listed(first.adminPort, '?policy=test/users')).toEqual([]);
  await ask();
  expect((await first.metrics()).sum('holdfast_decisions_total', { policy: 'users', outcome: 'new' })).toBe(2);
});

test('the command does all that', async () => {
  const holdfast = async (args: readonly string[]): Promise<{ code: number; out: string; err: string }> => {
    const said = { out: '', err: '' };
    const io = {
      env: {},
      out: (text: string) => void (said.out += text),
      err: (text: string) => void (said.err += text),
      onStop: () => () => undefined,
    };
    return { code: await cli(args, io), ...said };
  };
  const run = async (...args: readonly string[]) =>
    await holdfast(['sessions', ...args, '--admin-address', `127.0.0.1:${second.adminPort}`]);
  const { token, pod, client: one } = await begun();
  const shown = await run('show', token);
  const id = /^([0-9a-f]{16}) {2}seen {2}test\/web {2}web +web-\d/m.exec(shown.out)?.[1] ?? '';
  expect(shown).toMatchObject({ code: 0, err: '' });
  expect((await run('list', '--policy', 'test/web', '--limit=1000')).out).toContain(`${id}  seen`);
  const to = other(pod);
  expect(await run('move', id, '--to', to)).toEqual({ code: 0, out: `session ${id} moves to test/${to}\n`, err: '' });
  await eventually(async () => (await one.get('/')).pod === to);
  expect(await run('move', id, '--to', 'web-9')).toMatchObject({
    code: 1,
    err: expect.stringContaining('no Ready pod') as string,
  });
  expect(await run('end', id)).toEqual({ code: 0, out: `session ${id} has ended\n`, err: '' });
  const others = [await begun(), await begun()];
  const at = others[0]?.pod ?? '';
  const all = await run('end', '--pod', `test/${at}`, '--policy', 'test/web');
  expect(all).toMatchObject({ code: 0, out: expect.stringMatching(/^[1-9]\d* sessions have ended\n$/) as string });
  expect((await listed(first.adminPort, `?pod=test/${at}&policy=test/web`)).length).toBe(0);
  const wrong = [
    [],
    ['end'],
    ['end', '--limit', '5', '--pod', 'a/b'],
    ['list', 'x'],
    ['move', id],
    ['end', id, '--to', 'a'],
    ['show'],
    ['list', '--to', 'a'],
  ];
  for (const answer of await Promise.all(wrong.map((args) => run(...args))))
    expect(answer).toMatchObject({ code: 2, out: '' });
  const unheard = await holdfast(['sessions', 'list', '--admin-address', '127.0.0.1:1']);
  expect(unheard).toMatchObject({
    code: 1,
    err: expect.stringContaining('no controller answers at 127.0.0.1:1') as string,
  });
});

test('caps are shared out among the Ready replicas, as they come and go', async () => {
  const newcomers = async (port: number): Promise<number> => {
    let taken = 0;
    while ((await client(port, 'capped', false).get('/')).status === 200) taken++;
    return taken;
  };
  await eventually(async () => (await client(first.port, 'capped', false).get('/')).status === 200);
  expect(1 + (await newcomers(first.port))).toBe(2);
  expect(await newcomers(second.port)).toBe(2);
  const leaving = slices('replicas', [
    { pod: `r-${first.adminPort}`, port: first.adminPort },
    { pod: `r-${second.adminPort}`, port: second.adminPort, terminating: true },
  ]);
  await first.change('replicas.yaml', leaving);
  await eventually(async () => (await client(first.port, 'capped', false).get('/')).status === 200);
  expect(1 + (await newcomers(first.port))).toBe(2);
  await first.change('replicas.yaml', replicas(first.adminPort, second.adminPort));
});

test('idle sessions leave a pod that has clearly more than its share, once, and the client is told', async () => {
  const only = backends.slice(0, 1).map((pod) => pod.endpoint());
  const idle = (endpoints: readonly object[]) =>
    site('idle', { endpoints: endpoints as typeof only, rebalance: { maxMovesPerMinute: 600, idleFor: '1s' } });
  await first.change('idle.yaml', idle(only));
  const clients = Array.from({ length: 9 }, () => client(first.port, 'idle'));
  for (const one of clients) await one.get('/');
  for (const one of clients) await one.get('/');
  await first.change('idle.yaml', idle(backends.map((pod) => pod.endpoint())));
  // Sessions in use stay.
  expect((await Promise.all(clients.map((one) => one.get('/')))).map(({ pod }) => pod)).toEqual(
    clients.map(() => 'web-0'),
  );
  const counts = async (): Promise<number[]> => {
    const metrics = await first.metrics();
    return backends.map(({ pod }) => metrics.sum('holdfast_endpoint_sessions_active', { service: 'idle', pod }));
  };
  // One that has not been used for idleFor and an eighth of it (in whole seconds) goes to a pod below the mean.
  await eventually(async () => {
    const found = await listed(first.adminPort, '?policy=test/idle');
    const seen = found.map(({ lastSeen }) => Date.parse(String(lastSeen)));
    return Math.max(...seen) < Date.now() - 2200;
  });
  for (const one of clients) {
    const { pod } = await one.get('/');
    expect((await one.get('/')).pod).toBe(pod);
  }
  const moved = await moves(first, 'idle', 'rebalance');
  expect(moved).toBeGreaterThan(0);
  const [most = 0, ...others] = await counts();
  expect([most, others.reduce((sum, count) => sum + count, 0)]).toEqual([9 - moved, moved]);
  expect(most).toBeGreaterThanOrEqual(3);
  expect(
    (await first.metrics()).sum('holdfast_decisions_total', { policy: 'idle', outcome: 'moved', reason: 'rebalance' }),
  ).toBe(moved);
});
