/** node:http2 as an oracle on both sides: what it sends we read as it was meant, and it reads what we send. */
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ClientConnection } from '../../src/http2/client.ts';
import type { Connection, ConnectionEvents } from '../../src/http2/connection.ts';
import type { Http2Error } from '../../src/http2/error.ts';
import { DEFAULT_LIMITS } from '../../src/http2/limits.ts';
import { ServerConnection } from '../../src/http2/server.ts';
import type { ClientStream, ServerStream, Stream } from '../../src/http2/stream.ts';
import { seededRandom } from '../support/random.ts';

type Pair = [name: string, value: string];

/** What came on a stream, and what is still to be sent on it. */
interface Message {
  head: string;
  body: Buffer[];
  trailers: string;
  rest: Buffer;
  restTrailers: string;
  done: () => void;
}

const faults: Http2Error[] = [];

function message(rest: Buffer = Buffer.alloc(0), restTrailers = ''): Message {
  return { head: '', body: [], trailers: '', rest, restTrailers, done: () => undefined };
}

const own = (stream: Stream): Message => stream.owner as Message;

/** Sends what the windows let through. */
function pump<S extends Stream>(connection: Connection<S>, stream: S): void {
  const mine = own(stream);
  const sent = connection.send(stream, mine.rest, 0, mine.rest.length, mine.restTrailers === '');
  if (sent < mine.rest.length) mine.rest = mine.rest.subarray(sent);
  else if (mine.restTrailers !== '') connection.end(stream, mine.restTrailers);
}

/** Wires a connection to a socket. `turn`: whoever writes calls it behind. */
function attach<S extends Stream>(socket: Socket, make: (events: ConnectionEvents<S>) => Connection<S>): () => void {
  const connection: Connection<S> = make({
    take: () => Buffer.allocUnsafe(17 * 1024),
    onWrite: (block, length) => socket.write(block.subarray(0, length)),
    onData(stream, buffer, start, end) {
      own(stream).body.push(Buffer.from(buffer.subarray(start, end)));
      connection.consumed(stream, end - start);
    },
    onTrailers: (stream, lines) => (own(stream).trailers = lines),
    onEnd: (stream) => own(stream).done(),
    onReset: () => undefined,
    onStrayFault: () => undefined,
    onWritable: (stream) => pump(connection, stream),
    onGoaway: () => undefined,
    onError(fault) {
      faults.push(fault);
      socket.destroySoon();
    },
  });
  socket.on('data', (chunk: Buffer) => {
    connection.execute(chunk, 0, chunk.length);
    chunk.fill(0x5a);
    connection.flush();
  });
  socket.on('error', () => socket.destroy());
  socket.setNoDelay(true);
  connection.flush();
  return () => connection.flush();
}

const random = seededRandom(9113);
const pick = <T>(...from: T[]): T => from[Math.floor(random() * from.length)]!;
const NAMES = ['x-a', 'x-b', 'accept', 'user-agent', 'etag', 'x-request-id', 'referer', 'authorization', 'via'];

function value(): string {
  const length = pick(0, 1, 5, 20, 20, 90, 400);
  const chars = Array.from({ length }, () => String.fromCharCode(33 + Math.floor(random() * 94)));
  return pick('same', 'another', chars.join(''));
}

/** Fields of distinct names: node:http2 joins others. */
function fields(): Pair[] {
  return NAMES.filter(() => random() < 0.6).map((name): Pair => [name, value()]);
}

const lines = (pairs: readonly Pair[]): string => pairs.map(([name, text]) => `${name}: ${text}\r\n`).join('');
const linesOf = (head: string): string => head.slice(head.indexOf('\r\n') + 2, -2);

afterAll(() => expect(faults).toEqual([]));

