/** Opens connections, has one answer on each, says `open`, and keeps them until it is ended. */
import { once } from 'node:events';
import { connect } from 'node:net';

interface Options {
  readonly port: number;
  readonly cookie: string;
  readonly connections: number;
}

const { port, cookie, connections } = JSON.parse(process.argv[2] ?? '') as Options;
const REQUEST = `GET / HTTP/1.1\r\nHost: bench.test\r\nCookie: ${cookie}\r\n\r\n`;
/** Opened at a time. */
const BATCH = 50;

async function open(): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(REQUEST);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  if (!answer.toString('latin1').startsWith('HTTP/1.1 200'))
    throw new Error(`not an answer: ${answer.toString('latin1')}`);
  socket.on('close', () => {
    console.error('a connection was closed');
    process.exit(1);
  });
}

for (let i = 0; i < connections; i += BATCH) {
  await Promise.all(Array.from({ length: Math.min(BATCH, connections - i) }, open));
}
console.log('open');
