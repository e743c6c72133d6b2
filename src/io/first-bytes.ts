/** Reads what an accepted connection begins with, before whoever serves it gets it. */
import type { Socket } from 'node:net';

/** What has been found at the beginning. */
export interface Found {
  /** Bytes that are done with; those behind them are still to be read. */
  readonly length: number;
}

export interface FirstBytes<T extends Found> {
  /** @param bytes all that has come so far; undefined = more is needed, unless the socket has been destroyed */
  readonly look: (bytes: Buffer) => T | undefined;
  /** The socket is paused again, and what came behind has been put back into it. */
  readonly found: (what: T) => void;
  /** The peer has finished sending, and nothing was found. */
  readonly ended: () => void;
}

/** @param socket paused, and not read from yet */
export function readFirst<T extends Found>(socket: Socket, { look, found, ended }: FirstBytes<T>): void {
  let seen: Buffer | undefined;
  const onData = (chunk: Buffer): void => {
    seen = seen === undefined ? chunk : Buffer.concat([seen, chunk]);
    const what = look(seen);
    if (what === undefined) return;
    socket.off('data', onData).off('end', ended).pause();
    if (what.length < seen.length) socket.unshift(seen.subarray(what.length));
    found(what);
  };
  socket.on('data', onData).on('end', ended).resume();
}
