/** Cases that were got wrong once, about sessions, endpoints that fail, key files, shutdowns and the log. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  Client,
  closeAtEnd,
  eventually,
  file,
  ingress,
  makeFolder,
  service,
  site,
  slices,
  startApp,
  startBackend,
  startBackends,
} from '../support/app.ts';
import type { Answer, App, Backend } from '../support/app.ts';
import type { Handler } from '../support/backend.ts';
import { settled } from '../support/eventually.ts';
import { Admin } from '../support/admin.ts';
import {
  acceptWebSocket,
  CLOSE,
  closeWires,
  header,
  HostileBackend,
  RawClient,
  readFrame,
  values,
} from '../support/wire.ts';
import { ROOT } from '../unit/cli/run-cli.ts';

const insert = { name: 'browsers', cookie: { name: 'HF', mode: 'Insert' } } as const;
const byUser = { name: 'apps', header: { name: 'X-User', mode: 'Hash' } } as const;

const SITES = {
  waiting: { onEndpointLost: { notReadyGrace: '60s' } },
  readded: { onEndpointLost: { notReadyGrace: '300ms' } },
  stubborn: { retry: { changeOnFailure: false, attempts: 2 }, onEndpointLost: { notReadyGrace: '0s' } },
  strict: { rules: [{ ...byUser, onMissing: 'Reject' }] },
  late: { rules: [insert, byUser] },
  preflight: {},
  turns: { newSession: { algorithm: 'RoundRobin' } },
  trailers: {},
} as const;
type Site = keyof typeof SITES;

/** Requests in flight that an endpoint may have. */
const FULL = 2;

/** Sites with one pod. */
const ALONE: readonly Site[] = ['waiting', 'trailers'];

let app: App;
const backends = {} as Record<Site, Backend[]>;
/** What the first pod of `turns` has not answered. */
const held: (() => void)[] = [];
/** Paths and trailers that the pod of `trailers` was sent. */
const seen: { path: string | undefined; trailers: NodeJS.Dict<string> }[] = [];
/** Of the first pods. */
const HANDLERS: { readonly [Name in Site]?: Handler } = {
  turns: (_request, response) => held.push(() => response.end('held')),
  trailers: (request, response) => {
    request.resume().on('end', () => {
      seen.push({ path: request.url, trailers: request.trailers });
      response.end('ok');
    });
  },
};

beforeAll(async () => {
  const manifests: Record<string, string> = {};
  for (const name of Object.keys(SITES) as Site[]) {
    const first = await startBackend({ pod: `${name}-0`, ...(HANDLERS[name] && { handler: HANDLERS[name] }) });
    backends[name] = ALONE.includes(name) ? [first] : [first, ...(await startBackends(`${name}-1`, `${name}-2`))];
    manifests[`${name}.yaml`] = manifestOf(name, backends[name]);
  }
  app = await startApp({ manifests, config: { workers: 1, maxInFlightPerEndpoint: FULL } });
  expect(await app.problems()).toEqual([]);
});
closeAtEnd(async () => closeWires());

function manifestOf(name: Site, pods: readonly Backend[]): string {
  return site(name, { endpoints: pods.map((pod) => pod.endpoint()), ...SITES[name] });
}

function clientOf(name: Site, jar = true): Client {
  return new Client(app.port, { host: `${name}.test`, jar });
}

/** A client with a session, and the backend that it is on. */
async function sessionOn(name: Site): Promise<{ client: Client; home: Backend }> {
  const client = clientOf(name);
  const { pod } = await client.get('/');
  const home = backends[name].find((backend) => backend.pod === pod);
  if (home === undefined) throw new Error(`${pod} is no pod of ${name}`);
  return { client, home };
}

async function endpointSum(name: string, pod: string): Promise<number> {
  return (await app.metrics()).sum(`holdfast_endpoint_${name}`, { pod });
}

async function clientErrors(code: number): Promise<number> {
  return (await app.metrics()).value('holdfast_http_errors_total', { source: 'client', code: String(code) });
}

