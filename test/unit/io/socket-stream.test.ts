/** Two sockets whose streams are piped into each other: all bytes in order, straight through or not, and a slow reader stops the sender. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { BlockPool } from '../../../src/io/block-pool.ts';
import { SocketStream } from '../../../src/io/socket-stream.ts';
import { READ_BYTES } from '../../../src/http1/scan.ts';
import { readsInto } from '../../../src/io/take-reads.ts';
import { eventually } from '../../support/eventually.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function pair(): Promise<{ near: Socket; far: Socket }> {
  const listener = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(0, '127.0.0.1');
  closers.push(() => listener.close());
  await once(listener, 'listening');
  const accepted = once(listener, 'connection') as Promise<[Socket]>;
  const far = connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  const [near] = await accepted;
  closers.push(
    () => near.destroy(),
    () => far.destroy(),
  );
  return { near, far };
}

/** What client and endpoint have in their hands, with our two streams in between. */
async function tunnel(): Promise<{ client: Socket; endpoint: Socket; streams: SocketStream[]; seen: number[] }> {
  const sides = [await pair(), await pair()];
  const blocks = new BlockPool();
  const seen: number[] = [];
  const streams = sides.map(({ near }) => {
    const stream = new SocketStream(near, blocks, (_, length) => seen.push(length));
    near.on('end', () => stream.feedEnd());
    near.on('error', () => near.destroy());
    stream.on('error', () => near.destroy());
    return stream;
  });
  for (const [i, { near }] of sides.entries())
    readsInto(Buffer.alloc(READ_BYTES))(near, (length, buffer) => streams[i]?.feed(length, buffer) === true);
  const [one, other] = streams;
  if (one === undefined || other === undefined) throw new Error('there are two');
  one.pipe(other).pipe(one);
  one.passTo(other);
  other.passTo(one);
  const [client, endpoint] = sides.map(({ far }) => far);
  if (client === undefined || endpoint === undefined) throw new Error('there are two');
  return { client, endpoint, streams, seen };
}

async function textOf(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1');
  for await (const chunk of socket) text += String(chunk);
  return text;
}

/** Pieces of many sizes, each of its own letter. */
const PIECES = Array.from({ length: 200 }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat((i * 7919) % 40_000));

test('all bytes in order, both ways, with the end', async () => {
  const { client, endpoint, seen } = await tunnel();
  const [there, back] = [textOf(endpoint), textOf(client)];
  for (const piece of PIECES) {
    client.write(piece);
    endpoint.write(piece);
    if (piece.length % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  client.end('bye');
  endpoint.end('bye');
  const all = `${PIECES.join('')}bye`;
  expect((await there) === all).toBe(true);
  expect((await back) === all).toBe(true);
  expect(seen.reduce((sum, length) => sum + length, 0)).toBe(2 * all.length);
});

test('a reader that stops stops the sender, and gets everything when it goes on', async () => {
  const { client, endpoint } = await tunnel();
  endpoint.pause();
  const much = 'x'.repeat(50_000_000);
  client.end(much);
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(client.writableFinished).toBe(false);
  expect((await textOf(endpoint)) === much).toBe(true);
});

test('what waits in the streams goes first, and nothing goes past them once that is taken back', async () => {
  const { client, endpoint, streams } = await tunnel();
  const [one, other] = streams;
  if (one === undefined || other === undefined) throw new Error('there are two');
  one.passTo(undefined);
  other.cork();
  client.write('first ');
  await eventually(() => other.writableLength === 6);
  one.passTo(other);
  client.write('second ');
  await eventually(() => other.writableLength === 13);
  let got = '';
  endpoint.on('data', (chunk: Buffer) => (got += chunk.toString()));
  other.uncork();
  await eventually(() => got === 'first second ');
  client.write('third');
  await eventually(() => got === 'first second third');
  one.unpipe();
  one.passTo(undefined);
  client.write('fourth');
  await eventually(() => one.readableLength === 6);
  expect(got).toBe('first second third');
});
