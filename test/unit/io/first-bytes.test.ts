/** What a connection begins with, read before it is adopted: what is behind arrives whole, whichever way it is read. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { useDirectIo } from '../../../src/io/direct-io.ts';
import { readFirst } from '../../../src/io/first-bytes.ts';
import type { Found } from '../../../src/io/first-bytes.ts';
import { READ_BYTES } from '../../../src/http1/scan.ts';
import { collectGarbage } from '../../../src/shared/v8.ts';
import { poisoned, readsInto } from '../../../src/io/take-reads.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const START = '<first>';

async function pair(): Promise<[client: Socket, accepted: Socket]> {
  const listener = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(0, '127.0.0.1');
  closers.push(() => listener.close());
  await once(listener, 'listening');
  const accepting = once(listener, 'connection') as Promise<[Socket]>;
  const client = connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true });
  const [accepted] = await accepting;
  closers.push(
    () => client.destroy(),
    () => accepted.destroy(),
  );
  return [client, accepted];
}

const untilBracket = (bytes: Buffer): Found | undefined => {
  const at = bytes.indexOf('>');
  return at < 0 ? undefined : { length: at + 1 };
};

const takeReads = poisoned(readsInto(Buffer.alloc(READ_BYTES)));

afterAll(() => useDirectIo(false));

describe.each([
  ['directly', true],
  ['by events', false],
])('%s', (_way, wished) => {
  beforeAll(() => {
    expect(useDirectIo(wished)).toBe(wished);
  });

  test.each([
    ['alone', [START, 'rest']],
    ['together', [`${START}rest`]],
    ['byte by byte', [...`${START}rest`]],
    ['with much behind', [START.slice(0, 3), START.slice(3) + 'x'.repeat(300_000)]],
  ])('%s', async (_what, writes) => {
    const [client, accepted] = await pair();
    let text = '';
    const ended = Promise.withResolvers<undefined>();
    readFirst(accepted, takeReads, {
      look: untilBracket,
      found: () => {
        const read = (length: number, buffer: Buffer) => {
          text += buffer.toString('latin1', 0, length);
          return true;
        };
        takeReads(accepted, read);
        accepted.on('end', () => ended.resolve(undefined));
      },
      ended: () => ended.reject(new Error('nothing was found')),
    });
    for (const bytes of writes) {
      client.write(bytes);
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.end();
    await ended.promise;
    expect(text).toBe(writes.join('').slice(START.length));
  });

  test('who has read the beginning does not live as long as the connection', async () => {
    const [client, accepted] = await pair();
    const found = Promise.withResolvers<undefined>();
    const begin = (): WeakRef<object> => {
      const look = (bytes: Buffer): Found | undefined => untilBracket(bytes);
      readFirst(accepted, takeReads, { look, found: () => found.resolve(undefined), ended: () => undefined });
      return new WeakRef(look);
    };
    const look = begin();
    client.write(`${START}rest`);
    await found.promise;
    expect(await isCollected(look)).toBe(true);
    const text = Promise.withResolvers<string>();
    takeReads(accepted, (length, buffer) => {
      text.resolve(buffer.toString('latin1', 0, length));
      return true;
    });
    expect(await text.promise).toBe('rest');
  });

  test('what is put back can stop the reading', async () => {
    const [client, accepted] = await pair();
    const reads: string[] = [];
    const read = Promise.withResolvers<undefined>();
    readFirst(accepted, takeReads, {
      look: untilBracket,
      found: () => {
        takeReads(accepted, (length, buffer) => {
          reads.push(buffer.toString('latin1', 0, length));
          read.resolve(undefined);
          return false;
        });
      },
      ended: () => undefined,
    });
    client.write(`${START}rest`);
    await read.promise;
    client.write('more');
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(reads).toEqual(['rest']);
  });
});

/** Only in another turn is a WeakRef allowed to be empty. */
async function isCollected(ref: WeakRef<object>): Promise<boolean> {
  for (let tries = 0; tries < 20 && ref.deref() !== undefined; tries++) {
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
  }
  return ref.deref() === undefined;
}

test('a peer that ends without it', async () => {
  const [client, accepted] = await pair();
  const ended = Promise.withResolvers<undefined>();
  readFirst(accepted, takeReads, { look: untilBracket, found: () => undefined, ended: () => ended.resolve(undefined) });
  client.end('<fir');
  await ended.promise;
});