test('a POST whose client goes while it waits for its endpoint is not delivered', async () => {
  const { client, home } = await sessionOn('waiting');
  await home.close();
  const lines = `Host: waiting.test\r\nCookie: ${client.cookieHeader}\r\nContent-Length: 5\r\n\r\nhello`;
  const [leaves, stays] = [await RawClient.connect(app.port), await RawClient.connect(app.port)];
  const [retries, gone, before] = [await retriesSoFar(), await clientErrors(499), home.requests];
  leaves.send(`POST /leaves HTTP/1.1\r\n${lines}`);
  stays.send(`POST /stays HTTP/1.1\r\n${lines}`);
  await eventually(async () => (await retriesSoFar()) >= retries + 4);
  leaves.reset();
  await eventually(async () => (await clientErrors(499)) === gone + 1);
  await home.listen();
  expect(await stays.response()).toMatchObject({ status: 200, body: expect.stringContaining('/stays') as string });
  // For longer than the longest pause between two tries.
  expect(await settled(() => home.requests)).toBe(before + 1);
});

async function retriesSoFar(): Promise<number> {
  return (await app.metrics()).value('holdfast_retries_total');
}

test('the trailers of a request that found no endpoint do not go out with the next one', async () => {
  const [home] = backends.trailers;
  if (home === undefined) throw new Error('there is no pod');
  await home.close();
  const client = await RawClient.connect(app.port);
  const head = 'HTTP/1.1\r\nHost: trailers.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n';
  client.send(`POST /refused ${head}X-User: alice\r\n\r\n`);
  expect(await client.response()).toMatchObject({ status: 502 });
  await home.listen();
  client.send(`POST /next ${head}\r\n`);
  expect(await client.response()).toMatchObject({ status: 200 });
  client.send(`POST /own ${head}X-User: bob\r\n\r\n`);
  expect(await client.response()).toMatchObject({ status: 200 });
  expect(seen).toEqual([
    { path: '/next', trailers: {} },
    { path: '/own', trailers: { 'x-user': 'bob' } },
  ]);
});

test('a pod that left while it failed and comes back still has its sessions', async () => {
  const { client, home } = await sessionOn('readded');
  await home.close();
  await eventually(async () => {
    await clientOf('readded').get('/');
    return (await endpointSum('connect_failures_total', home.pod)) > 0;
  });
  const failedAt = Date.now();
  const others = backends.readded.filter((backend) => backend !== home);
  await app.change('readded.yaml', manifestOf('readded', others));
  await eventually(() => Date.now() > failedAt + 400);
  await home.listen();
  await app.change('readded.yaml', manifestOf('readded', backends.readded));
  expect(await client.get('/')).toMatchObject({ pod: home.pod, setCookies: [] });
});

test('a key file that was deleted is written again with the same keys, and sessions go on', async () => {
  const { client, home } = await sessionOn('preflight');
  const before = await readFile(app.keysFile, 'utf8');
  await rm(app.keysFile);
  expect(await eventually(() => readFile(app.keysFile, 'utf8'))).toBe(before);
  for (let i = 0; i < 3; i++) expect(await client.get('/')).toMatchObject({ pod: home.pod, setCookies: [] });
});

test('onMissing: Reject says what is missing, and it is the client’s error', async () => {
  const before = await clientErrors(400);
  const answer = await clientOf('strict').get('/', { accept: 'application/json' });
  expect(answer.status).toBe(400);
  expect(JSON.parse(answer.text)).toMatchObject({
    code: 'key_required',
    message: expect.stringMatching(/header/) as string,
  });
  expect(await clientErrors(400)).toBe(before + 1);
  expect((await clientOf('strict').get('/', { 'x-user': 'alice' })).status).toBe(200);
});

test('a forged token is counted although a later rule chose the pod', async () => {
  const { client } = await sessionOn('late');
  const token = client.cookies.get('HF') ?? '';
  const forged = `${token.slice(0, 20)}${token[20] === 'A' ? 'B' : 'A'}${token.slice(21)}`;
  const counted = async () => (await app.metrics()).sum('holdfast_invalid_tokens_total', { policy: 'late' });
  expect(await counted()).toBe(0);
  const answer = await clientOf('late').get('/', { cookie: `HF=${forged}`, 'x-user': 'alice' });
  expect(answer.status).toBe(200);
  expect(await counted()).toBe(1);
  const [{ labels } = { labels: {} }] = (await app.metrics()).all('holdfast_decisions_total', {
    policy: 'late',
    rule: 'apps',
  });
  expect(labels).toMatchObject({ outcome: 'new' });
});

