/** Accepted sockets that read into a shared buffer. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { chooseAdopt, poisoning, READ_BYTES, withDataEvents } from '../../../src/io/adopt.ts';
import type { Adopt } from '../../../src/io/adopt.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** An adopted connection that collects what it reads; `reading` decides whether to go on. */
async function connection(
  adopt: Adopt,
  reading: () => boolean,
): Promise<{ client: Socket; server: Socket; text: () => string; got: () => Promise<unknown> }> {
  const listener = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(0, '127.0.0.1');
  closers.push(() => listener.close());
  await once(listener, 'listening');
  const accepted = once(listener, 'connection') as Promise<[Socket]>;
  const client = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  let text = '';
  let wake = (): void => undefined;
  const server = adopt((await accepted)[0], (length, buffer) => {
    text += buffer.toString('latin1', 0, length);
    wake();
    return reading();
  });
  closers.push(
    () => client.destroy(),
    () => server.destroy(),
  );
  return { client, server, text: () => text, got: () => new Promise<void>((resolve) => (wake = resolve)) };
}

test('the fast way works on this Node', async () => {
  expect(await chooseAdopt(Buffer.alloc(READ_BYTES))).not.toBe(withDataEvents);
});

test.each([
  ['re-wrapped', async () => await chooseAdopt(Buffer.alloc(READ_BYTES))],
  ['with data events', async () => await Promise.resolve(withDataEvents)],
])('%s: pauses when told to, resumes, knows its peer, sees FIN, can still answer', async (_name, make) => {
  let goOn = false;
  const { client, server, text, got } = await connection(await make(), () => goOn);
  expect(server.remoteAddress).toBe('127.0.0.1');
  const first = got();
  client.write('one');
  await first;
  expect(text()).toBe('one');
  goOn = true;
  const second = got();
  client.write('two');
  server.resume();
  await second;
  expect(text()).toBe('onetwo');
  client.end();
  await once(server, 'end');
  server.end('bye');
  const [answer] = (await once(client, 'data')) as [Buffer];
  expect(answer.toString()).toBe('bye');
});

test('poisoning overwrites what was read, after its handler', () => {
  const buffer = Buffer.from('secret and more');
  let seen = '';
  const read = poisoning((length, bytes) => {
    seen = bytes.toString('latin1', 0, length);
    return false;
  });
  expect(read(6, buffer)).toBe(false);
  expect(seen).toBe('secret');
  expect(buffer.toString('latin1', 6)).toBe(' and more');
  expect(buffer.subarray(0, 6).every((byte) => byte === 0xdb)).toBe(true);
});
