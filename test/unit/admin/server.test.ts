/** The admin server over a real socket. */
import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startAdmin } from '../../../src/admin/server.ts';
import type { AdminOptions, AdminServer, Readiness, SessionAdmin, SessionInfo } from '../../../src/admin/types.ts';
import { eventually } from '../../support/eventually.ts';

const READY: Readiness = { unsynced: [], keys: true, workers: { up: 2, wanted: 2 }, shuttingDown: false };

const INFO: SessionInfo = {
  id: '0123456789abcdef',
  kind: 'seen',
  namespace: 'shop',
  policy: 'shop',
  service: 'web',
  pod: 'web-0',
  active: true,
  firstSeen: Date.UTC(2026, 0, 1),
  lastSeen: Date.UTC(2026, 0, 2),
};
const SESSIONS: SessionAdmin = {
  list: (query) => Promise.resolve({ sessions: [{ ...INFO, pod: JSON.stringify(query) }], more: false }),
  here: () => ({ sessions: [], more: true }),
  show: (session) => Promise.resolve(session === INFO.id ? INFO : { status: 404, error: 'no such session' }),
  change: (session, to) =>
    Promise.resolve({ id: session, to, until: Date.UTC(2026, 0, 3), told: { asked: 2, answered: 1 } }),
  orders: () => ['an order'],
  obey: (orders) => (JSON.stringify(orders) === '[1]' ? undefined : { status: 400, error: 'no orders' }),
};

let server: AdminServer;
let readiness: Readiness;
let metrics: AdminOptions['metrics'];

beforeEach(async () => {
  readiness = READY;
  metrics = () => Promise.resolve({ contentType: 'text/plain; version=0.0.4', body: 'holdfast_connections 1\n' });
  server = await startAdmin({
    address: { host: '127.0.0.1', port: 0 },
    metrics: () => metrics(),
    readiness: () => readiness,
    problems: () => [
      {
        severity: 'error',
        object: { kind: 'StickyPolicy', namespace: 'shop', name: 'shop' },
        field: 'spec.rules[0]',
        message: 'write one key',
        since: Date.UTC(2026, 0, 2),
      },
    ],
    version: () => ({
      version: '1.2.3',
      node: 'v24.0.0',
      startedAt: 0,
      workers: 2,
      http: { host: '::', port: 8080 },
      admin: { host: '127.0.0.1', port: 9090 },
      publicHttpPort: 80,
      https: null,
      publicHttpsPort: null,
      table: { newest: 2, live: 2 },
    }),
    drain: (namespace, pod) =>
      Promise.resolve({
        sessions: 4,
        inFlight: namespace === 'shop' && pod === 'web-0' ? 3 : 0,
        upgraded: 1,
        done: false,
      }),
    sessions: SESSIONS,
    authorize: (caller, verb) =>
      Promise.resolve(
        caller.authorization === `Bearer ${verb}` ? undefined : { status: 401 as const, error: 'who are you?' },
      ),
    isReplica: ({ authorization, target, body }) => authorization === `replica ${target} ${body ?? '-'}`,
    drainHere: (_namespace, _pod, { authorization, target, loopback }) =>
      authorization === `secret ${target}` && loopback
        ? { sessions: 1, inFlight: 2, upgraded: 0, done: false }
        : undefined,
  });
});

afterEach(() => server.close());

interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function get(
  path: string,
  {
    body: sending,
    ...options
  }: { method?: string; headers?: Record<string, string>; localAddress?: string; body?: string } = {},
): Promise<Got> {
  const sent = request({ ...server.address, path, agent: false, ...options });
  // A server that refuses a body need not read it.
  sent.on('error', () => undefined);
  sent.end(sending);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() };
}

describe('health', () => {
  test('/healthz is ok whatever the readiness', async () => {
    readiness = { ...READY, shuttingDown: true };
    expect(await get('/healthz')).toMatchObject({ status: 200, body: 'ok\n' });
  });

  test.each<[string, Partial<Readiness>, number, string]>([
    ['ready', {}, 200, 'ok\n'],
    ['one worker is enough', { workers: { up: 1, wanted: 2 } }, 200, 'ok\n'],
    ['kinds', { unsynced: ['Ingress', 'Secret'] }, 503, 'not synced: Ingress, Secret\n'],
    ['keys', { keys: false }, 503, 'no session keys\n'],
    ['workers', { workers: { up: 0, wanted: 2 } }, 503, 'no worker is up, of 2\n'],
    ['shutdown', { shuttingDown: true, keys: false }, 503, 'shutting down\nno session keys\n'],
  ])('/readyz: %s', async (_name, change, status, body) => {
    readiness = { ...READY, ...change };
    expect(await get('/readyz')).toMatchObject({ status, body });
  });
});

