/** gRPC with real clients and servers: every kind of call, its status and trailers, our own errors, and the session it keeps. */
import { once } from 'node:events';
import { createServer } from 'node:http2';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { selfSigned } from '../../src/control/self-signed.ts';
import { closeAtEnd, eventually, file, ingress, policy, service, slices, startApp } from '../support/app.ts';
import type { App } from '../support/app.ts';
import { GrpcClient, Metadata, startGrpcBackend, statusCodes } from '../support/grpc.ts';
import type { GrpcBackend } from '../support/grpc.ts';
import type { Config } from '../../src/config/config.ts';
import { endOf, Http2Client } from '../support/http2-client.ts';
import { frame, goaway, reset, T } from '../support/http2-frames.ts';
import { tlsSecret } from '../support/manifests.ts';
import type { PolicyOptions } from '../support/manifests.ts';
import { closeWires, header, HostileBackend, RawClient } from '../support/wire.ts';

const HOST = 'grpc.test';
const OK: number = statusCodes.OK;
const PAIR = selfSigned({ names: [HOST] });

interface StartOptions {
  readonly rules?: PolicyOptions['rules'];
  readonly config?: Partial<Config>;
  /** Default: GRPC. */
  readonly protocol?: string;
}

async function start(
  backends: readonly Pick<GrpcBackend, 'pod' | 'port' | 'stop'>[],
  options: StartOptions = {},
): Promise<App> {
  const { rules, config, protocol = 'GRPC' } = options;
  for (const backend of backends) closeAtEnd(() => backend.stop());
  return await startApp({
    manifests: file(
      ingress({
        host: HOST,
        annotations: { 'holdfast.dev/backend-protocol': protocol, 'holdfast.dev/ssl-redirect': 'false' },
        tls: [{ hosts: [HOST], secretName: 'pair' }],
      }),
      service(),
      ...(backends.length === 0
        ? []
        : [
            slices(
              'web',
              backends.map(({ pod, port }) => ({ pod, port })),
            ),
          ]),
      tlsSecret('pair', PAIR),
      ...(rules === undefined ? [] : [policy({ rules })]),
    ),
    config: { workers: 1, httpsPort: 0, h2c: true, ...config },
  });
}

function client(app: App, secure = false): GrpcClient {
  const made = new GrpcClient(secure ? app.httpsPort : app.port, HOST, secure ? PAIR.chain : undefined);
  closeAtEnd(async () => made.close());
  return made;
}

describe.each([
  ['over TLS', true],
  ['in plain text', false],
])('a client %s', (_name, secure) => {
  test('unary and streaming calls, with metadata both ways', async () => {
    const head = new Metadata();
    head.set('x-head', 'yes');
    const backend = await startGrpcBackend('pod-0', (text) => ({ answer: { text: `hello ${text}` }, metadata: head }));
    const app = await start([backend]);
    const caller = client(app, secure);
    const answer = await caller.unary('you', { 'x-asked': 'this' });
    expect(answer).toMatchObject({ text: 'hello you', code: statusCodes.OK });
    expect([answer.metadata.get('x-head'), answer.trailers.get('x-trailer')]).toEqual([['yes'], ['pod-0']]);
    expect(backend.calls[0]?.get('x-asked')).toEqual(['this']);
    expect(await caller.upload(Array.from({ length: 200 }, () => 'y'.repeat(5000)))).toBe('pod-0: 1000000');
    const lines = await caller.download(2000);
    expect(lines).toHaveLength(2000);
    expect(lines.at(-1)).toBe(`pod-0: 1999 ${'x'.repeat(1000)}`);
    const chat = caller.chat();
    for (const word of ['one', 'two', 'three']) {
      chat.write(word);
      const [said] = (await once(chat, 'data')) as [string];
      expect(said).toBe(`pod-0: ${word}`);
    }
    chat.end();
    const [status] = (await once(chat, 'status')) as [{ code: number }];
    expect(status.code).toBe(statusCodes.OK);
  });

  test('an error of the server arrives as it is, trailers only', async () => {
    const trailers = new Metadata();
    trailers.set('x-why', 'because');
    const backend = await startGrpcBackend('pod-0', () => ({
      answer: { code: statusCodes.FAILED_PRECONDITION, details: 'not today' },
      metadata: trailers,
    }));
    const answer = await client(await start([backend]), secure).unary('x');
    expect(answer).toMatchObject({
      text: undefined,
      code: statusCodes.FAILED_PRECONDITION,
    });
    expect(answer.details).toContain('not today');
    expect(answer.trailers.get('x-why')).toEqual(['because']);
  });
});

