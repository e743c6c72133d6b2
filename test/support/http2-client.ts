/** A client of HTTP/2 for tests, on Node's own implementation: shares no code with `src`, whose codec it meets. */
import { once } from 'node:events';
import { connect as connectSession, constants } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { connect as secureConnect } from 'node:tls';
import { Preceded } from './wire.ts';
import type { Headers, Message } from './wire.ts';

const DEADLINE = 15_000;

export interface Http2Answer extends Message {
  readonly status: number;
  readonly body: string;
  readonly trailers: Headers;
  readonly interim: readonly Message[];
}

export interface Http2Question {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly headers: Headers;
  /** latin1 */
  readonly body?: string | undefined;
  readonly chunks?: readonly string[] | undefined;
  readonly trailers?: Headers | undefined;
}

/** The stream was reset before it had a whole answer. */
class ResetError extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`the stream was reset: ${code}`);
    this.code = code;
  }
}

export interface Http2Options {
  readonly secure: boolean;
  readonly from?: string | undefined;
  readonly servername?: string;
  /** latin1 that comes before the handshake. */
  readonly before?: string | undefined;
}

export class Http2Client {
  readonly session: ClientHttp2Session;
  readonly #tcp: Socket;
  #ended: 'end' | 'reset' | undefined;

  private constructor(session: ClientHttp2Session, tcp: Socket) {
    this.session = session;
    this.#tcp = tcp;
    session.on('error', () => undefined);
    tcp.on('error', () => (this.#ended ??= 'reset'));
    tcp.on('close', () => (this.#ended ??= 'end'));
  }

  static async connect(port: number, { secure, from, servername, before }: Http2Options): Promise<Http2Client> {
    const tcp = connect({ port, host: '127.0.0.1', ...(from === undefined ? {} : { localAddress: from }) });
    const below = before === undefined ? tcp : new Preceded(tcp, before);
    let socket: Duplex = below;
    if (secure) {
      const name = servername === undefined ? {} : { servername };
      socket = secureConnect({ socket: below, rejectUnauthorized: false, ALPNProtocols: ['h2'], ...name });
      await once(socket, 'secureConnect', { signal: AbortSignal.timeout(DEADLINE) });
    }
    const session = connectSession('http://127.0.0.1', { createConnection: () => socket });
    const client = new Http2Client(session, tcp);
    await once(session, 'remoteSettings', { signal: AbortSignal.timeout(DEADLINE) });
    return client;
  }

  /** Opens a stream for WebSocket (RFC 8441). */
  openWebSocket(target: string, authority: string, headers: Headers): ClientHttp2Stream {
    const fields = { ':method': 'CONNECT', ':protocol': 'websocket', ':path': target, ':authority': authority };
    return this.session.request({ ...fieldsOf(headers), ...fields }, { endStream: false });
  }

  /** Sends a request and waits for its answer. @throws ResetError */
  async ask(question: Http2Question): Promise<Http2Answer> {
    return await answerOf(this.send(question));
  }

  send({ method, target, authority, headers, body, chunks, trailers }: Http2Question): ClientHttp2Stream {
    const fields = { ...fieldsOf(headers), ':method': method, ':path': target, ':authority': authority };
    const parts = chunks ?? (body === undefined ? [] : [body]);
    const length = body === undefined || trailers !== undefined ? {} : { 'content-length': body.length };
    const stream = this.session.request(
      { ...fields, ...length },
      {
        endStream: parts.length === 0 && trailers === undefined,
        waitForTrailers: trailers !== undefined,
      },
    );
    stream.on('wantTrailers', () => stream.sendTrailers(Object.fromEntries(trailers ?? [])));
    for (const part of parts) stream.write(Buffer.from(part, 'latin1'));
    if (parts.length > 0 || trailers !== undefined) stream.end();
    return stream;
  }

  reset(): void {
    this.#tcp.resetAndDestroy();
  }

  destroy(): void {
    this.session.destroy();
    this.#tcp.destroy();
  }

  async closed(): Promise<'end' | 'reset'> {
    if (!this.#tcp.destroyed) await once(this.#tcp, 'close', { signal: AbortSignal.timeout(DEADLINE) });
    return this.#ended ?? 'end';
  }
}

export function fieldsOf(headers: Headers): OutgoingHttpHeaders {
  const fields: OutgoingHttpHeaders = {};
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    const before = fields[lower];
    fields[lower] = before === undefined ? value : [before, value].flat().map(String);
  }
  return fields;
}

/** @throws ResetError */
export async function answerOf(stream: ClientHttp2Stream): Promise<Http2Answer> {
  const interim: Message[] = [];
  let message: Message & { status: number } = { status: 0, head: '', headers: [] };
  let trailers: Headers = [];
  let body = '';
  stream.on('headers', (_headers, _flags, raw: string[]) => interim.push(messageOf(raw)));
  stream.on('response', (_headers, _flags, raw: string[]) => (message = messageOf(raw)));
  stream.on('trailers', (_headers, _flags, raw: string[]) => (trailers = pairs(raw)));
  stream.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
  const code = await endOf(stream);
  if (code !== constants.NGHTTP2_NO_ERROR) throw new ResetError(code);
  if (message.status === 0) throw new ResetError(-1);
  return { ...message, body, trailers, interim };
}

/** The code that the stream is closed with, by whichever side. */
export async function endOf(stream: ClientHttp2Stream): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const late = setTimeout(() => reject(new Error('the stream does not end')), DEADLINE);
  // The code says it, too.
  stream.on('error', () => undefined);
  const done = () => resolve(stream.rstCode ?? 0);
  if (stream.closed) done();
  else stream.on('close', done);
  return await promise.finally(() => clearTimeout(late));
}

/** A head as the events of Node's streams give it. */
export function messageOf(raw: readonly string[]): Message & { status: number } {
  const all = pairs(raw);
  const status = Number(all.find(([name]) => name === ':status')?.[1]);
  const headers = all.filter(([name]) => !name.startsWith(':'));
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return { status, headers, head: `HTTP/2 ${status}\r\n${lines}` };
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i] ?? '', raw[2 * i + 1] ?? '']);
}
