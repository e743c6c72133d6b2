/** Connections to endpoints, over real sockets: how many idle ones are kept. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { BlockPool } from '../../../src/io/block-pool.ts';
import { Turn } from '../../../src/io/turn.ts';
import { Deadlines } from '../../../src/io/deadlines.ts';
import { READY, type LiveEndpoint } from '../../../src/model/live.ts';
import { createBlocks, createChunk } from '../../../src/shared/cells.ts';
import { HealthMarks } from '../../../src/shared/meters.ts';
import type { UpstreamConnection } from '../../../src/upstream/connection.ts';
import { Upstreams } from '../../../src/upstream/upstreams.ts';
import { eventually } from '../../support/eventually.ts';

const MAX_IDLE = 4;
const KEEP = -1;

let server: Server | undefined;
let upstreams: Upstreams | undefined;

afterEach(() => {
  upstreams?.closeIdle();
  server?.close();
});

/** `open`: connections that the backend sees. */
async function start(): Promise<{ endpoints: LiveEndpoint[]; open: Set<Socket>; pool: Upstreams }> {
  const open = new Set<Socket>();
  server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.resume();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const endpoints = Array.from({ length: 6 }, (_, slot) => ({
    ...{ slot, ref: slot, address: '127.0.0.1', port, pod: `p-${slot}`, state: READY, since: 0, wasReady: true },
  }));
  const blocks = createBlocks(1);
  blocks.mark.attach(createChunk('mark', 0, 1));
  const pool = new Upstreams({
    deadlines: new Deadlines(Date.now),
    blocks: new BlockPool(),
    turn: new Turn(),
    health: new HealthMarks(blocks.mark, 0),
    connectTimeout: 5000,
    idleTimeout: 60_000,
    maxIdle: MAX_IDLE,
    poisonReads: false,
    onDialFailed: () => undefined,
  });
  upstreams = pool;
  return { endpoints, open, pool };
}

async function connected(pool: Upstreams, endpoint: LiveEndpoint): Promise<UpstreamConnection> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const connection = pool.acquire(endpoint, {
    onUpstreamConnected: () => {
      resolve(undefined);
    },
    onUpstreamDialFailed: reject,
    onUpstreamData: () => true,
    onUpstreamDrain: () => undefined,
    onUpstreamEnd: () => undefined,
    onUpstreamClosed: () => undefined,
  });
  if (!connection.connected) await promise;
  return connection;
}

test('idle connections to many endpoints are no more than the limit, and those in use are not counted', async () => {
  const { endpoints, open, pool } = await start();
  const connections = await Promise.all(endpoints.map(async (endpoint) => await connected(pool, endpoint)));
  await eventually(() => open.size === 6);
  for (const connection of connections.slice(0, 5)) pool.release(connection, KEEP);
  await eventually(() => open.size === 5);
  expect(connections.filter(({ socket }) => socket.destroyed)).toHaveLength(1);
  expect(connections[5]?.socket.destroyed).toBe(false);
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
