/**
 * Accepted sockets that read into one shared buffer (`onread`): no allocation and no stream machinery per read, worth
 * 12 % of a request's CPU. `net.Server` has no such option, so an accepted handle is wrapped a second time, through
 * the private `_handle`; `selfTest` proves at start that this works here, else ordinary `data` events are used.
 */
import { createServer, connect, Socket } from 'node:net';
import type { AddressInfo, SocketConstructorOpts } from 'node:net';
import { once } from 'node:events';

/** Size of a shared read buffer. */
export const READ_BYTES = 64 * 1024;
const POISON = 0xdb;
/** Two whole reads may wait for a slow peer before its sender is paused. */
export const WRITE_HIGH_WATER = 128 * 1024;

/** Called with `length` bytes at the start of `buffer`, valid only during the call. False = pause reading. */
export type ReadHandler = (length: number, buffer: Buffer) => boolean;

/** Makes the socket that serves an accepted connection. */
export type Adopt = (accepted: Socket, onRead: ReadHandler) => Socket;

/**
 * Overwrites what was read once its handler has returned. Every read of a connection goes into one shared buffer, so
 * bytes that somebody kept without copying would turn up in another client's data; with this on, tests see it at once.
 */
export function poisoning(onRead: ReadHandler): ReadHandler {
  return (length, buffer) => {
    const more = onRead(length, buffer);
    buffer.fill(POISON, 0, length);
    return more;
  };
}

/** An `Adopt` that re-wraps the handle and reads into `buffer`. Server option needed: `pauseOnConnect`. What has been read and put back comes first. */
function rewrapping(buffer: Buffer): Adopt {
  return (accepted, onRead) => {
    const options: SocketConstructorOpts & { writableHighWaterMark: number } = {
      handle: Reflect.get(accepted, '_handle') as NonNullable<SocketConstructorOpts['handle']>,
      allowHalfOpen: true,
      writableHighWaterMark: WRITE_HIGH_WATER,
      onread: { buffer, callback: (length) => onRead(length, buffer) },
    };
    const early: unknown = accepted.readableLength > 0 ? accepted.read() : undefined;
    const socket = new Socket(options);
    // The accepted wrapper must not touch the handle that now has another owner.
    Reflect.set(accepted, '_handle', null);
    socket.resume();
    // Before the next read, and not before the caller has its socket.
    if (early instanceof Buffer) {
      queueMicrotask(() => {
        if (!onRead(early.length, early)) socket.pause();
      });
    }
    return socket;
  };
}

/** The fallback: the accepted socket itself with `data` events. */
export const withDataEvents: Adopt = (accepted, onRead) => {
  accepted.on('data', (chunk: Buffer) => {
    if (!onRead(chunk.length, chunk)) accepted.pause();
  });
  accepted.resume();
  return accepted;
};

/** Picks the fast way when an echo over it works on this Node, else the ordinary one. */
export async function chooseAdopt(buffer: Buffer): Promise<Adopt> {
  const adopt = rewrapping(buffer);
  return (await selfTest(adopt)) ? adopt : withDataEvents;
}

/** Sends bytes both ways and a FIN through an adopted socket on loopback; false = something of it did not work. */
async function selfTest(adopt: Adopt): Promise<boolean> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  try {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.on('connection', (accepted) => {
      const socket = adopt(accepted, (length, bytes) => socket.write(bytes.toString('latin1', 0, length), 'latin1'));
      socket.on('error', () => socket.destroy());
      socket.on('end', () => socket.end());
    });
    return await echoes((server.address() as AddressInfo).port);
  } catch {
    return false;
  } finally {
    server.close();
  }
}

async function echoes(port: number): Promise<boolean> {
  const client = connect(port, '127.0.0.1');
  const signal = AbortSignal.timeout(1000);
  let got = '';
  client.on('data', (chunk: Buffer) => (got += chunk.toString('latin1')));
  client.end('ping');
  try {
    await once(client, 'close', { signal });
  } finally {
    client.destroy();
  }
  return got === 'ping';
}
