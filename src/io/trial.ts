/** The trial of direct I/O at start: does a server that uses it give back what it is sent? */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { latin1 } from '../http1/latin1.ts';
import { READ_BYTES } from '../http1/scan.ts';
import { useDirectIo } from './direct-io.ts';
import { NOT_TRIED, writeDirectly } from './direct-write.ts';
import { readsInto } from './take-reads.ts';

const DEADLINE_MS = 1000;

/** From now on sockets are read and written directly, if that works on this Node. False = it does not. */
export async function provesDirectIo(): Promise<boolean> {
  const works = useDirectIo(true) && (await echoes());
  if (!works) useDirectIo(false);
  return works;
}

/** Sends bytes and a FIN over loopback; false = they did not come back. */
async function echoes(): Promise<boolean> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, echo);
  try {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (await answerOf((server.address() as AddressInfo).port)) === 'ping';
  } catch {
    return false;
  } finally {
    server.close();
  }
}

function echo(socket: Socket): void {
  const owner = { onTextWritten: () => undefined };
  readsInto(Buffer.allocUnsafeSlow(READ_BYTES))(socket, (length, buffer) => {
    if (writeDirectly(socket, latin1(buffer, 0, length), owner) === NOT_TRIED) socket.destroy();
    return true;
  });
  socket.on('error', () => socket.destroy());
  socket.on('end', () => socket.end());
}

async function answerOf(port: number): Promise<string> {
  const client = connect(port, '127.0.0.1');
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
