/** Connections to endpoints, over real sockets: how many idle ones are kept. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { BlockPool } from '../../../src/io/block-pool.ts';
import { Turn } from '../../../src/io/turn.ts';
import { DEFAULT_LIMITS } from '../../../src/http1/limits.ts';
import { RequestHead } from '../../../src/http1/request-head.ts';
import { Deadlines } from '../../../src/io/deadlines.ts';
import { Http1Wire } from '../../../src/lanes/http1-wire.ts';
import { READY, type LiveEndpoint } from '../../../src/model/live.ts';
import { createBlocks, createChunk } from '../../../src/shared/cells.ts';
import { HealthMarks } from '../../../src/shared/meters.ts';
import type { UpstreamConnection } from '../../../src/upstream/connection.ts';
import type { EndpointPools } from '../../../src/upstream/endpoint-pools.ts';
import { Upstreams } from '../../../src/upstream/upstreams.ts';
import { eventually } from '../../support/eventually.ts';

const MAX_IDLE = 4;
const KEEP = -1;
const SERVICE = { namespace: 'shop', name: 'web', protocol: 'HTTP' } as const;

let server: Server | undefined;
let upstreams: Upstreams | undefined;

afterEach(() => {
  upstreams?.closeIdle();
  server?.close();
});

/** `open`: connections that the backend sees; `heard`: what each has brought, in order, in latin1. */
async function start(): Promise<{ endpoints: LiveEndpoint[]; open: Set<Socket>; heard: string[]; pool: Upstreams }> {
  const open = new Set<Socket>();
  const heard: string[] = [];
  server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    const at = heard.push('') - 1;
    socket.on('data', (chunk: Buffer) => (heard[at] += chunk.toString('latin1')));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const endpoints = Array.from({ length: 6 }, (_, slot) => ({
    ...{
      slot,
      ref: slot,
      address: '127.0.0.1',
      port,
      pod: `p-${slot}`,
      service: SERVICE,
      state: READY,
      since: 0,
      wasReady: true,
    },
  }));
  const blocks = createBlocks(1);
  blocks.mark.attach(createChunk('mark', 0, 1));
  const pool = new Upstreams({
    deadlines: new Deadlines(Date.now),
    blocks: new BlockPool(),
    turn: new Turn(),
    writes: new Turn(),
    health: new HealthMarks(blocks.mark, 0),
    connectTimeout: 5000,
    idleTimeout: 60_000,
    maxIdle: MAX_IDLE,
    poisonReads: false,
    onDialFailed: () => undefined,
  });
  upstreams = pool;
  return { endpoints, open, heard, pool };
}

async function connected(pool: Upstreams, endpoint: LiveEndpoint, own?: EndpointPools): Promise<UpstreamConnection> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const connection = pool.acquire(
    endpoint,
    {
      onUpstreamConnected: () => {
        resolve(undefined);
      },
      onUpstreamDialFailed: reject,
      onUpstreamData: () => true,
      onUpstreamDrain: () => undefined,
      onUpstreamEnd: () => undefined,
      onUpstreamClosed: () => undefined,
    },
    own,
  );
  if (!connection.connected) await promise;
  return connection;
}

/** Which of them are closed. */
function closed(connections: readonly UpstreamConnection[]): number[] {
  return [...connections.keys()].filter((i) => connections[i]?.socket.destroyed);
}

test('idle connections to many endpoints are no more than the limit; what is in use is not counted, what has been idle for longest goes', async () => {
  const { endpoints, open, pool } = await start();
  const connections = await Promise.all(endpoints.map(async (endpoint) => await connected(pool, endpoint)));
  await eventually(() => open.size === 6);
  const [first, second, ...others] = connections;
  const [endpoint] = endpoints;
  if (first === undefined || second === undefined || endpoint === undefined) throw new Error('no connections');
  for (const connection of [first, second, ...others.slice(0, MAX_IDLE - 2)]) pool.release(connection, KEEP);
  pool.release(await connected(pool, endpoint), KEEP);
  expect(closed(connections)).toEqual([]);
  for (const connection of others.slice(MAX_IDLE - 2)) pool.release(connection, KEEP);
  expect(closed(connections)).toEqual([1, 2]);
  await eventually(() => open.size === MAX_IDLE);
});

