/** No peer may have all connections of a server: the kubelet's probes must get through whatever others do. */
import type { Server, Socket } from 'node:net';

/** Connections of one address beyond `most` at a time are closed at once. */
export function limitPerPeer(server: Server, most: number): void {
  const open = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const peer = socket.remoteAddress ?? '';
    const count = open.get(peer) ?? 0;
    if (count >= most) {
      socket.destroy();
      return;
    }
    open.set(peer, count + 1);
    socket.once('close', () => {
      const left = (open.get(peer) ?? 1) - 1;
      if (left === 0) open.delete(peer);
      else open.set(peer, left);
    });
  });
}
