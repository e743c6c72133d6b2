/** Backends on three addresses that answer every message of a WebSocket, and any other request with 200. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { FROM_CLIENT, FROM_SERVER } from '../support/websocket.ts';

interface Options {
  readonly port: number;
  readonly addresses: readonly string[];
}

const { port, addresses } = JSON.parse(process.argv[2] ?? '') as Options;
/** RFC 6455, section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

function accept(socket: Duplex, key: string): void {
  const answer = createHash('sha1')
    .update(key + GUID)
    .digest('base64');
  const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
  socket.write(`${[...head, `Sec-WebSocket-Accept: ${answer}`].join('\r\n')}\r\n\r\n`);
  let unanswered = 0;
  socket.on('data', (data: Buffer) => {
    for (unanswered += data.length; unanswered >= FROM_CLIENT.length; unanswered -= FROM_CLIENT.length)
      socket.write(FROM_SERVER);
  });
  socket.on('error', () => socket.destroy());
  socket.on('end', () => socket.end());
}

for (const address of addresses) {
  createServer((_, response) => response.end('ok'))
    .on('upgrade', (request, socket) => accept(socket, request.headers['sec-websocket-key'] ?? ''))
    .listen(port, address);
}
