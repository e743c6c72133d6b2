/** Text that is written directly: what the kernel does not take at once, order, failures. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { BlockPool } from '../../../src/io/block-pool.ts';
import { useDirectIo } from '../../../src/io/direct-io.ts';
import { NOT_TRIED, UNDER_WAY, writeDirectly, WRITTEN } from '../../../src/io/direct-write.ts';
import { Outbox } from '../../../src/io/outbox.ts';

const closers: (() => void)[] = [];
beforeAll(() => void useDirectIo(true));
afterAll(() => useDirectIo(false));
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function pair(): Promise<{ near: Socket; far: Socket }> {
  const listener = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  closers.push(() => listener.close());
  await once(listener, 'listening');
  const accepted = once(listener, 'connection') as Promise<[Socket]>;
  const near = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  const [far] = await accepted;
  await once(near, 'connect');
  closers.push(
    () => near.destroy(),
    () => far.destroy(),
  );
  return { near, far };
}

/** More than the buffers of the kernel hold. */
const MUCH = 'm'.repeat(50_000_000);
const nobody = { onTextWritten: () => undefined };

test('what the kernel takes at once is written, and the rest is told of when it is', async () => {
  const { near, far } = await pair();
  const done = Promise.withResolvers<undefined>();
  expect(writeDirectly(near, 'one', nobody)).toBe(WRITTEN);
  expect(writeDirectly(near, MUCH, { onTextWritten: () => done.resolve(undefined) })).toBe(UNDER_WAY);
  far.resume();
  await done.promise;
  expect(writeDirectly(near, 'two', nobody)).toBe(WRITTEN);
});

test('an outbox keeps the order when what it wrote directly is still under way', async () => {
  const { near, far } = await pair();
  const out = new Outbox(near, new BlockPool());
  const pieces = ['first', MUCH, 'text behind it', 'b'.repeat(100_000), 'and the last'];
  for (const piece of pieces) {
    if (piece.length === 100_000) out.range(Buffer.from(piece), 0, piece.length);
    else out.text(piece);
    out.flush();
  }
  near.end();
  let got = '';
  far.setEncoding('latin1');
  for await (const chunk of far) got += String(chunk);
  expect(got === pieces.join('')).toBe(true);
});

test('what waits in the stream goes first', async () => {
  const { near } = await pair();
  near.write(MUCH);
  expect(writeDirectly(near, 'text', nobody)).toBe(NOT_TRIED);
});

test('not before the connection is there, not after its end', async () => {
  const listener = createServer().listen(0, '127.0.0.1');
  closers.push(() => listener.close());
  await once(listener, 'listening');
  const socket = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  closers.push(() => socket.destroy());
  expect(writeDirectly(socket, 'text', nobody)).toBe(NOT_TRIED);
  await once(socket, 'connect');
  socket.end();
  expect(writeDirectly(socket, 'text', nobody)).toBe(NOT_TRIED);
  socket.destroy();
  expect(writeDirectly(socket, 'text', nobody)).toBe(NOT_TRIED);
});

test('a peer that has gone destroys the socket, also while a write is under way', async () => {
  const { near, far } = await pair();
  const done = Promise.withResolvers<undefined>();
  const failed = once(near, 'error') as Promise<[NodeJS.ErrnoException]>;
  expect(writeDirectly(near, MUCH, { onTextWritten: () => done.resolve(undefined) })).toBe(UNDER_WAY);
  far.resetAndDestroy();
  await done.promise;
  expect((await failed)[0].code).toMatch(/^(EPIPE|ECONNRESET)$/);
  expect(near.destroyed).toBe(true);
});
