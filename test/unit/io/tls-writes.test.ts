/** Writes past the stream of a TLS connection: their order with the stream's own, the end, failures. */
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:tls';
import type { SecureVersion, TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { BlockPool } from '../../../src/io/block-pool.ts';
import { useDirectIo } from '../../../src/io/direct-io.ts';
import type { Handled } from '../../../src/io/direct-io.ts';
import { Outbox } from '../../../src/io/outbox.ts';
import { readsInto } from '../../../src/io/take-reads.ts';
import { tlsWritesOf } from '../../../src/io/tls-writes.ts';
import type { TlsWrites } from '../../../src/io/tls-writes.ts';
import { selfSigned } from '../../support/certificate.ts';
import { seededRandom } from '../../support/random.ts';

const { cert, key } = selfSigned('localhost');
const closers: (() => void)[] = [];
beforeAll(() => void useDirectIo(true));
afterAll(() => useDirectIo(false));
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Both ends of a connection; `tcp` is beneath `far`. */
async function pair(version: SecureVersion = 'TLSv1.3'): Promise<{ near: TLSSocket; far: TLSSocket; tcp: Socket }> {
  const options = { cert, key, minVersion: version, maxVersion: version };
  const listener = createServer({ ...options, allowHalfOpen: true }).listen(0, '127.0.0.1');
  closers.push(() => listener.close());
  await once(listener, 'listening');
  const secured = once(listener, 'secureConnection') as Promise<[TLSSocket]>;
  const tcp = connectTcp((listener.address() as AddressInfo).port, '127.0.0.1');
  const far = connect({ socket: tcp, ca: cert });
  const [near] = await secured;
  closers.push(
    () => near.destroy(),
    () => far.destroy(),
  );
  return { near, far, tcp };
}

function writesOf(socket: TLSSocket): TlsWrites {
  const writes = tlsWritesOf(socket);
  if (writes === undefined) throw new Error('no direct I/O');
  return writes;
}

async function all(socket: TLSSocket): Promise<string> {
  let got = '';
  socket.setEncoding('latin1');
  for await (const chunk of socket) got += String(chunk);
  return got;
}

/** More than the buffers of the kernel hold. */
const MUCH = 'm'.repeat(20_000_000);

test('whoever asks gets the same writes; there are none without TLS or without direct I/O', async () => {
  const { near, tcp } = await pair();
  expect(tlsWritesOf(near)).toBe(writesOf(near));
  expect(tlsWritesOf(tcp)).toBeUndefined();
  useDirectIo(false);
  expect(tlsWritesOf(near)).toBeUndefined();
  useDirectIo(true);
});

test('one at a time; the next when Node has ended it, and the bytes are free at once', async () => {
  const { near, far } = await pair();
  const writes = writesOf(near);
  const bytes = Buffer.from('one');
  expect(writes.bytes(bytes)).toBe(true);
  bytes.fill('!');
  expect(writes.text('early')).toBe(false);
  await new Promise(setImmediate);
  expect(writes.text('two')).toBe(true);
  await new Promise(setImmediate);
  expect(writes.text('three')).toBe(true);
  near.end();
  expect(await all(far)).toBe('onetwothree');
});

test('a thousand writes in turn need one request', async () => {
  const { near, far } = await pair();
  const writes = writesOf(near);
  const { _handle: handle } = near as TLSSocket & Handled;
  if (handle === undefined || handle === null) throw new Error('no handle');
  const write = vi.spyOn(handle, 'writeLatin1String');
  for (let i = 0; i < 1000; i++) {
    expect(writes.text(`${i} `)).toBe(true);
    await new Promise(setImmediate);
  }
  // The first may come amid what the handshake has left to be written.
  expect(new Set(write.mock.calls.slice(1).map(([request]) => request)).size).toBe(1);
  near.end();
  expect(await all(far)).toBe(Array.from({ length: 1000 }, (_, i) => `${i} `).join(''));
});

test('what waits in the stream goes first, and what is written to the stream waits', async () => {
  const { near, far } = await pair();
  const writes = writesOf(near);
  expect(writes.text('first')).toBe(true);
  near.write('second');
  expect(writes.text('early')).toBe(false);
  near.cork();
  near.write('third');
  near.write('fourth');
  near.uncork();
  near.end('last');
  expect(await all(far)).toBe('firstsecondthirdfourthlast');
});

// What a handshake leaves to be written makes of an empty write one that is under way.
test.each<SecureVersion>(['TLSv1.2', 'TLSv1.3'])('an empty write to the stream is one, too (%s)', async (version) => {
  const options = { cert, key, minVersion: version, maxVersion: version };
  const listener = createServer(options, (near) => {
    closers.push(() => near.destroy());
    const writes = writesOf(near);
    near.write('');
    if (writes.text('early')) near.destroy();
    near.write('');
    near.end('last');
  }).listen(0, '127.0.0.1');
  closers.push(() => listener.close());
  await once(listener, 'listening');
  const far = connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', ca: cert });
  closers.push(() => far.destroy());
  expect(await all(far)).toBe('last');
});

test('outboxes of one connection share its writes', async () => {
  const { near, far } = await pair();
  const blocks = new BlockPool();
  const [one, other] = [new Outbox(near, blocks), new Outbox(near, blocks)];
  for (let i = 0; i < 100; i++) {
    one.text(`${i} `);
    one.flush();
    other.text('and ');
    other.flush();
    if (i % 3 === 0) await new Promise(setImmediate);
  }
  near.end();
  expect(await all(far)).toBe(Array.from({ length: 100 }, (_, i) => `${i} and `).join(''));
});

test('the end waits for more than the kernel takes', async () => {
  const { near, far } = await pair();
  expect(writesOf(near).text(MUCH)).toBe(true);
  near.end();
  const finished = once(near, 'finish');
  expect((await all(far)) === MUCH).toBe(true);
  await finished;
});

test('blocks of an outbox are free again at once, or when the stream has written them', async () => {
  const { near, far } = await pair();
  const blocks = new BlockPool();
  const out = new Outbox(near, blocks);
  const block = blocks.take();
  block.write('0123456789', 'latin1');
  out.block(block, 10);
  expect(blocks.take()).toBe(block);
  block.write('abc', 'latin1');
  out.block(block, 3);
  expect(blocks.take()).not.toBe(block);
  await new Promise<void>((resolve) => near.write('', () => resolve()));
  expect(blocks.take()).toBe(block);
  near.end();
  expect(await all(far)).toBe('0123456789abc');
});

test('not after the end', async () => {
  const { near } = await pair();
  const writes = writesOf(near);
  near.end();
  expect(writes.text('late')).toBe(false);
  near.destroy();
  expect(writes.text('late')).toBe(false);
});

test('a write that is cut off leaves nobody waiting', async () => {
  const { near } = await pair();
  near.on('error', () => undefined);
  expect(writesOf(near).text(MUCH)).toBe(true);
  const outcome = new Promise<unknown>((resolve) => near.write('behind it', resolve));
  near.destroy();
  expect(await outcome).toBeInstanceOf(Error);
});

test.each([
  ['which is not read', false],
  ['for which the stream waits', true],
])('a write to a connection that is broken meanwhile, %s, destroys it', async (_name, waits) => {
  const { near, far, tcp } = await pair();
  readsInto(Buffer.alloc(100))(near, () => false);
  far.write('now it is paused');
  await once(near, 'pause');
  const error = new Promise((resolve) => near.once('error', resolve));
  const writes = writesOf(near);
  expect(writes.text(MUCH)).toBe(true);
  if (waits) near.write('behind it');
  tcp.resetAndDestroy();
  expect(await error).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) as string });
  expect(near.destroyed).toBe(true);
  expect(writes.text('late')).toBe(false);
});

describe.each<SecureVersion>(['TLSv1.2', 'TLSv1.3'])('%s', (version) => {
  test.each([1, 2, 3, 4, 5, 6])('whatever is written by whichever way comes in order (seed %i)', async (seed) => {
    const random = seededRandom(seed);
    const { near, far } = await pair(version);
    const writes = writesOf(near);
    const out = new Outbox(near, new BlockPool());
    const expected: string[] = [];
    const got = all(far);
    for (let i = 0; i < 400; i++) {
      const piece = `${i}${'x'.repeat(Math.floor(random() ** 4 * 200_000))};`;
      expected.push(piece);
      const way = Math.floor(random() * 5);
      const done = way === 0 ? writes.text(piece) : way === 1 && writes.bytes(Buffer.from(piece));
      if (way === 2) out.range(Buffer.from(piece), 0, piece.length);
      else if (way === 3) out.text(piece);
      else if (!done) near.write(piece, 'latin1');
      // What is gathered has to go before anybody else writes.
      if (way === 2 || way === 3) out.flush();
      if (random() < 0.3) await new Promise(setImmediate);
      if (near.writableNeedDrain && random() < 0.5) await once(near, 'drain');
    }
    near.end();
    expect((await got) === expected.join('')).toBe(true);
  });
});
