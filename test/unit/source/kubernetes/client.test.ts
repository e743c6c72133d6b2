/** The client that writes and watches, against a real HTTP server. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { KubeClient, readText } from '../../../../src/source/kubernetes/client.ts';

interface Received {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly socket: Socket;
}

let dir: string;
let server: Server;
let received: Received[];
let respond: (request: Received, response: ServerResponse) => void;
let client: KubeClient;

async function connect(prefix = '', scheme = 'http', { port } = server.address() as AddressInfo): Promise<KubeClient> {
  const config = {
    clusters: [
      { name: 'c', cluster: { server: `${scheme}://127.0.0.1:${port}${prefix}`, 'insecure-skip-tls-verify': true } },
    ],
    users: [{ name: 'u', user: { token: 'secret' } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'shop' } }],
    'current-context': 'x',
  };
  const kubeconfig = join(dir, 'config');
  writeFileSync(kubeconfig, JSON.stringify(config));
  return await KubeClient.connect({ kubeconfig, userAgent: 'holdfast/1' });
}

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url, headers, socket } = request;
  const one = { method, url, headers, socket, body: await readText(request, 1e6) };
  received.push(one);
  respond(one, response);
}

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-client-'));
  received = [];
  respond = (_, response) => response.end('{"ok":true}');
  server = createServer((request, response) => {
    receive(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  client = await connect();
});

afterEach(async () => {
  client.close();
  server.closeAllConnections();
  const closed = once(server, 'close');
  server.close();
  await closed;
  rmSync(dir, { recursive: true });
});

test('sends a body as JSON with who we are, and reads what comes back', async () => {
  const body = { metadata: { name: 'ä' } };
  const query = { fieldManager: 'holdfast.dev/x', force: 'true' };
  const options = { body, query, contentType: 'application/apply-patch+yaml' };
  const answer = await client.request('PATCH', '/apis/a/v1/b', options);
  expect(answer.status).toBe(200);
  expect(answer.json()).toEqual({ ok: true });
  expect(received[0]).toMatchObject({
    method: 'PATCH',
    url: '/apis/a/v1/b?fieldManager=holdfast.dev%2Fx&force=true',
    body: '{"metadata":{"name":"ä"}}',
    headers: {
      authorization: 'Bearer secret',
      'user-agent': 'holdfast/1',
      'content-type': 'application/apply-patch+yaml',
      accept: 'application/json',
    },
  });
  expect(client.namespace).toBe('shop');
});

test('an answer that is no success is an answer', async () => {
  respond = (_, response) => {
    response.statusCode = 409;
    response.end('<html>');
  };
  const answer = await client.request('PUT', '/a', { body: 'text' });
  expect([answer.status, answer.text]).toEqual([409, '<html>']);
  expect(() => answer.json()).toThrow(SyntaxError);
  expect(received[0]?.body).toBe('text');
});

test('keeps its connection, and a server with a path of its own keeps that', async () => {
  client = await connect('/k8s/clusters/c-1');
  await client.request('GET', '/api/v1/pods');
  await client.request('GET', '/api/v1/pods');
  expect(received[1]?.url).toBe('/k8s/clusters/c-1/api/v1/pods');
  expect(received[1]?.socket).toBe(received[0]?.socket);
});

test('a kept connection that was closed meanwhile is no failure for what may be asked twice', async () => {
  await client.request('GET', '/first');
  respond = ({ socket, url }, response) => {
    if (url === '/second' && received.length === 2) socket.resetAndDestroy();
    else response.end('{}');
  };
  expect((await client.request('PUT', '/second', { body: {} })).status).toBe(200);
  expect(received.map(({ url }) => url)).toEqual(['/first', '/second', '/second']);
  respond = ({ socket }) => socket.resetAndDestroy();
  await expect(client.request('POST', '/third', { body: {} })).rejects.toThrow();
  expect(received).toHaveLength(4);
});

test('refused credentials are read again once, not for ever', async () => {
  respond = (_, response) => {
    response.statusCode = 401;
    response.end('{}');
  };
  expect((await client.request('GET', '/a')).status).toBe(401);
  expect(received).toHaveLength(2);
});

test('no answer in time, an abort before and an abort meanwhile all reject', async () => {
  respond = () => undefined;
  await expect(client.request('GET', '/a', { timeout: 30 })).rejects.toThrow('within 30 ms');
  await expect(client.request('GET', '/a', { signal: AbortSignal.abort(new Error('over')) })).rejects.toThrow('over');
  const ending = new AbortController();
  const asked = received.length;
  const pending = client.request('GET', '/b', { signal: ending.signal });
  respond = () => ending.abort(new Error('enough'));
  await expect(pending).rejects.toThrow('enough');
  expect(received).toHaveLength(asked + 1);
});

test('the time for an answer does not limit a stream', async () => {
  const sent = Promise.withResolvers<ServerResponse>();
  respond = ({ url }, response) => {
    if (url === '/silent') return;
    response.write('one\n');
    sent.resolve(response);
  };
  const { status, body } = await client.stream('/watch', { timeout: 50 });
  expect(status).toBe(200);
  const text = readText(body, 100);
  const response = await sent.promise;
  // Another one that was asked later runs out of the same time.
  await expect(client.request('GET', '/silent', { timeout: 50 })).rejects.toThrow('within 50 ms');
  response.end('two\n');
  expect(await text).toBe('one\ntwo\n');
});

test('a server that takes the connection and says nothing is given up long before an answer would be late', async () => {
  const mute = createTcpServer();
  mute.listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const secure = await connect('', 'https', mute.address() as AddressInfo);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const taken = once(mute, 'connection') as Promise<[Socket]>;
    const refusal = expect(secure.request('GET', '/a', { timeout: 60_000 })).rejects.toThrow('no connection to');
    const [socket] = await taken;
    vi.advanceTimersByTime(5_000);
    await refusal;
    socket.destroy();
  } finally {
    vi.useRealTimers();
    secure.close();
    mute.close();
  }
});