test('GRPCS: endpoints over TLS, by HTTP/2 alone', async () => {
  const backend = await startGrpcBackend('pod-0', undefined, selfSigned({ names: ['pod'] }));
  const caller = client(await start([backend], { protocol: 'GRPCS' }));
  expect(await caller.unary('x')).toMatchObject({ text: 'pod-0: x', code: statusCodes.OK });
  expect(await caller.download(500)).toHaveLength(500);
});

test('H2C: requests that are no gRPC go to the endpoint over HTTP/2, from clients of HTTP/1.1, too', async () => {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.setHeader('x-version', request.httpVersion);
      response.end(`${request.method} ${request.url} ${Buffer.concat(chunks).toString()}`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closeAtEnd(async () => void server.close());
  const { port } = server.address() as AddressInfo;
  const app = await start([{ pod: 'pod-0', port, stop: async () => undefined }], { protocol: 'H2C' });
  const caller = await RawClient.connect(app.port);
  caller.send(`POST /a?b=c HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5\r\n\r\nhello`);
  const answer = await caller.response();
  expect(answer.body).toBe('POST /a?b=c hello');
  expect(header(answer, 'x-version')).toBe('2.0');
  closeWires();
});

test('100 calls at once share connections to the endpoints, each call where its session is', async () => {
  const backends = [await startGrpcBackend('pod-0'), await startGrpcBackend('pod-1'), await startGrpcBackend('pod-2')];
  const app = await start(backends, { rules: [{ name: 'apps', header: { name: 'x-user', mode: 'Hash' } }] });
  const caller = client(app);
  const places = new Map<string, string>();
  for (let turn = 0; turn < 3; turn++) {
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => ({ i, answer: await caller.unary('x', { 'x-user': `user-${i}` }) })),
    );
    for (const { i, answer } of answers) {
      const pod = answer.text?.split(':')[0] ?? 'nobody';
      expect(places.get(String(i)) ?? pod).toBe(pod);
      places.set(String(i), pod);
    }
  }
  expect(new Set(places.values())).toEqual(new Set(['pod-0', 'pod-1', 'pod-2']));
});

test('T59 a session that the server mints in its metadata is learned, from an answer of trailers only, too', async () => {
  const mint = (pod: string) =>
    startGrpcBackend(pod, (text) => {
      const metadata = new Metadata();
      metadata.set('x-session', `minted-${text}`);
      return text === 'fails'
        ? { answer: { code: statusCodes.NOT_FOUND, details: pod }, metadata }
        : { answer: { text: pod }, metadata };
    });
  const app = await start(await Promise.all(['pod-0', 'pod-1', 'pod-2', 'pod-3'].map(mint)), {
    rules: [{ name: 'apps', header: { name: 'x-session', mode: 'Learn' } }],
  });
  const caller = client(app);
  for (const text of ['works', 'fails']) {
    const first = await caller.unary(text);
    const pod = first.text ?? first.details.replace(/^.*(pod-\d).*$/, '$1');
    for (let i = 0; i < 8; i++)
      expect(await caller.unary('again', { 'x-session': `minted-${text}` })).toMatchObject({ text: pod });
  }
});

test('a cookie holds a session as well', async () => {
  const backends = [await startGrpcBackend('pod-0'), await startGrpcBackend('pod-1')];
  const app = await start(backends, { rules: [{ name: 'browsers', cookie: { name: 'HF' } }] });
  const caller = client(app, true);
  const first = await caller.unary('x');
  const cookie = String(first.metadata.get('set-cookie')[0]).split(';')[0] ?? '';
  expect(cookie).toMatch(/^HF=/);
  for (let i = 0; i < 6; i++) expect((await caller.unary('x', { cookie })).text).toBe(first.text);
});