test('a connection that is used again and again stays, however often it is given back', async () => {
  const { endpoints, pool } = await start();
  const [first] = endpoints;
  if (first === undefined) throw new Error('no endpoint');
  const kept = await connected(pool, first);
  for (let turn = 0; turn < 3 * MAX_IDLE; turn++) {
    pool.release(kept, KEEP);
    expect(await connected(pool, first)).toBe(kept);
  }
  pool.release(kept, KEEP);
  expect(kept.socket.destroyed).toBe(false);
});

test('a connection whose answer came before its request was sent is not used again', async () => {
  const { endpoints, open, pool } = await start();
  const [endpoint] = endpoints;
  if (endpoint === undefined) throw new Error('no endpoint');
  const connection = await connected(pool, endpoint);
  const nothing = () => undefined;
  const sink = {
    onInterim: nothing,
    onHead: nothing,
    onBody: nothing,
    onTrailers: nothing,
    onEnd: nothing,
    onError: nothing,
  };
  const wire = new Http1Wire(pool, sink, DEFAULT_LIMITS);
  wire.use(connection).begin(new RequestHead(), 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(wire.flush()).toBe(true);
  const answer = Buffer.from('HTTP/1.1 204 No Content\r\n\r\n');
  expect(wire.read(answer, answer.length)).toBe(answer.length);
  expect(wire.done).toBe(true);
  wire.finish(true);
  expect(connection.socket.destroyed).toBe(true);
  await eventually(() => open.size === 0);
});

test('what ended by itself makes room', async () => {
  const { endpoints, open, pool } = await start();
  const connections = await Promise.all(endpoints.map(async (endpoint) => await connected(pool, endpoint)));
  for (const connection of connections.slice(0, MAX_IDLE)) pool.release(connection, KEEP);
  await eventually(() => open.size === 6);
  for (const socket of open) socket.destroy();
  await eventually(() => connections.every(({ socket }) => socket.destroyed));
  const again = await Promise.all(
    endpoints.slice(0, MAX_IDLE).map(async (endpoint) => await connected(pool, endpoint)),
  );
  for (const connection of again) pool.release(connection, KEEP);
  expect(again.filter(({ socket }) => socket.destroyed)).toEqual([]);
});

describe('connections of one client', () => {
  const HELLO = 'hello\xff\n';

  test('begin with what it says, and are nobody else’s', async () => {
    const { endpoints, heard, pool } = await start();
    const [endpoint] = endpoints;
    if (endpoint === undefined) throw new Error('no endpoint');
    const [one, other] = [pool.openOwn(HELLO), pool.openOwn(HELLO)];
    const shared = await connected(pool, endpoint);
    const first = await connected(pool, endpoint, one);
    await eventually(() => heard[1] === HELLO);
    expect(heard[0]).toBe('');
    for (const connection of [shared, first]) pool.release(connection, KEEP);
    expect(await connected(pool, endpoint, other)).not.toBe(first);
    expect(await connected(pool, endpoint, one)).toBe(first);
    expect(await connected(pool, endpoint)).toBe(shared);
  });

  test('speak HTTP/2 behind it, too', async () => {
    const { endpoints, open, heard, pool } = await start();
    const [endpoint] = endpoints;
    if (endpoint === undefined) throw new Error('no endpoint');
    const own = pool.openOwn(HELLO);
    const none = () => undefined;
    const stream = pool.stream(
      endpoint,
      {
        onUpstreamConnected: none,
        onUpstreamDialFailed: none,
        onUpstreamRead: () => true,
        onUpstreamDrain: none,
        onUpstreamClosed: none,
        onInterim: none,
        onHead: none,
        onBody: none,
        onTrailers: none,
        onEnd: none,
        onError: none,
      },
      own,
    );
    await eventually(() => heard[0]?.startsWith(`${HELLO}PRI * HTTP/2.0`));
    stream.destroy();
    for (const socket of open) socket.destroy();
  });

  test('go with the client, with the endpoint, and before there are too many', async () => {
    const { endpoints, pool } = await start();
    const own = pool.openOwn(HELLO);
    const connections = await Promise.all(endpoints.map(async (endpoint) => await connected(pool, endpoint, own)));
    const [, retired, busy] = connections;
    if (retired === undefined || busy === undefined) throw new Error('no connections');
    for (const connection of connections) if (connection !== busy) pool.release(connection, KEEP);
    expect(closed(connections)).toEqual([0]);
    pool.retire(retired.endpoint.slot);
    expect(closed(connections)).toEqual([0, 1]);
    pool.closeOwn(own);
    expect(closed(connections)).toEqual([0, 1, 3, 4, 5]);
    pool.release(busy, KEEP);
    expect(busy.socket.destroyed).toBe(true);
  });
});