describe('metrics', () => {
  test('come as they are given', async () => {
    const got = await get('/metrics');
    expect(got).toMatchObject({ status: 200, body: 'holdfast_connections 1\n' });
    expect(got.headers['content-type']).toBe('text/plain; version=0.0.4');
  });

  test('a failing collector is a 500 and the server goes on', async () => {
    metrics = () => Promise.reject(new Error('broken'));
    const got = await get('/metrics');
    expect(got.status).toBe(500);
    expect(got.body).not.toContain('broken');
    expect((await get('/healthz')).status).toBe(200);
  });
});

describe('api', () => {
  test('/api/v1/version', async () => {
    const { status, body } = await get('/api/v1/version');
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({
      version: '1.2.3',
      startedAt: '1970-01-01T00:00:00.000Z',
      http: { port: 8080 },
    });
  });

  test('/api/v1/problems', async () => {
    expect(JSON.parse((await get('/api/v1/problems')).body)).toEqual([
      {
        severity: 'error',
        object: { kind: 'StickyPolicy', namespace: 'shop', name: 'shop' },
        field: 'spec.rules[0]',
        message: 'write one key',
        since: '2026-01-02T00:00:00.000Z',
      },
    ]);
  });

  test('/api/v1/drain?local=1 is for those who show that they may ask', async () => {
    const path = '/api/v1/drain?pod=shop/web-0&local=1';
    expect((await get(path)).status).toBe(401);
    const { status, body } = await get(path, { headers: { authorization: `secret ${path}` } });
    expect(status).toBe(200);
    expect(JSON.parse(body)).toEqual({ sessions: 1, inFlight: 2, upgraded: 0, done: false });
  });

  test.each(['/api/v1/drain?pod=shop/web-0', '/api/v1/drain?pod=shop%2Fweb-0'])('%s', async (path) => {
    const got = await get(path);
    expect(got.status).toBe(200);
    expect(JSON.parse(got.body)).toEqual({ sessions: 4, inFlight: 3, upgraded: 1, done: false });
  });

  test.each([
    ['', 'the pod is missing'],
    ['?', 'the pod is missing'],
    ['?pod=', 'does not name a pod'],
    ['?pod=web-0', 'does not name a pod'],
    ['?pod=a/b/c', 'does not name a pod'],
    ['?pod=A/b', 'does not name a pod'],
    ['?pod=a/b&pod=c/d', 'one pod at a time'],
    ['?pods=a/b', 'unknown query parameter \\"pods\\"'],
    ['?pod=%00/%ff', 'does not name a pod'],
    ['?pod=shop/web-0&local=yes', 'write local=1'],
  ])('/api/v1/drain%s is a 400 that says what to write', async (query, message) => {
    const got = await get(`/api/v1/drain${query}`);
    expect(got.status).toBe(400);
    expect(got.body).toContain(message);
    expect(got.body).toContain('write ?pod=NAMESPACE/NAME');
  });

  test('the OpenAPI document names every path', async () => {
    const document = JSON.parse((await get('/api/v1/openapi.json')).body) as { paths: Record<string, unknown> };
    for (const path of Object.keys(document.paths)) expect((await get(path)).status).not.toBe(404);
    const listed = (JSON.parse((await get('/nowhere')).body) as { error: string }).error.match(/\/[\w/.]+/g) ?? [];
    expect(new Set([...Object.keys(document.paths), '/api/v1/openapi.json'])).toEqual(new Set(listed));
  });
});

