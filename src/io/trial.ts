/** The trial of direct I/O at start: do servers that use it, with and without TLS, give back what they are sent? */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { latin1 } from '../http1/latin1.ts';
import { READ_BYTES } from '../http1/scan.ts';
import { useDirectIo } from './direct-io.ts';
import { NOT_TRIED, writeDirectly } from './direct-write.ts';
import { readsInto } from './take-reads.ts';
import { tlsWritesOf } from './tls-writes.ts';

const HOST = '127.0.0.1';
const DEADLINE_MS = 1000;
const LISTEN = { pauseOnConnect: true, allowHalfOpen: true };
/** With a key that both know no certificate is needed. */
const TLS = { ciphers: 'PSK+AESGCM', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
const psk = Buffer.alloc(32);

/** From now on sockets are read and written directly, if that works on this Node. False = it does not. */
export async function provesDirectIo(): Promise<boolean> {
  const works = useDirectIo(true) && (await Promise.all([answers(plain), answers(secure)])).every(Boolean);
  if (!works) useDirectIo(false);
  return works;
}

interface Pair {
  readonly serve: () => Server;
  readonly dial: (port: number) => Socket;
}

const owner = { onTextWritten: () => undefined };

const plain: Pair = {
  serve: () =>
    createServer(LISTEN, (socket) => {
      echo(socket, (text) => writeDirectly(socket, text, owner) !== NOT_TRIED);
    }),
  dial: (port) => connect(port, HOST),
};

const secure: Pair = {
  serve: () =>
    createTlsServer({ ...LISTEN, ...TLS, pskCallback: () => psk }, (socket) => {
      echo(socket, (text) => tlsWritesOf(socket)?.text(text) === true);
    }),
  dial: (port) =>
    connectTls({
      ...TLS,
      host: HOST,
      port,
      pskCallback: () => ({ psk, identity: 'trial' }),
      checkServerIdentity: () => undefined,
    }),
};

/** @param write false = not directly */
function echo(socket: Socket, write: (text: string) => boolean): void {
  readsInto(Buffer.allocUnsafeSlow(READ_BYTES))(socket, (length, buffer) => {
    if (!write(latin1(buffer, 0, length))) socket.destroy();
    return true;
  });
  socket.on('error', () => socket.destroy());
  socket.on('end', () => socket.end());
}

/** Sends bytes and the end; false = they did not come back. */
async function answers({ serve, dial }: Pair): Promise<boolean> {
  let server: Server | undefined;
  try {
    server = serve().listen(0, HOST);
    await once(server, 'listening');
    return (await answerOf(dial((server.address() as AddressInfo).port))) === 'ping';
  } catch {
    return false;
  } finally {
    server?.close();
  }
}

async function answerOf(client: Socket): Promise<string> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  let got = '';
  client.on('data', (chunk: Buffer) => (got += chunk.toString('latin1')));
  client.end('ping');
  try {
    await once(client, 'close', { signal });
  } finally {
    client.destroy();
  }
  return got;
}
