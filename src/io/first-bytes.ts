/** Reads what an accepted connection begins with, before whoever serves it gets it. */
import type { Socket } from 'node:net';
import type { TakeReads } from './take-reads.ts';

/** What has been found at the beginning. */
export interface Found {
  /** Bytes that are done with; those behind them are still to be read. */
  readonly length: number;
}

export interface FirstBytes<T extends Found> {
  /** @param bytes all that has come so far, a copy; undefined = more is needed, unless the socket has been destroyed */
  readonly look: (bytes: Buffer) => T | undefined;
  /** The socket is paused again, and what came behind has been put back into it. */
  readonly found: (what: T) => void;
  /** The peer has finished sending, and nothing was found. */
  readonly ended: () => void;
}

/** @param socket paused, and not read from yet */
export function readFirst<T extends Found>(
  socket: Socket,
  takeReads: TakeReads,
  { look, found, ended }: FirstBytes<T>,
): void {
  let seen: Buffer | undefined;
  const release = takeReads(socket, (length, buffer) => {
    const bytes = buffer.subarray(0, length);
    seen = seen === undefined ? Buffer.from(bytes) : Buffer.concat([seen, bytes]);
    const what = look(seen);
    if (what === undefined) return true;
    release();
    socket.off('end', ended).pause();
    if (what.length < seen.length) socket.unshift(seen.subarray(what.length));
    found(what);
    return true;
  });
  socket.on('end', ended);
}
