/**
 * Backends on several addresses that answer every gRPC call with the same message, in plain text by prior knowledge. Our own
 * codec takes 6 µs for a call; `node:http2` takes 60, and the proxies would wait more than they work.
 */
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { BACKEND_LIMITS } from '../../src/http2/limits.ts';
import { ServerConnection } from '../../src/http2/server.ts';
import { BlockPool } from '../../src/io/block-pool.ts';
import { Outbox } from '../../src/io/outbox.ts';
import { MESSAGE } from '../support/grpc.ts';

interface Options {
  readonly port: number;
  readonly addresses: readonly string[];
}

const { port, addresses } = JSON.parse(process.argv[2] ?? '') as Options;
const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n\r\n';
const TRAILERS = 'grpc-status: 0\r\n';
const blocks = new BlockPool();

function serve(socket: Socket): void {
  const outbox = new Outbox(socket, blocks);
  const connection: ServerConnection = new ServerConnection(
    {
      take: () => blocks.take(),
      onWrite: (block, length) => outbox.block(block, length),
      onHead: () => undefined,
      onRefused: (stream) => connection.respond(stream, 'HTTP/1.1 400 Bad Request\r\n\r\n', true),
      onData: (stream, _, start, end) => connection.consumed(stream, end - start),
      onTrailers: () => undefined,
      onEnd(stream) {
        connection.respond(stream, HEAD, false);
        const sent = connection.send(stream, MESSAGE, 0, MESSAGE.length, false);
        if (sent < MESSAGE.length) throw new Error('the proxy has no window for a message');
        connection.end(stream, TRAILERS);
      },
      onReset: () => undefined,
      onStrayFault: () => undefined,
      onWritable: () => undefined,
      onGoaway: () => undefined,
      onError: () => socket.end(),
    },
    BACKEND_LIMITS,
    Date.now,
  );
  socket.setNoDelay();
  socket.on('data', (data) => {
    connection.execute(data, 0, data.length);
    connection.flush();
  });
  socket.on('error', () => socket.destroy());
  connection.flush();
}

let listening = 0;
for (const address of addresses) {
  createServer(serve).listen(port, address, () => {
    if (++listening === addresses.length) console.log('listening');
  });
}
