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

const DEADLINE_MS = 1000;
const LISTEN = { pauseOnConnect: true, allowHalfOpen: true };
/** With a key that both know no certificate is needed. */
const TLS = { ciphers: 'PSK+AESGCM', maxVersion: 'TLSv1.2' } as const;
const psk = Buffer.alloc(32);

/** From now on sockets are read and written directly, if that works on this Node. False = it does not. */
export async function provesDirectIo(): Promise<boolean> {
  const works = useDirectIo(true) && (await Promise.all([echoes(), echoesTls()])).every(Boolean);
  if (!works) useDirectIo(false);
  return works;
}

function echoes(): Promise<boolean> {
  const owner = { onTextWritten: () => undefined };
  const server = createServer(LISTEN, (socket) => {
    echo(socket, (text) => writeDirectly(socket, text, owner) !== NOT_TRIED);
  });
  return answers(server, (port) => connect(port, '127.0.0.1'));
}

function echoesTls(): Promise<boolean> {
  const server = createTlsServer({ ...LISTEN, ...TLS, pskCallback: () => psk }, (socket) => {
    echo(socket, (text) => tlsWritesOf(socket)?.text(text) === true);
  });
  return answers(server, (port) =>
    connectTls({
      ...TLS,
      host: '127.0.0.1',
      port,
      pskCallback: () => ({ psk, identity: 'trial' }),
      checkServerIdentity: () => undefined,
    }),
  );
}

/** @param write false = not directly */
function echo(socket: Socket, write: (text: string) => boolean): void {
  readsInto(Buffer.allocUnsafeSlow(READ_BYTES))(socket, (length, buffer) => {
    if (!write(latin1(buffer, 0, length))) socket.destroy();
    return true;
  });
  socket.on('error', () => socket.destroy());
  socket.on('end', () => socket.end());
}

/** Sends it bytes and the end; false = they did not come back. */
async function answers(server: Server, dial: (port: number) => Socket): Promise<boolean> {
  try {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (await answerOf(dial((server.address() as AddressInfo).port))) === 'ping';
  } catch {
    return false;
  } finally {
    server.close();
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