describe('sessions', () => {
  const post = async (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Got> =>
    await get(`/api/v1/sessions${path}`, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { authorization: 'Bearer post', 'content-type': 'application/json', ...headers },
    });
  const list = async (query: string, authorization = 'Bearer get'): Promise<Got> =>
    await get(`/api/v1/sessions${query}`, { headers: { authorization } });

  test('a list, filtered, with times as people read them', async () => {
    const got = await list('?policy=shop/ingress:web&pod=shop/web-0&id=0123456789abcdef&limit=5');
    expect(JSON.parse(got.body)).toEqual({
      sessions: [
        {
          ...INFO,
          pod: '{"policy":"shop/ingress:web","pod":"shop/web-0","id":"0123456789abcdef","limit":5}',
          firstSeen: '2026-01-01T00:00:00.000Z',
          lastSeen: '2026-01-02T00:00:00.000Z',
        },
      ],
      more: false,
    });
    expect((JSON.parse((await list('')).body) as { sessions: SessionInfo[] }).sessions[0]?.pod).toBe('{"limit":100}');
  });

  test.each([
    ['?pods=a/b', 'unknown query parameter'],
    ['?pod=web-0', 'pod: write NAMESPACE/NAME'],
    ['?policy=A/B/C', 'policy: write NAMESPACE/NAME'],
    ['?id=12', 'id: write'],
    ['?limit=0', 'limit: write'],
    ['?limit=1001', 'limit: write'],
    ['?limit=1e3', 'limit: write'],
  ])('%s is a 400', async (query, message) => {
    const got = await list(query);
    expect(got.status).toBe(400);
    expect(got.body).toContain(message);
  });

  test('nobody lists or changes without the right; a right to read is none to write', async () => {
    expect((await list('', 'Bearer x')).status).toBe(401);
    expect((await list('?local=1', 'Bearer x')).status).toBe(401);
    for (const action of ['show', 'move', 'end']) {
      const got = await post(`/${action}`, { session: INFO.id }, { authorization: '' });
      expect(got).toMatchObject({ status: 401, body: '{"error":"who are you?"}\n' });
    }
    expect((await post('/end', { session: INFO.id }, { authorization: 'Bearer get' })).status).toBe(401);
    expect((await post('/show', { session: INFO.id }, { authorization: 'Bearer get' })).status).toBe(200);
  });

  test('replicas ask one another with a proof of theirs', async () => {
    const target = '/api/v1/sessions?limit=3&local=1';
    expect(JSON.parse((await list('?limit=3&local=1', `replica ${target} -`)).body)).toEqual({
      sessions: [],
      more: true,
    });
    const orders = '/api/v1/sessions/orders';
    expect((await get(orders, { headers: { authorization: `replica ${orders} -` } })).body).toBe('["an order"]\n');
    expect((await get(orders)).status).toBe(401);
    expect((await post('/orders', [1], { authorization: `replica ${orders} [1]` })).status).toBe(200);
    expect((await post('/orders', [2], { authorization: `replica ${orders} [2]` })).status).toBe(400);
    expect((await post('/orders', 'x', { authorization: `replica ${orders} x` })).status).toBe(400);
    expect((await post('/orders', [1])).status).toBe(401);
  });

  test('moves and ends', async () => {
    const told = { until: '2026-01-03T00:00:00.000Z', told: { asked: 2, answered: 1 } };
    expect(JSON.parse((await post('/move', { session: 's', to: 'web-1' })).body)).toEqual({
      id: 's',
      to: 'web-1',
      ...told,
    });
    expect(JSON.parse((await post('/end', { session: 's' })).body)).toEqual({ id: 's', ...told });
    expect((await post('/show', { session: 'other' }, { authorization: 'Bearer get' })).status).toBe(404);
  });

  test.each<[string, unknown, string]>([
    ['/move', 'not json', 'write {'],
    ['/move', [], 'write {'],
    ['/move', null, 'write {'],
    ['/move', { session: 's' }, 'to is missing'],
    ['/move', { session: 's', to: 5 }, 'to is missing'],
    ['/move', { to: 'web-0' }, 'session is missing'],
    ['/end', { session: 's', to: 'web-0' }, 'to is for move alone'],
    ['/end', { session: 's', pod: 'web-0' }, 'is not known'],
  ])('POST %s with %j is a 400', async (path, body, message) => {
    const got = await post(path, body);
    expect(got.status).toBe(400);
    expect((JSON.parse(got.body) as { error: string }).error).toContain(message);
  });

  test('what foreign pages can send is refused: other types and Hosts', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', ''])
      expect((await post('/end', { session: 's' }, { 'content-type': type })).status).toBe(415);
    expect((await post('/end', { session: 's' }, { host: 'evil.example' })).status).toBe(403);
  });

  test('a body that is too long is refused, and the connection closed', async () => {
    const got = await post('/end', 'x'.repeat(70_000));
    expect(got).toMatchObject({ status: 413 });
    expect((await get('/healthz')).status).toBe(200);
  });

  test('each path has its methods', async () => {
    expect((await get('/api/v1/sessions/end')).headers.allow).toBe('POST');
    expect((await post('', {})).headers.allow).toBe('GET, HEAD');
    const got = await get('/api/v1/sessions/orders', { method: 'PUT' });
    expect(got).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD, POST' } });
  });
});