describe('node:http2 as the client', () => {
  let session: http2.ClientHttp2Session;
  const seen = new Map<string, Message>();
  const answers = new Map<string, { fields: Pair[]; status: string; body: Buffer; trailers: string }>();
  const server = net.createServer((socket) => {
    attach<ServerStream>(socket, (events) => {
      const connection = new ServerConnection(
        {
          ...events,
          onHead(stream) {
            const answer = answers.get(stream.head.target)!;
            const mine = message(answer.body, answer.trailers);
            mine.head = stream.head.text;
            mine.done = () => {
              connection.respond(stream, `HTTP/1.1 ${answer.status} X\r\n${lines(answer.fields)}\r\n`, false);
              pump(connection, stream);
            };
            seen.set(stream.head.target, mine);
            stream.owner = mine;
          },
          onRefused: () => undefined,
        },
        { ...DEFAULT_LIMITS, streamWindow: 65_535, connectionWindow: 65_535 },
        () => 0,
      );
      return connection;
    });
  });

  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await once(session, 'connect');
  });

  afterAll(async () => {
    session.destroy();
    server.close();
    await once(server, 'close');
  });

  async function ask(n: number): Promise<void> {
    const sent = fields();
    const body = Buffer.alloc(pick(0, 1, 1000, 70_000), `${n}`);
    const answer = {
      fields: fields(),
      status: pick('200', '404', '201'),
      body: Buffer.alloc(pick(0, 9, 200_000), 'r'),
      trailers: pick('', 'x-sum: 1\r\n'),
    };
    answers.set(`/${n}`, answer);
    const request = session.request({
      ':method': 'POST',
      ':path': `/${n}`,
      cookie: ['a=1', `b=${n}`],
      ...Object.fromEntries(sent),
    });
    request.end(body);
    let trailers = '';
    let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
    request.on('response', (got) => (head = got));
    request.on('trailers', (got: http2.IncomingHttpHeaders) => (trailers = `x-sum: ${String(got['x-sum'])}\r\n`));
    const got: Buffer[] = [];
    for await (const part of request) got.push(part as Buffer);
    const mine = seen.get(`/${n}`)!;
    const authority = `Host: 127.0.0.1:${(server.address() as AddressInfo).port}\r\n`;
    expect(linesOf(mine.head)).toBe(`${authority}${lines(sent)}cookie: a=1; b=${n}\r\n`);
    expect(Buffer.concat(mine.body).equals(body)).toBe(true);
    expect(head[':status']).toBe(Number(answer.status));
    const plain = Object.entries(head).filter(([name]) => !name.startsWith(':') && name !== 'date');
    expect(plain).toEqual(answer.fields);
    expect(Buffer.concat(got).equals(answer.body)).toBe(true);
    expect(trailers).toBe(answer.trailers);
  }

  test('200 requests one after another: the tables of both sides stay the same', async () => {
    for (let n = 0; n < 200; n++) await ask(n);
  });

  test('100 requests at once, through windows of 64 KiB', async () => {
    await Promise.all(Array.from({ length: 100 }, (_, n) => ask(1000 + n)));
  });
});

describe('node:http2 as the server', () => {
  const server = http2.createServer({ settings: { initialWindowSize: 70_000 } });
  let connection: ClientConnection;
  let socket: Socket;
  let turn: () => void;
  const answers = new Map<string, { fields: Pair[]; body: Buffer; trailers: string }>();
  const seen = new Map<string, { raw: string[]; body: Buffer }>();

  beforeAll(async () => {
    server.on(
      'stream',
      (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, _flags: number, raw?: string[]) => {
        const path = headers[':path'] ?? '';
        const answer = answers.get(path)!;
        const parts: Buffer[] = [];
        stream.on('data', (part: Buffer) => parts.push(part));
        stream.on('end', () => {
          seen.set(path, { raw: raw ?? [], body: Buffer.concat(parts) });
          stream.additionalHeaders({ ':status': 103, link: '</x>' });
          stream.respond({ ':status': 200, ...Object.fromEntries(answer.fields) }, {
            waitForTrailers: answer.trailers !== '',
            sendDate: false,
          } as http2.ServerStreamResponseOptions);
          stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }));
          stream.end(answer.body);
        });
      },
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    socket = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    turn = attach<ClientStream>(socket, (events) => {
      connection = new ClientConnection(
        { ...events, onInterim: () => undefined, onHead: (stream) => (own(stream).head = stream.head.text) },
        DEFAULT_LIMITS,
        () => 0,
      );
      return connection;
    });
  });

  afterAll(async () => {
    socket.destroy();
    server.close();
    await once(server, 'close');
  });

  async function ask(n: number): Promise<void> {
    const sent = fields();
    const answer = {
      fields: fields(),
      body: Buffer.alloc(pick(0, 9, 500_000), 'r'),
      trailers: pick('', 'x-sum: 1\r\n'),
    };
    answers.set(`/${n}`, answer);
    const body = Buffer.alloc(pick(0, 1, 200_000), `${n}`);
    const mine = message(body);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    mine.done = () => resolve(undefined);
    const text = `POST /${n} HTTP/1.1\r\n${lines(sent)}Host: a.example\r\nConnection: close\r\n\r\n`;
    const stream = connection.request(text, 'http', false);
    stream.owner = mine;
    pump(connection, stream);
    turn();
    await promise;
    const got = seen.get(`/${n}`)!;
    expect(got.raw.slice(0, 8)).toEqual([
      ':method',
      'POST',
      ':scheme',
      'http',
      ':path',
      `/${n}`,
      ':authority',
      'a.example',
    ]);
    expect(got.raw.slice(8)).toEqual(sent.flat());
    expect(got.body.equals(body)).toBe(true);
    expect(mine.head).toBe(`HTTP/1.1 200 \r\n${lines(answer.fields)}\r\n`);
    expect(Buffer.concat(mine.body).equals(answer.body)).toBe(true);
    expect(mine.trailers).toBe(answer.trailers);
  }

  test('200 requests one after another', async () => {
    for (let n = 0; n < 200; n++) await ask(n);
  });

  test('50 requests at once', async () => {
    await Promise.all(Array.from({ length: 50 }, (_, n) => ask(1000 + n)));
  });
});
