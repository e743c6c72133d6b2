/**
 * Sockets that read into one shared buffer: no allocation and no stream machinery per read. Node has that (`onread`) for
 * sockets that it makes itself, not for accepted ones nor for TLS; where direct I/O does not work, `data` events do.
 */
import type { Socket } from 'node:net';
import { directIo, UV_EOF } from './direct-io.ts';
import type { DirectIo, Handle, Handled } from './direct-io.ts';
import { TcpSocket } from './tcp-socket.ts';

const POISON = 0xdb;

/** Called with `length` bytes at the start of `buffer`, valid only during the call. False = pause reading. */
export type ReadHandler = (length: number, buffer: Buffer) => boolean;

/**
 * Hands what a connection reads to `onRead`: not before the caller is back, and what has been read and put back first. What
 * it returns ends that of a paused connection, for somebody else to take its reads, or TLS.
 */
export type TakeReads = (socket: Socket | TcpSocket, onRead: ReadHandler) => () => void;

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

export function poisoned(takeReads: TakeReads): TakeReads {
  return (socket, onRead) => takeReads(socket, poisoning(onRead));
}

/**
 * Reads into `buffer`, where that works.
 * @param quiet a connection that the other side has broken is closed, and no `error` says so: clients often end theirs like
 *   this, and an error with its stack is a sixth of what Node itself does for a connection over TLS
 */
export function readsInto(buffer: Buffer, quiet = false): TakeReads {
  return (socket, onRead) => {
    if (socket instanceof TcpSocket) return socket.read(buffer, onRead);
    const io = directIo();
    const release = io === undefined ? undefined : readDirectly(io, socket, buffer, onRead, quiet);
    return release ?? readByEvents(socket, onRead);
  };
}

function readByEvents(socket: Socket, onRead: ReadHandler): () => void {
  const onData = (chunk: Buffer): void => {
    if (!onRead(chunk.length, chunk)) socket.pause();
  };
  socket.on('data', onData).resume();
  return () => void socket.off('data', onData);
}

/** undefined = the socket has no handle. */
function readDirectly(
  io: DirectIo,
  socket: Handled,
  buffer: Buffer,
  onRead: ReadHandler,
  quiet: boolean,
): (() => void) | undefined {
  const handle = socket._handle;
  if (handle === undefined || handle === null) return undefined;
  const { streamBaseState, kReadBytesOrError, kBuffer } = io;
  const ordinary = handle.onread;
  const early: unknown = socket.readableLength > 0 ? socket.read() : undefined;
  handle.useUserBuffer(buffer);
  Reflect.set(socket, kBuffer, buffer);
  const reading = function (this: Handle, chunk?: ArrayBuffer): void {
    const length = streamBaseState[kReadBytesOrError] ?? 0;
    if (quiet && length < 0 && length !== UV_EOF) socket.destroy();
    // The end and errors are for the socket.
    else if (length <= 0) ordinary.call(this, chunk);
    // Records of TLS that came together are read together, whatever became of the socket at the first.
    else if (!socket.destroyed && !onRead(length, buffer)) socket.pause();
  };
  handle.onread = reading;
  socket.resume();
  if (early instanceof Buffer) {
    queueMicrotask(() => {
      if (!onRead(early.length, early)) socket.pause();
    });
  }
  return () => {
    if (handle.onread === reading) handle.onread = endsOnly(io, ordinary);
  };
}

/** For a socket that nobody reads. The reader that it had, and all that it knows, would live as long as the socket otherwise. */
function endsOnly({ streamBaseState, kReadBytesOrError }: DirectIo, ordinary: Handle['onread']): Handle['onread'] {
  return function (this: Handle, chunk) {
    if ((streamBaseState[kReadBytesOrError] ?? 0) <= 0) ordinary.call(this, chunk);
  };
}