test('changeOnFailure: false: a client without a session still goes to the next pod', async () => {
  const [down] = backends.stubborn;
  if (down === undefined) throw new Error('there is no pod');
  await down.close();
  for (let failures = 0; failures === 0; failures = await endpointSum('connect_failures_total', down.pod)) {
    const client = clientOf('stubborn');
    const answer = await client.get('/');
    expect(answer).toMatchObject({ status: 200, setCookies: [expect.any(String)] });
    expect(await client.get('/')).toMatchObject({ pod: answer.pod, setCookies: [] });
  }
});

test('a preflight begins no session', async () => {
  const sessions = async () =>
    (await app.metrics()).sum('holdfast_endpoint_new_sessions_total', { service: 'preflight' });
  const before = await sessions();
  for (let i = 0; i < 3; i++) {
    expect(await clientOf('preflight').ask('/', { method: 'OPTIONS' })).toMatchObject({ status: 200, setCookies: [] });
  }
  expect(await sessions()).toBe(before);
  await clientOf('preflight').get('/');
  expect(await sessions()).toBe(before + 1);
});

test('RoundRobin passes over a pod that has as many requests as it may', async () => {
  const waiting: Promise<Answer>[] = [];
  const get = async (): Promise<void> => {
    const before = held.length;
    const asked = clientOf('turns').get('/');
    await Promise.race([asked, eventually(() => held.length > before)]);
    if (held.length > before) waiting.push(asked);
    else expect((await asked).pod).toMatch(/^turns-[12]$/);
  };
  while (held.length < FULL) await get();
  for (let i = 0; i < 9; i++) await get();
  expect(waiting).toHaveLength(FULL);
  for (const release of held) release();
  for (const answer of waiting) expect(await answer).toMatchObject({ status: 200, text: 'held' });
});

const UPGRADE = [
  'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
].join('\r\n');

describe.each([
  { requests: 1, last: UPGRADE, what: 'an upgrade' },
  { requests: 200, last: 'garbage\r\n\r\nmore', what: 'what is no request' },
])('a client that resets its connection behind many requests and $what', ({ requests, last }) => {
  test.each([{ h2c: false }, { h2c: true }])(
    'leaves nothing behind, and the worker serves on (%o)',
    async ({ h2c }) => {
      const served = await startApp({ manifests: {}, config: { workers: 1, h2c } });
      for (let i = 0; i < 20; i++) {
        const client = connect(served.port, '127.0.0.1').on('error', () => undefined);
        await once(client, 'connect');
        // The answers to the first find the connection broken, while the last is still to be read.
        client.write(`${'GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(requests)}${last}`);
        client.resetAndDestroy();
      }
      expect(await new Client(served.port, { host: 'a' }).get('/')).toMatchObject({ status: 404 });
      await eventually(async () => (await served.metrics()).value('holdfast_connections') <= 1);
    },
  );
});

test.each([{ h2c: false }, { h2c: true }])(
  'a client that has finished sending before it is the turn of its upgrade gets none (%o)',
  async ({ h2c }) => {
    const backend = await HostileBackend.start();
    const manifests = file(ingress(), service(), slices('web', [{ pod: 'web-0', port: backend.port }]));
    const served = await startApp({ manifests, config: { workers: 1, h2c } });
    const release = Promise.withResolvers<undefined>();
    backend.handler = async (exchange) => {
      if (header(exchange.request, 'upgrade') !== undefined) return void acceptWebSocket(exchange);
      await release.promise;
      exchange.answer(200, '', 'first');
    };
    const client = await RawClient.connect(served.port);
    client.send(`GET / HTTP/1.1\r\nHost: a\r\n\r\n${UPGRADE}`);
    client.end();
    // Whether it is still there is asked of a client that has finished sending.
    expect(await client.until('\r\n\r\n')).toContain('102');
    release.resolve(undefined);
    expect(await client.response()).toMatchObject({ status: 200, body: 'first' });
    await client.closed();
    await eventually(async () => (await served.metrics()).value('holdfast_connections') === 0);
  },
);

