/**
 * Text that goes straight to a socket's handle. `socket.write` passes the queue of a stream and makes a request object
 * for it, in vain where the kernel takes everything at once, as it nearly always does: 9 % of a request's CPU.
 */
import type { Duplex } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import { directIo } from './direct-io.ts';
import type { Handled, WriteRequest } from './direct-io.ts';

export interface DirectWriter {
  onTextWritten(): void;
}

export const WRITTEN = 0;
export const UNDER_WAY = 1;
/** Nothing was done: it has to go through the stream. */
export const NOT_TRIED = 2;

/** For the next write: one that was over at once has left no trace in it. */
let request: WriteRequest | undefined;

/**
 * @param socket of TCP; nothing may be under way that was written directly
 * @param owner hears after `UNDER_WAY` when the kernel has it all, or the socket is gone
 * @returns `WRITTEN`, `UNDER_WAY` or `NOT_TRIED`; a socket that cannot be written to is destroyed
 */
export function writeDirectly(socket: Handled, text: string, owner: DirectWriter): number {
  const io = directIo();
  const handle = socket._handle;
  if (io === undefined || handle === undefined || handle === null) return NOT_TRIED;
  if (socket.writableLength > 0 || socket.connecting === true || !socket.writable) return NOT_TRIED;
  const mine = (request ??= new io.WriteWrap());
  const status = handle.writeLatin1String(mine, text);
  if (status !== 0) {
    failWrite(socket, status);
    return WRITTEN;
  }
  if (io.streamBaseState[io.kLastWriteWasAsync] === 0) return WRITTEN;
  request = undefined;
  mine.oncomplete = (outcome) => {
    if (outcome < 0) failWrite(socket, outcome);
    owner.onTextWritten();
  };
  return UNDER_WAY;
}

/** @param status number of an error of the system */
export function failWrite(socket: Duplex, status: number): void {
  const code = getSystemErrorName(status);
  socket.destroy(Object.assign(new Error(`write ${code}`), { code }));
}
