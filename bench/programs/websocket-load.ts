/** WebSockets through a proxy, each of which sends a message when it has the answer to the one before. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { FROM_CLIENT, FROM_SERVER } from '../support/websocket.ts';

interface Options {
  readonly port: number;
  readonly cookie: string;
  readonly connections: number;
  readonly seconds: number;
}

const { port, cookie, connections, seconds } = JSON.parse(process.argv[2] ?? '') as Options;
const HANDSHAKE = [
  'GET / HTTP/1.1',
  'Host: bench.test',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  `Cookie: ${cookie}`,
].join('\r\n');
let messages = 0;

async function open(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.setNoDelay(true).write(`${HANDSHAKE}\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  if (!answer.toString('latin1').startsWith('HTTP/1.1 101'))
    throw new Error(`not a WebSocket: ${answer.toString('latin1')}`);
  return socket;
}

function run(socket: Socket): void {
  let received = 0;
  socket.on('data', (data: Buffer) => {
    received += data.length;
    if (received < FROM_SERVER.length) return;
    received -= FROM_SERVER.length;
    messages++;
    socket.write(FROM_CLIENT);
  });
  socket.on('close', () => {
    console.error('a WebSocket was closed');
    process.exit(1);
  });
  socket.write(FROM_CLIENT);
}

const sockets: Socket[] = [];
for (let i = 0; i < connections; i++) sockets.push(await open());
for (const socket of sockets) run(socket);
setTimeout(() => {
  console.log(JSON.stringify({ messages }));
  process.exit();
}, seconds * 1000);
