/** Sockets that read into a shared buffer: accepted ones and those of TLS, directly and by events. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { useDirectIo } from '../../../src/io/direct-io.ts';
import { READ_BYTES } from '../../../src/http1/scan.ts';
import { poisoning, readsInto } from '../../../src/io/take-reads.ts';
import { provesDirectIo } from '../../../src/io/trial.ts';
import { selfSigned } from '../../support/certificate.ts';

afterAll(() => useDirectIo(false));

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const { cert, key } = selfSigned('reads.test');

const transports = {
  TCP: {
    listen: () => createServer({ pauseOnConnect: true, allowHalfOpen: true }),
    event: 'connection',
    secure: (tcp: Socket): Socket => tcp,
  },
  TLS: {
    listen: () => createTlsServer({ cert, key, allowHalfOpen: true }),
    event: 'secureConnection',
    secure: (socket: Socket): Socket => connectTls({ socket, rejectUnauthorized: false }),
  },
};

interface Reading {
  readonly client: Socket;
  /** What can be reset: `client`, or the one beneath it. */
  readonly tcp: Socket;
  readonly server: Socket;
  readonly text: () => string;
  /** Something more has been read. */
  readonly got: () => Promise<unknown>;
}

/** A connection whose server collects what it reads; `reading` decides whether to go on. */
async function connection(
  { listen, event, secure }: (typeof transports)['TCP'],
  reading: () => boolean,
  quiet = false,
): Promise<Reading> {
  const listener: Server = listen().listen(0, '127.0.0.1');
  closers.push(() => listener.close());
  await once(listener, 'listening');
  const { promise, resolve } = Promise.withResolvers<Socket>();
  let text = '';
  let wake = (): void => undefined;
  listener.once(event, (socket: Socket) => {
    readsInto(Buffer.alloc(READ_BYTES), quiet)(
      socket,
      poisoning((length, buffer) => {
        text += buffer.toString('latin1', 0, length);
        wake();
        return reading();
      }),
    );
    resolve(socket);
  });
  const tcp = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  const client = secure(tcp);
  const server = await promise;
  closers.push(
    () => client.destroy(),
    () => server.destroy(),
  );
  return { client, tcp, server, text: () => text, got: () => new Promise<void>((resolve) => (wake = resolve)) };
}

test('direct I/O works on this Node', async () => {
  expect(await provesDirectIo()).toBe(true);
});

describe.each([
  ['directly', true],
  ['by events', false],
])('%s', (_way, wished) => {
  beforeAll(() => {
    expect(useDirectIo(wished)).toBe(wished);
  });

  describe.each(Object.entries(transports))('%s', (_name, transport) => {
    test('pauses when told to, resumes, knows its peer, sees FIN, can still answer', async () => {
      let goOn = false;
      const { client, server, text, got } = await connection(transport, () => goOn);
      expect(server.remoteAddress).toBe('127.0.0.1');
      const first = got();
      client.write('one');
      await first;
      expect(text()).toBe('one');
      expect(server.isPaused()).toBe(true);
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

    test('reads nothing while it is paused, and all of it later', async () => {
      const { client, server, text } = await connection(transport, () => true);
      server.pause();
      const much = 'x'.repeat(20_000_000);
      client.end(much);
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
      expect(text()).toBe('');
      server.resume();
      await once(server, 'end');
      expect(text()).toBe(much);
    });

    test.each([false, true])('a connection that is reset is closed; quietly: %s', async (quiet) => {
      const { client, tcp, server, got } = await connection(transport, () => true, quiet);
      const codes: unknown[] = [];
      server.on('error', ({ code }: NodeJS.ErrnoException) => codes.push(code));
      client.on('error', () => undefined);
      const read = got();
      client.write('one');
      await read;
      const closed = new Promise((resolve) => server.once('close', resolve));
      tcp.resetAndDestroy();
      await closed;
      expect(codes).toEqual(quiet && wished ? [] : ['ECONNRESET']);
    });
  });
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
