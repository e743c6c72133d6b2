/** Accepted connections without what Node makes of them. */
import type { Server } from 'node:net';
import { directIo } from './direct-io.ts';
import type { ServerHandle } from './direct-io.ts';
import { TcpSocket } from './tcp-socket.ts';

/**
 * From now on `take` gets what a server accepts, which has to listen already.
 * @returns false = it goes on as it was
 */
export function acceptDirectly(server: Server, take: (accepted: TcpSocket) => void): boolean {
  const io = directIo();
  const handle = (server as { _handle?: ServerHandle | null })._handle;
  const ordinary = handle?.onconnection;
  if (io === undefined || handle === undefined || handle === null || ordinary === undefined) return false;
  handle.onconnection = (status, accepted) => {
    if (accepted === undefined) ordinary.call(handle, status);
    else take(new TcpSocket(io, accepted));
  };
  return true;
}
