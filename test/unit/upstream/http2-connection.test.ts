import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { RequestHead } from '../../../src/http1/request-head.ts';
import { BlockPool } from '../../../src/io/block-pool.ts';
import { Deadlines } from '../../../src/io/deadlines.ts';
import { Turn } from '../../../src/io/turn.ts';
import { READY } from '../../../src/model/live.ts';
import { createBlocks, createChunk } from '../../../src/shared/cells.ts';
import { HealthMarks } from '../../../src/shared/meters.ts';
import type { StreamHandler } from '../../../src/upstream/request-wire.ts';
import { Upstreams } from '../../../src/upstream/upstreams.ts';
import { eventually } from '../../support/eventually.ts';
import { frame, goaway, reset, settings, T } from '../../support/http2-frames.ts';

const MAX_STREAMS = 3;

let server: Server | undefined;
let upstreams: Upstreams | undefined;
const sockets = new Set<Socket>();

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  server?.close();
  upstreams?.deadlines.stop();
});

/** A server of HTTP/2 that says nothing until it is told to. `clock`: ms that have passed for the pool. */
async function start() {
  const accepted: Socket[] = [];
  server = createServer((socket) => {
    sockets.add(socket);
    accepted.push(socket);
    socket.on('error', () => socket.destroy());
    socket.resume();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const blocks = createBlocks(1);
  blocks.mark.attach(createChunk('mark', 0, 1));
  const clock = { now: 1_000_000 };
  const pool = new Upstreams({
    deadlines: new Deadlines(() => clock.now),
    blocks: new BlockPool(),
    turn: new Turn(),
    writes: new Turn(),
    health: new HealthMarks(blocks.mark, 0),
    connectTimeout: 5000,
    idleTimeout: 60_000,
    maxIdle: 10,
    poisonReads: true,
    onDialFailed: () => undefined,
  });
  upstreams = pool;
  const service = { namespace: 'n', name: 's', protocol: 'H2C' } as const;
  const pod = { pod: 'p', service, state: READY, since: 0, wasReady: true };
  const endpoint = { slot: 0, ref: 0, address: '127.0.0.1', port, ...pod };
  const pass = (ms: number) => {
    clock.now += ms;
    pool.deadlines.tick();
  };
  return { pool, endpoint, accepted, pass };
}

/** A request that writes down what it hears. */
function handler(heard: string[]): StreamHandler {
  return {
    onUpstreamConnected: () => void heard.push('connected'),
    onUpstreamDialFailed: (failure) => void heard.push(failure),
    onUpstreamRead: () => true,
    onUpstreamDrain: () => undefined,
    onUpstreamClosed: (unseen) => void heard.push(unseen ? 'unseen' : 'closed'),
    onInterim: () => undefined,
    onHead: ({ status }) => void heard.push(String(status)),
    onBody: () => undefined,
    onTrailers: () => undefined,
    onEnd: () => void heard.push('end'),
    onError: () => undefined,
  };
}

const REQUEST = new RequestHead();
REQUEST.method = 'GET';
const TEXT = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

/** A request that waits: the server has accepted its connection and said nothing yet. */
async function ask(overrides: Partial<StreamHandler> = {}) {
  const started = await start();
  const { pool, endpoint, accepted } = started;
  const heard: string[] = [];
  const stream = pool.stream(endpoint, { ...handler(heard), ...overrides });
  await eventually(() => accepted.length === 1);
  return { ...started, heard, stream, socket: accepted[0]! };
}

/** A request that has a stream. */
async function connect(overrides: Partial<StreamHandler> = {}) {
  const asked = await ask(overrides);
  asked.socket.write(settings());
  await eventually(() => asked.heard.includes('connected'));
  return asked;
}

test('requests wait for the settings of the server, and those that it takes no more of get another connection', async () => {
  const { pool, endpoint, accepted } = await start();
  const heard = Array.from({ length: MAX_STREAMS + 2 }, (): string[] => []);
  const streams = heard.map((one) => pool.stream(endpoint, handler(one)));
  await eventually(() => accepted.length === 1);
  expect([heard.flat(), streams.map(({ connected }) => connected)]).toEqual([[], streams.map(() => false)]);
  accepted[0]?.write(settings([3, MAX_STREAMS]));
  await eventually(() => accepted.length === 2);
  expect(heard.map((one) => one.length)).toEqual([1, 1, 1, 0, 0]);
  accepted[1]?.write(settings());
  await eventually(() => heard.every((one) => one[0] === 'connected'));
  // There is room on the second one, at once.
  expect(pool.stream(endpoint, handler([])).connected).toBe(true);
});

test('a request that gives up while it waits leaves nothing behind: the connection is idle, and goes', async () => {
  const { pool, endpoint, accepted, pass } = await start();
  const heard: string[] = [];
  pool.stream(endpoint, handler(heard)).destroy();
  await eventually(() => accepted.length === 1);
  const closed = once(accepted[0]!, 'close');
  accepted[0]?.write(settings());
  const next = pool.stream(endpoint, handler([]));
  await eventually(() => next.connected);
  next.giveBack();
  expect(heard).toEqual([]);
  pass(60_001);
  await closed;
});

test('a retired endpoint keeps its streams until they end, and then goes', async () => {
  const { pool, heard, stream, socket } = await connect();
  stream.begin(REQUEST, TEXT);
  stream.flush();
  const closed = once(socket, 'close');
  pool.retire(0);
  // 200 of the static table, END_STREAM.
  socket.write(frame(T.HEADERS, 5, 1, Buffer.from([0x88])));
  await eventually(() => heard.includes('end'));
  expect(heard).toEqual(['connected', '200', 'end']);
  stream.finish(true);
  await closed;
});

test('a server that goes says what it has not looked at; one that says nothing within the time is of no use', async () => {
  const { pool, endpoint, accepted, pass, heard, stream, socket } = await connect();
  stream.begin(REQUEST, TEXT);
  stream.flush();
  socket.write(goaway(0));
  await eventually(() => heard.includes('unseen'));
  const late: string[] = [];
  pool.stream(endpoint, handler(late));
  await eventually(() => accepted.length === 2);
  pass(5001);
  expect(late).toEqual(['timeout']);
});

test('one that speaks something else is of no use', async () => {
  const { heard, socket } = await ask();
  socket.write('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
  await eventually(() => heard.length > 0);
  expect(heard).toEqual(['protocol']);
});

test('a server that takes no streams is of no use: it is not asked again and again', async () => {
  const { accepted, heard, socket } = await ask();
  const closed = once(socket, 'close');
  socket.write(settings([3, 0]));
  await closed;
  expect([heard, accepted.length]).toEqual([['refused'], 1]);
});

test('a server that goes with its first words is of no use either', async () => {
  const { heard, socket } = await ask();
  socket.write(Buffer.concat([settings(), goaway(0)]));
  await eventually(() => heard.length > 0);
  expect(heard).toEqual(['refused']);
});

test('requests that have a connection and are not begun when it goes are sent back', async () => {
  const { heard, socket } = await connect();
  socket.write(goaway(0));
  await eventually(() => heard.includes('unseen'));
});

test('an answer that is complete before the request counts, though its stream is reset behind it', async () => {
  const done: boolean[] = [];
  const { heard, stream, socket } = await connect({
    onUpstreamRead: (complete) => {
      done.push(complete);
      return true;
    },
  });
  const upload = new RequestHead();
  upload.method = 'POST';
  upload.chunked = true;
  stream.begin(upload, 'POST / HTTP/1.1\r\nHost: a\r\n\r\n');
  stream.flush();
  socket.write(Buffer.concat([frame(T.HEADERS, 5, 1, Buffer.from([0x88])), reset(1, 0)]));
  await eventually(() => done.includes(true));
  expect(heard).toEqual(['connected', '200', 'end']);
});
