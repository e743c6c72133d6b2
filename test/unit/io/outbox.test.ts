/** Gathering output: order, copies, recycled blocks. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { BlockPool } from '../../../src/io/block-pool.ts';
import { Outbox } from '../../../src/io/outbox.ts';
import { Turn } from '../../../src/io/turn.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function pair(): Promise<{ near: Socket; far: Socket }> {
  const listener = createServer().listen(0, '127.0.0.1');
  closers.push(() => listener.close());
  await once(listener, 'listening');
  const accepted = once(listener, 'connection') as Promise<[Socket]>;
  const near = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  const [far] = await accepted;
  closers.push(
    () => near.destroy(),
    () => far.destroy(),
  );
  return { near, far };
}

test('text and ranges come out in order, and the source may be overwritten at once', async () => {
  const { near, far } = await pair();
  const blocks = new BlockPool();
  const out = new Outbox(near, blocks);
  const source = Buffer.alloc(200_000, 'x');
  const pieces: string[] = [];
  for (const [i, size] of [10, 5000, 4096, 4097, 150_000, 1, 65_536].entries()) {
    const letter = String.fromCharCode(97 + i);
    source.fill(letter);
    out.text(`<${i}>`);
    out.range(source, 0, size);
    pieces.push(`<${i}>`, letter.repeat(size));
  }
  source.fill('!');
  out.flush();
  near.end();
  let got = '';
  far.setEncoding('latin1');
  for await (const chunk of far) got += String(chunk);
  expect(got).toBe(pieces.join(''));
  expect(out.bytes).toBe(got.length);
});

test('blocks come back once they are written', async () => {
  const { near, far } = await pair();
  far.resume();
  const taken: Buffer[] = [];
  const given: Buffer[] = [];
  class Watched extends BlockPool {
    override take(): Buffer {
      const block = super.take();
      taken.push(block);
      return block;
    }

    override give(block: Buffer): void {
      given.push(block);
      super.give(block);
    }
  }
  const out = new Outbox(near, new Watched());
  for (let i = 0; i < 5; i++) out.range(Buffer.alloc(60_000), 0, 60_000);
  expect(taken).toHaveLength(5);
  near.end();
  await once(near, 'close');
  expect(given).toEqual(taken);
});

test('text waits for the end of the turn, or for whoever ends the socket', async () => {
  const { near, far } = await pair();
  const out = new Outbox(near, new BlockPool());
  const turn = new Turn();
  out.text('one ');
  expect(out.flushIn(turn)).toBe(true);
  expect(out).toMatchObject({ bytes: 4, isEmpty: false });
  out.text('two ');
  out.flushIn(turn);
  await new Promise((resolve) => setImmediate(resolve));
  expect(out).toMatchObject({ bytes: 8, isEmpty: true });
  out.text('three');
  out.flushIn(turn);
  out.flush();
  expect(out).toMatchObject({ bytes: 13, isEmpty: true });
  const much = 'x'.repeat(5000);
  out.text(much);
  out.flushIn(turn);
  expect(out.isEmpty).toBe(true);
  near.end();
  let got = '';
  for await (const chunk of far) got += String(chunk);
  expect(got).toBe(`one two three${much}`);
});