describe.concurrent('a shutdown', () => {
  test('ends as soon as the last request in flight has its answer, which says that the connection ends', async () => {
    const grace = 20_000;
    const { running, backend, port, draining } = await startWith(grace);
    const release = Promise.withResolvers<undefined>();
    backend.handler = async (exchange) => {
      await release.promise;
      exchange.answer(200, '', 'in time');
    };
    const client = await RawClient.connect(port);
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await backend.asked(2);
    const began = performance.now();
    const down = running.close();
    await draining();
    release.resolve(undefined);
    const answer = await client.response();
    expect(answer).toMatchObject({ status: 200, body: 'in time' });
    expect(values(answer, 'connection')).toEqual(['close']);
    expect(await client.rest()).toBe('');
    client.end();
    await down;
    expect(performance.now() - began).toBeLessThan(grace / 2);
  });

  test('lets a handshake under way end well, and closes it with 1001 when the grace is over', async () => {
    const grace = 2000;
    const { running, backend, port, draining } = await startWith(grace);
    const release = Promise.withResolvers<undefined>();
    backend.handler = async (exchange) => {
      await release.promise;
      acceptWebSocket(exchange);
    };
    const client = await RawClient.connect(port);
    client.send(UPGRADE);
    await backend.asked(2);
    const began = performance.now();
    const down = running.close();
    await draining();
    release.resolve(undefined);
    expect((await client.response()).status).toBe(101);
    expect(await readFrame(client)).toMatchObject({ opcode: CLOSE, payload: Buffer.from([0x03, 0xe9]) });
    // Timers may be a little early.
    expect(performance.now() - began).toBeGreaterThan(grace - 100);
    expect(await client.closed()).toBe('end');
    await down;
  });
});

/** An app of its own, whose backend has been asked once. `draining` waits until the shutdown has closed an idle connection. */
async function startWith(shutdownGrace: number): Promise<{
  running: App;
  backend: HostileBackend;
  port: number;
  draining: () => Promise<unknown>;
}> {
  const backend = await HostileBackend.start();
  const endpoints = [{ pod: 'web-0', port: backend.port }];
  const manifests = file(ingress(), service(), slices('web', endpoints));
  const running = await startApp({ manifests, config: { workers: 1, shutdownGrace } });
  const { port } = running;
  const idle = await RawClient.connect(port);
  idle.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(await idle.response()).toMatchObject({ status: 200 });
  return {
    running,
    backend,
    port,
    draining: async () => {
      await idle.closed();
      idle.end();
    },
  };
}

test('a reader of the log that has stopped stops neither the control plane nor the end', async () => {
  const folder = await makeFolder();
  closeAtEnd(() => rm(folder, { recursive: true, force: true }));
  const flags = {
    manifests: folder,
    'session-keys-file': join(folder, 'keys.json'),
    'http-port': '0',
    'bind-address': '127.0.0.1',
    'admin-address': '127.0.0.1:0',
    workers: '1',
    'shutdown-delay': '0s',
    'shutdown-grace': '1s',
    'access-log': 'full',
  };
  const args = ['run', ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value])];
  const child = spawn(process.execPath, [join(ROOT, 'src', 'main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  closeAtEnd(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
  });
  const [port, adminPort] = await new Promise<readonly [number, number]>((resolve, reject) => {
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      const match = /"http":"[^"]*:(\d+)","admin":"[^"]*:(\d+)"/.exec(out);
      if (match !== null) resolve([Number(match[1]), Number(match[2])]);
    });
    child.on('exit', () => reject(new Error(`it ended: ${out}`)));
  });
  child.stdout.removeAllListeners('data').pause();
  // More than the pipe and the program hold.
  const target = `/${'x'.repeat(5000)}`;
  for (let i = 0; i < 20; i++) {
    const client = await RawClient.connect(port);
    client.send(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(60));
    for (let n = 0; n < 60; n++) expect(await client.response()).toMatchObject({ status: 404 });
    client.end();
  }
  const admin = new Admin(adminPort);
  await eventually(async () => (await admin.metrics()).value('holdfast_log_lines_dropped_total') > 0);
  expect(await admin.admin('/healthz')).toMatchObject({ status: 200 });
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
});