describe('our own errors are a gRPC status', () => {
  test('no endpoint, one that refuses connections, one that does not speak HTTP/2', async () => {
    const old = await HostileBackend.start();
    closeAtEnd(async () => closeWires());
    const gone = await startGrpcBackend('gone');
    await gone.stop();
    for (const [endpoints, reason] of [
      [[], /No endpoint of the backend is available/],
      [[{ pod: 'gone', port: gone.port }], /No endpoint of the backend could be reached/],
      [[{ pod: 'old', port: old.port }], /No endpoint of the backend could be reached/],
    ] as const) {
      const app = await start([]);
      if (endpoints.length > 0) await app.change('slices.yaml', slices('web', endpoints));
      const answer = await client(app).unary('x');
      expect(answer).toMatchObject({ code: statusCodes.UNAVAILABLE });
      expect(answer.details).toMatch(reason);
    }
  });

  test('no route is UNIMPLEMENTED', async () => {
    const app = await start([await startGrpcBackend('pod-0')]);
    const stranger = new GrpcClient(app.port, 'nobody.test');
    closeAtEnd(async () => stranger.close());
    const answer = await stranger.unary('x');
    expect(answer).toMatchObject({ code: statusCodes.UNIMPLEMENTED });
    expect(answer.details).toContain('No route matches');
  });

  test('a server that does not answer within the call’s deadline', async () => {
    const backend = await startGrpcBackend('pod-0', () => ({ answer: 'never' }));
    const app = await start([backend], { config: { responseTimeout: 300 } });
    // The client waits longer than the proxy would for anything else, and says so.
    const long = client(app).unary('x', {}, { deadline: Date.now() + 1500 });
    expect(await long).toMatchObject({ code: statusCodes.DEADLINE_EXCEEDED });
    expect(backend.calls).toHaveLength(1);
    const none = await client(app).unary('x');
    expect(none).toMatchObject({ code: statusCodes.DEADLINE_EXCEEDED });
    expect(none.details).toContain('did not answer in time');
  });
});

test('a server that shuts down gracefully fails no call: those that come go to the others', async () => {
  const backends = [await startGrpcBackend('pod-0'), await startGrpcBackend('pod-1')];
  const app = await start(backends);
  const caller = client(app);
  let over = false;
  const failures: number[] = [];
  let calls = 0;
  const load = Promise.all(
    Array.from({ length: 8 }, async () => {
      while (!over) {
        const { code } = await caller.unary('x');
        calls++;
        if (code !== OK) failures.push(code);
      }
    }),
  );
  await eventually(() => calls > 100);
  const at = calls;
  await backends[0]?.stop();
  await eventually(() => calls > at + 200);
  over = true;
  await load;
  expect(failures).toEqual([]);
});

test('an endpoint that goes sends back what it has not looked at: the call is made anew elsewhere', async () => {
  const site = await startGrpcBackend('pod-1');
  // Takes a connection, and answers its first request with GOAWAY: nothing was looked at.
  const leaving = createTcpServer((socket) => {
    const settings = frame(T.SETTINGS, 0, 0);
    socket.write(settings);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      if (chunk.includes('/test.Echo/Unary') || chunk.length > 100) {
        socket.end(goaway(0));
        leaving.close();
      }
    });
  });
  leaving.listen(0, '127.0.0.1');
  await once(leaving, 'listening');
  const { port } = leaving.address() as AddressInfo;
  const app = await start([{ pod: 'pod-0', port, stop: async () => void leaving.close() }, site]);
  const caller = client(app);
  const texts = await Promise.all(Array.from({ length: 10 }, async (_, i) => (await caller.unary(`call ${i}`)).text));
  expect(texts).toEqual(Array.from({ length: 10 }, (_, i) => `pod-1: call ${i}`));
});

/** A server of HTTP/2 that says what it is told to once it has seen the head of a stream. */
async function startRawBackend(
  says: Readonly<Record<number, Buffer>>,
): Promise<{ pod: string; port: number; stop: () => Promise<void> }> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.write(frame(T.SETTINGS, 0, 0));
    let came = Buffer.alloc(0);
    const said = new Set<string>();
    socket.on('data', (chunk: Buffer) => {
      came = Buffer.concat([came, chunk]);
      for (const [id, bytes] of Object.entries(says)) {
        if (said.has(id) || !came.includes(Buffer.from([T.HEADERS, 5, 0, 0, 0, Number(id)]))) continue;
        said.add(id);
        socket.write(bytes);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { pod: 'pod-0', port: (server.address() as AddressInfo).port, stop: async () => void server.close() };
}

async function http2Client(app: App): Promise<Http2Client> {
  const made = await Http2Client.connect(app.port, { secure: false });
  closeAtEnd(async () => made.destroy());
  return made;
}

// Of the static table (RFC 7541, Appendix A).
const OKAY = Buffer.from([0x88]);
const NO_CONTENT = Buffer.from([0x89]);

test('an answer without a body that is not over yet keeps its stream: what becomes of it harms no other request', async () => {
  const pod = await startRawBackend({
    1: frame(T.HEADERS, 4, 1, NO_CONTENT),
    3: Buffer.concat([reset(1, 2), frame(T.HEADERS, 5, 3, OKAY)]),
  });
  const caller = await http2Client(await start([pod], { protocol: 'H2C' }));
  const first = caller.send({ method: 'GET', target: '/one', authority: HOST, headers: [] });
  const ended = endOf(first);
  await once(first, 'response');
  const second = await caller.ask({ method: 'GET', target: '/two', authority: HOST, headers: [] });
  expect([second.status, await ended]).toEqual([200, 2]);
});