describe('what is refused', () => {
  test.each(['/', '/nowhere', '/api', '/api/v1', '/healthz/', '//healthz'])('%s is a 404', async (path) => {
    expect((await get(path)).status).toBe(404);
  });

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('%s is a 405 with Allow', async (method) => {
    const got = await get('/api/v1/problems', { method });
    expect(got.status).toBe(405);
    expect(got.headers.allow).toBe('GET, HEAD');
  });

  test('HEAD has the length and no body', async () => {
    const got = await get('/healthz', { method: 'HEAD' });
    expect(got).toMatchObject({ status: 200, body: '' });
    expect(got.headers['content-length']).toBe('3');
  });

  test.each([
    'evil.example',
    'evil.example:9090',
    'localhost.evil.example',
    'a.b.svc.evil.example',
    'svc',
    'b.svc',
    '127.0.0.1.evil.example',
    '10.1.2.3',
    '[::1',
  ])('the API refuses the Host %j, against DNS rebinding', async (host) => {
    expect((await get('/api/v1/problems', { headers: { host } })).status).toBe(403);
    expect((await get('/metrics', { headers: { host } })).status).toBe(200);
  });

  test.each([
    'localhost',
    'localhost:9090',
    'holdfast-replicas.holdfast.svc:9090',
    'holdfast-replicas.holdfast.svc.cluster.local',
    'LOCALHOST',
    '127.0.0.1',
    '127.8.9.1:1',
    '[::1]:9090',
    '[::ffff:127.0.0.1]',
  ])('the API takes the Host %j', async (host) => {
    expect((await get('/api/v1/problems', { headers: { host } })).status).toBe(200);
  });

  test('a client that never ends its head is let go', async () => {
    const socket = connect(server.address.port, '127.0.0.1');
    socket.write('GET /healthz HTTP/1.1\r\n');
    socket.on('error', () => socket.destroy());
    socket.resume();
    await once(socket, 'close');
    expect(socket.destroyed).toBe(true);
  });

  test('a client that says nothing at all is let go', async () => {
    const socket = connect(server.address.port, '127.0.0.1');
    socket.resume();
    await once(socket, 'close');
    expect(socket.destroyed).toBe(true);
  });

  test('a peer with all its connections open leaves room for others, and gets in again when it has closed some', async () => {
    const { port } = server.address;
    const closed: Socket[] = [];
    const sockets = Array.from({ length: 300 }, () => {
      const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' });
      socket.on('error', () => socket.destroy());
      socket.once('close', () => closed.push(socket));
      return socket.resume();
    });
    await eventually(() => closed.length === 300 - 32);
    expect(await get('/healthz')).toMatchObject({ status: 200 });
    for (const socket of sockets) socket.destroy();
    await eventually(async () => (await get('/healthz', { localAddress: '127.0.0.2' })).status === 200);
  });

  test('garbage is a 400 and the server goes on', async () => {
    const socket = connect(server.address.port, '127.0.0.1');
    socket.write('\0\0 nonsense\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toContain('400');
    socket.destroy();
    expect((await get('/healthz')).status).toBe(200);
  });
});

test('close ends idle connections too', async () => {
  const socket = connect(server.address.port, '127.0.0.1');
  await once(socket, 'connect');
  const closed = once(socket, 'close');
  await server.close();
  await closed;
  await expect(get('/healthz')).rejects.toThrow();
});

test('a taken port rejects', async () => {
  const options = { address: server.address } as AdminOptions;
  await expect(startAdmin(options)).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
