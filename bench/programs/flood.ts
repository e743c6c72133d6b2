/**
 * Floods a server over TLS with what costs the sender least. What it sends is made beforehand and goes out in pieces, and
 * whoever shares its core comes first: what is measured is the server's work.
 */
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { constants, setPriority } from 'node:os';
import { Duplex } from 'node:stream';
import { setTimeout as after } from 'node:timers/promises';
import { connect } from 'node:tls';
import { encode, frame, headers, ping, PREFACE, reset, settings, T } from '../../test/support/http2-frames.ts';
import type { Fields } from '../../test/support/http2-frames.ts';

export type Flood = 'resets' | 'continuations' | 'pings' | 'half-open' | 'slow-records';

export interface FloodOptions {
  readonly port: number;
  readonly flood: Flood;
  readonly seconds: number;
}

export interface Flooded {
  /** Over so many it was done. */
  readonly connections: number;
}

const { port, flood, seconds } = JSON.parse(process.argv[2] ?? '') as FloodOptions;
/** From one connection that floods by frames to the next. */
const PAUSE_MS = 1000;
/** Bytes written at a time. */
const PIECE = 16_384;
/** Of the floods that are connections. */
const CONNECTIONS = 1000;
/** Something is done to so many of them at a time, so far apart. */
const BATCH = 10;
const BATCH_MS = 10;
/** Bytes of the record that come at once. */
const BEGINNING = 10;
const SECURE = { servername: 'bench.test', ALPNProtocols: ['h2'], rejectUnauthorized: false };
const REQUEST: Fields = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/'],
  [':authority', 'bench.test'],
];

let connections = 0;

function many(count: number, one: (i: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, i) => one(i)));
}

async function open(): Promise<Socket> {
  // Whoever floods does not stop because it is told to.
  const socket = connectTcp({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  socket.on('error', () => socket.destroy());
  await once(socket, 'connect');
  connections++;
  return socket;
}

/** The same frames on one connection after the other. */
async function frames(flooding: Buffer): Promise<void> {
  const bytes = Buffer.concat([PREFACE, settings(), flooding]);
  for (;;) {
    const socket = connect({ socket: await open(), ...SECURE });
    socket.on('error', () => socket.destroy());
    socket.once('secureConnect', () => send(socket, bytes, 0));
    socket.resume();
    await after(PAUSE_MS);
  }
}

function send(socket: Socket, bytes: Buffer, at: number): void {
  if (socket.destroyed || at >= bytes.length) return;
  socket.write(bytes.subarray(at, at + PIECE), () => setImmediate(send, socket, bytes, at + PIECE));
}

/** The first flight of a client that is worth an answer. */
async function clientHello(): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const wire = new Duplex({ read: () => undefined, write: resolve });
  connect({ socket: wire, ...SECURE });
  return await promise;
}

async function openAll(): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < CONNECTIONS) {
    sockets.push(...(await Promise.all(Array.from({ length: BATCH }, open))));
    await after(BATCH_MS);
  }
  for (const socket of sockets) socket.resume();
  return sockets;
}

/** All at once, and nothing behind it. */
async function halfOpen(): Promise<void> {
  const hello = await clientHello();
  for (const socket of await openAll()) socket.write(hello);
}

async function slowRecords(): Promise<void> {
  const hello = await clientHello();
  const sockets = await openAll();
  for (const socket of sockets) socket.write(hello.subarray(0, BEGINNING));
  for (let at = BEGINNING; ; at++) {
    for (let i = 0; i < sockets.length; i += BATCH) {
      for (const socket of sockets.slice(i, i + BATCH)) socket.write(hello.subarray(at, at + 1));
      await after(BATCH_MS);
    }
  }
}

const FLOODS: Readonly<Record<Flood, () => Promise<void>>> = {
  resets: () => frames(many(10_000, (i) => Buffer.concat([headers(2 * i + 1, REQUEST), reset(2 * i + 1)]))),
  continuations: () =>
    frames(Buffer.concat([frame(T.HEADERS, 1, 1, encode(REQUEST)), many(100_000, () => frame(T.CONTINUATION, 0, 1))])),
  pings: () => frames(many(100_000, () => ping())),
  'half-open': halfOpen,
  'slow-records': slowRecords,
};

setPriority(constants.priority.PRIORITY_LOW);
setTimeout(() => {
  console.log(JSON.stringify({ connections } satisfies Flooded));
  process.exit();
}, seconds * 1000);
await FLOODS[flood]();
