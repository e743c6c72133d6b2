/** Accepted connections without a stream: what is read and written, how they end, and what they become. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { READ_BYTES } from '../../../src/http1/scan.ts';
import { acceptDirectly } from '../../../src/io/accept.ts';
import { BlockPool } from '../../../src/io/block-pool.ts';
import { useDirectIo } from '../../../src/io/direct-io.ts';
import { WRITE_HIGH_WATER } from '../../../src/io/high-water.ts';
import { Outbox } from '../../../src/io/outbox.ts';
import { poisoned, readsInto } from '../../../src/io/take-reads.ts';
import { tellOwner } from '../../../src/io/tcp-socket.ts';
import type { TcpSocket } from '../../../src/io/tcp-socket.ts';

beforeAll(() => void useDirectIo(true));
afterAll(() => useDirectIo(false));

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** More than the buffers of the kernel hold. */
const MUCH = 20_000_000;
const takeReads = poisoned(readsInto(Buffer.alloc(READ_BYTES)));

/** What has happened to the connection under test, in order; reads are told by their text. */
let events: string[] = [];
let wake = (): void => undefined;

beforeEach(() => {
  events = [];
});

function happen(event: string): void {
  events.push(event);
  wake();
}

/** Waits for what has to happen. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => (wake = resolve));
}

const seen = (event: string) => until(() => events.includes(event));

interface Pair {
  readonly near: TcpSocket;
  readonly far: Socket;
  readonly port: number;
}

async function pair(onRead: (text: string) => boolean = () => true): Promise<Pair> {
  // Those of a test before may still come to their end.
  const mine = events;
  const happens = (event: string): void => {
    if (mine === events) happen(event);
  };
  const server = createServer().listen(0, '127.0.0.1');
  closers.push(() => server.close());
  await once(server, 'listening');
  const { promise, resolve } = Promise.withResolvers<TcpSocket>();
  expect(acceptDirectly(server, resolve)).toBe(true);
  const far = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  far.on('close', () => {
    wake();
  });
  far.on('error', (error: NodeJS.ErrnoException) => {
    happens(`far ${error.code}`);
  });
  const near = await promise;
  closers.push(
    () => far.destroy(),
    () => near.destroy(),
  );
  tellOwner(near, {
    onDrain: () => happens('drain'),
    onEnd: () => happens('end'),
    onFinish: () => happens('finish'),
    onClose: () => happens('close'),
  });
  takeReads(near, (length, buffer) => {
    const text = buffer.toString('latin1', 0, length);
    happens(text);
    return onRead(text);
  });
  return { near, far, port: (server.address() as AddressInfo).port };
}

async function read(far: Socket, length: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let got = 0;
  while (got < length) {
    const piece = far.read() as Buffer | null;
    if (piece === null) await once(far, 'readable');
    else {
      pieces.push(piece);
      got += piece.length;
    }
  }
  return Buffer.concat(pieces);
}

test('reads and writes text and bytes, and knows both ends', async () => {
  const { near, far, port } = await pair();
  far.write('ping');
  await seen('ping');
  near.write('p\xf6ng ');
  near.write(Buffer.from('bytes'), () => happen('written'));
  expect(events).toEqual(['ping', 'written']);
  expect((await read(far, 10)).toString('latin1')).toBe('p\xf6ng bytes');
  expect([near.remoteAddress, near.remotePort]).toEqual(['127.0.0.1', far.localPort]);
  expect([near.localAddress, near.localPort]).toEqual(['127.0.0.1', port]);
});

test('stays half-open when the peer has finished, and closes when both have', async () => {
  const { near, far } = await pair();
  far.end();
  await seen('end');
  near.write('still here');
  expect((await read(far, 10)).toString()).toBe('still here');
  near.once('close', () => happen('closed'));
  near.end();
  await seen('closed');
  expect(events).toEqual(['end', 'finish', 'close', 'closed']);
  expect(near.destroyed).toBe(true);
});

test('reads on after its own end, and closes with that of the peer', async () => {
  const { near, far } = await pair();
  near.write('last');
  near.end();
  near.write('too late', () => happen('written'));
  far.resume();
  await once(far, 'end');
  far.end('answer');
  await seen('close');
  expect(events).toEqual(['finish', 'answer', 'end', 'close']);
});

test('what the kernel does not take waits, in order, and the drain is told', async () => {
  const { near, far } = await pair();
  const out = new Outbox(near, new BlockPool());
  const bytes = Buffer.alloc(MUCH, 'abcdefghijklm');
  out.text('head ');
  out.range(bytes, 0, bytes.length);
  out.text(' tail');
  expect(out.flush()).toBe(false);
  expect(near.writableNeedDrain).toBe(true);
  expect((await read(far, MUCH + 10)).equals(Buffer.concat([Buffer.from('head '), bytes, Buffer.from(' tail')]))).toBe(
    true,
  );
  await seen('drain');
  expect(near.writableNeedDrain).toBe(false);
  expect(out.flush()).toBe(true);
});

test('what waits is no more than there should be: nobody has to wait for a drain', async () => {
  const { near } = await pair();
  const piece = Buffer.alloc(WRITE_HIGH_WATER / 2);
  let waits = false;
  while (!waits) {
    waits = true;
    near.write(piece, () => (waits = false));
  }
  expect(near.writableNeedDrain).toBe(false);
  near.write(piece);
  expect(near.writableNeedDrain).toBe(true);
  near.end();
  expect(near.writableNeedDrain).toBe(false);
});

test('nobody hears of a drain behind the end', async () => {
  const { near, far } = await pair();
  near.write(Buffer.alloc(MUCH));
  near.end();
  await read(far, MUCH);
  await seen('finish');
  expect(events).toEqual(['finish']);
});

test('reads nothing while it is paused', async () => {
  const { near, far } = await pair((text) => text !== 'stop');
  far.write('stop');
  await seen('stop');
  far.write('later');
  near.write('x');
  await read(far, 1);
  expect(events).toEqual(['stop']);
  near.resume();
  await seen('later');
});

test.each(['destroy', 'resetAndDestroy'] as const)('%s closes once, whatever is under way', async (how) => {
  const { near, far } = await pair();
  near.write(Buffer.alloc(MUCH), () => happen('let go'));
  near[how]();
  near[how]();
  near.end();
  near.resume();
  near.pause();
  near.write('nobody reads this', () => happen('written'));
  await seen('close');
  await seen('let go');
  far.resume().end();
  await until(() => far.closed);
  expect(events.filter((event) => event === 'close')).toHaveLength(1);
  expect(near.writableNeedDrain).toBe(false);
  expect(events).not.toContain('written');
  expect(events.includes('far ECONNRESET')).toBe(how === 'resetAndDestroy');
});

test('a peer that resets the connection ends it, without an error', async () => {
  const { far } = await pair();
  far.resetAndDestroy();
  await seen('close');
  expect(events).toEqual(['close']);
});

test('a write that fails ends it, at once', async () => {
  const { near, far } = await pair();
  near.pause();
  far.resetAndDestroy();
  await until(() => far.closed);
  near.write('one', () => happen('written'));
  expect(near.destroyed).toBe(true);
  await seen('close');
  expect(events).toEqual(['close']);
});

test('a write that fails ends it, also later', async () => {
  const { near, far } = await pair();
  near.pause();
  near.write(Buffer.alloc(MUCH), () => happen('let go'));
  far.resetAndDestroy();
  await seen('close');
  expect(events).toEqual(['let go', 'close']);
});

test('a reset in the middle of the end closes it', async () => {
  const { near } = await pair();
  near.write(Buffer.alloc(MUCH));
  near.end();
  near.resetAndDestroy();
  await seen('close');
});

test('of a connection that has become an ordinary socket a write that fails later ends that', async () => {
  const { near, far } = await pair();
  near.write(Buffer.alloc(MUCH));
  const stream = near.toStream();
  stream.on('close', () => happen('stream closed'));
  far.resetAndDestroy();
  await seen('stream closed');
});

test('becomes an ordinary socket, with what was written before and who waits for its close', async () => {
  const { near, far } = await pair();
  near.once('close', () => happen('first'));
  const much = Buffer.alloc(MUCH, 'x');
  near.write(much);
  const stream = near.toStream();
  near.once('close', () => happen('second'));
  takeReads(stream, (length, buffer) => {
    happen(`stream ${buffer.toString('latin1', 0, length)}`);
    return true;
  });
  stream.on('end', () => stream.end('bye'));
  expect([near.remoteAddress, near.remotePort]).toEqual([stream.remoteAddress, far.localPort]);
  stream.write(' and more ');
  far.end('hello');
  expect((await read(far, MUCH + 13)).subarray(MUCH).toString()).toBe(' and more bye');
  await seen('second');
  expect(events).toEqual(['stream hello', 'first', 'second']);
});

test('errors of accepting stay with the server', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  closers.push(() => server.close());
  await once(server, 'listening');
  acceptDirectly(server, () => undefined);
  const failed = once(server, 'error') as Promise<[NodeJS.ErrnoException]>;
  const { _handle: handle } = server as unknown as { _handle: { onconnection: (status: number) => void } };
  handle.onconnection(-24);
  expect((await failed)[0].code).toBe('EMFILE');
});

test('where there is no direct I/O a server accepts as it does', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  closers.push(() => server.close());
  await once(server, 'listening');
  useDirectIo(false);
  expect(acceptDirectly(server, () => undefined)).toBe(false);
  useDirectIo(true);
});
