/** The trial of direct I/O at start: do servers that use it, with and without TLS and streams, give back what they are sent? */
import { EventEmitter, once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { latin1 } from '../http1/latin1.ts';
import { READ_BYTES } from '../http1/scan.ts';
import { acceptDirectly } from './accept.ts';
import { useDirectIo } from './direct-io.ts';
import { NOT_TRIED, writeDirectly } from './direct-write.ts';
import { readsInto } from './take-reads.ts';
import type { TakeReads } from './take-reads.ts';
import { tellOwner } from './tcp-socket.ts';
import { tlsWritesOf } from './tls-writes.ts';

const HOST = '127.0.0.1';
/** Generous: a worker may start with a tenth of a core. */
const DEADLINE_MS = 5000;
const LISTEN = { pauseOnConnect: true, allowHalfOpen: true };
/** With a key that both know no certificate is needed. */
const TLS = { ciphers: 'PSK+AESGCM', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
const psk = Buffer.alloc(32);

/** From now on sockets are read and written directly, if that works on this Node. False = it does not. */
export async function provesDirectIo(): Promise<boolean> {
  const works = useDirectIo(true) && (await Promise.all([plain, bare, secure].map(answers))).every(Boolean);
  if (!works) useDirectIo(false);
  return works;
}

interface Pair {
  /** @param gone the accepted connection is closed */
  readonly serve: (gone: () => void) => Server;
  readonly dial: (port: number) => Socket;
}

const ignore = (): void => undefined;
const owner = { onTextWritten: ignore };

const plain: Pair = {
  serve: (gone) =>
    createServer(LISTEN, (socket) => {
      echo(socket.on('close', gone), (text) => writeDirectly(socket, text, owner) !== NOT_TRIED);
    }),
  dial: (port) => connect(port, HOST),
};

const bare: Pair = {
  serve: (gone) => {
    const server = createServer((socket) => socket.destroy());
    server.once('listening', () => {
      acceptDirectly(server, (socket) => {
        const onEnd = (): void => {
          socket.end();
        };
        tellOwner(socket, { onDrain: ignore, onEnd, onFinish: ignore, onClose: gone });
        readInto(socket, (length, buffer) => {
          if (socket.remoteAddress === HOST) socket.write(latin1(buffer, 0, length));
          return true;
        });
        socket.pause();
        socket.resume();
      });
    });
    return server;
  },
  dial: plain.dial,
};

const secure: Pair = {
  serve: (gone) =>
    createTlsServer({ ...LISTEN, ...TLS, pskCallback: () => psk }, (socket) => {
      echo(socket.on('close', gone), (text) => tlsWritesOf(socket)?.text(text) === true);
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

const readInto: TakeReads = (socket, onRead) => readsInto(Buffer.allocUnsafeSlow(READ_BYTES))(socket, onRead);

/** @param write false = not directly */
function echo(socket: Socket, write: (text: string) => boolean): void {
  readInto(socket, (length, buffer) => {
    if (!write(latin1(buffer, 0, length))) socket.destroy();
    return true;
  });
  socket.on('error', () => socket.destroy());
  socket.on('end', () => socket.end());
}

/** Sends bytes and the end; false = they did not come back, or one side stays open. */
async function answers({ serve, dial }: Pair): Promise<boolean> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const accepted = new EventEmitter();
  let server: Server | undefined;
  try {
    server = serve(() => accepted.emit('close')).listen(0, HOST);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const [answer] = await Promise.all([answerOf(dial(port), signal), once(accepted, 'close', { signal })]);
    return answer === 'ping';
  } catch {
    return false;
  } finally {
    server?.close();
  }
}

async function answerOf(client: Socket, signal: AbortSignal): Promise<string> {
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
