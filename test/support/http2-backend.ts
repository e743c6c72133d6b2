/**
 * A backend's streams of HTTP/2 as connections of HTTP/1.1: what a test reads and says there in bytes is frames on the wire,
 * written and read by Node's own implementation.
 */
import { once } from 'node:events';
import { constants, performServerHandshake } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { fieldsOf } from './http2-client.ts';
import { answerFraming, CutOffError, readHead, readLine, readStatus, Wire } from './wire.ts';
import type { BackendExchange, BodyFraming, Headers, Message } from './wire.ts';

const HEAD_END = '\r\n\r\n';
const PIECE = 16_384;

/** An `Unfold`: each stream of a socket that begins with the preface, else the socket itself. */
export function streamsOf(socket: Socket, take: (wire: Wire) => void, fail: (fault: Error) => void): void {
  socket.on('error', () => socket.destroy());
  socket.once('data', (first: Buffer) => {
    socket.pause().unshift(first);
    if (!first.toString('latin1').startsWith('PRI ')) {
      take(new Wire(socket, socket));
      socket.resume();
      return;
    }
    const session = performServerHandshake(socket);
    socket.once('end', () => socket.destroy());
    session.on('error', (error: NodeJS.ErrnoException) => {
      // What the proxy sent is malformed; what it holds of us has another code.
      if (error.code === 'ERR_HTTP2_ERROR') fail(error);
    });
    session.on('stream', (stream, _headers, flags, raw: string[]) => {
      const bodyless = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      const carried = new StreamSocket(socket, stream, { fields: readFields(raw), bodyless, fail });
      take(new Wire(carried, carried, socket));
    });
  });
}

function readFields(raw: readonly string[]): [name: string, value: string][] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i] ?? '', raw[2 * i + 1] ?? '']);
}

interface CarriedRequest {
  readonly fields: Headers;
  readonly bodyless: boolean;
  readonly fail: (fault: Error) => void;
}

/** What the exchange of a request goes over. @throws when that is not HTTP/2 */
export function streamOf({ wire }: BackendExchange): StreamSocket {
  if (wire.socket instanceof StreamSocket) return wire.socket;
  throw new Error('the request came over HTTP/1.1');
}

export class StreamSocket extends Duplex {
  readonly id: number;
  readonly #tcp: Socket;
  readonly #stream: ServerHttp2Stream;
  readonly #said = new Inlet();
  readonly #method: string;
  readonly #chunked: boolean;
  #trailers: Headers = [];

  constructor(tcp: Socket, stream: ServerHttp2Stream, { fields, bodyless, fail }: CarriedRequest) {
    super({ allowHalfOpen: true });
    this.id = stream.id ?? 0;
    this.#tcp = tcp;
    this.#stream = stream;
    const pseudo = new Map(fields);
    this.#method = pseudo.get(':method') ?? '';
    const { text, sized } = requestText(fields);
    this.#chunked = !bodyless && !sized;
    this.push(Buffer.from(`${text}${this.#chunked ? 'Transfer-Encoding: chunked\r\n' : ''}\r\n`, 'latin1'));
    this.on('error', () => undefined);
    this.#listen();
    this.#say().catch((error: unknown) => {
      // The proxy has had enough of it.
      if (!stream.destroyed) fail(error as Error);
    });
  }

  /** Sends frames of the test's own: Node's side knows nothing of them. */
  inject(...frames: readonly Buffer[]): void {
    this.#tcp.write(Buffer.concat(frames));
  }

  /** Ends the connection with all its streams, without a word. */
  cut(): void {
    this.#tcp.end();
  }

  /** Waits for the end of the connection with all its streams. */
  async ended(): Promise<void> {
    if (!this.#tcp.destroyed) await once(this.#tcp, 'close');
  }

  /** The code that the proxy has reset the stream with, once it has. */
  get reset(): number {
    return this.#stream.rstCode;
  }

  resetAndDestroy(): void {
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    this.destroy();
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#said.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#said.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
    done(error);
  }

  #listen(): void {
    const stream = this.#stream;
    stream.on('error', () => undefined);
    stream.on('trailers', (_trailers, _flags, raw: string[]) => (this.#trailers = readFields(raw)));
    stream.on('data', (chunk: Buffer) => {
      const bytes = this.#chunked ? [`${chunk.length.toString(16)}\r\n`, chunk, '\r\n'] : [chunk];
      const pieces = bytes.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part));
      if (!this.push(Buffer.concat(pieces))) stream.pause();
    });
    stream.on('end', () => {
      if (stream.rstCode !== 0 || !this.#chunked) return;
      this.push(Buffer.from(`0\r\n${linesOf(this.#trailers)}\r\n`, 'latin1'));
    });
    stream.on('close', () => {
      if (stream.rstCode === 0) this.push(null);
      else this.destroy(new Error(`the stream was reset: ${stream.rstCode}`));
    });
  }

  async #say(): Promise<void> {
    try {
      await this.#answer();
    } catch (error) {
      if (!(error instanceof CutOffError)) throw error;
      // Without an answer it is the whole connection that ends, as that of a process which has gone.
      if (this.#stream.headersSent) this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      else this.cut();
    }
  }

  async #answer(): Promise<void> {
    for (;;) {
      const { start, message } = readHead(await this.#said.until(HEAD_END));
      const { status } = readStatus(start);
      if (status >= 200) return await this.#final(message, status);
      this.#stream.additionalHeaders(responseFields(message, status));
    }
  }

  async #final(message: Message, status: number): Promise<void> {
    const stream = this.#stream;
    const framing = answerFraming(message, status, this.#method);
    const endStream = framing === 'none' || framing === 0;
    let trailers: Headers = [];
    stream.on('wantTrailers', () => stream.sendTrailers(fieldsOf(trailers)));
    const options = { endStream, waitForTrailers: !endStream, sendDate: false };
    stream.respond(responseFields(message, status), options);
    trailers = await this.#body(framing);
    if (!endStream) stream.end();
  }

  /** Gives the trailers. */
  async #body(framing: BodyFraming): Promise<Headers> {
    if (framing === 'none') return [];
    if (framing === 'close') {
      for (let piece = await this.#said.piece(PIECE); piece !== undefined; piece = await this.#said.piece(PIECE))
        await this.#send(piece);
      return [];
    }
    if (framing !== 'chunked') {
      await this.#pass(framing);
      return [];
    }
    for (;;) {
      const size = Number.parseInt(await this.#said.until('\r\n'), 16);
      if (size === 0) break;
      await this.#pass(size);
      await this.#said.until('\r\n');
    }
    return (await this.#trailerLines()).map(readLine);
  }

  async #trailerLines(): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const line = (await this.#said.until('\r\n')).slice(0, -2);
      if (line === '') return lines;
      lines.push(line);
    }
  }

  async #pass(length: number): Promise<void> {
    for (let left = length; left > 0;) {
      const piece = await this.#said.piece(Math.min(left, PIECE));
      if (piece === undefined) throw new CutOffError('the answer ends too early');
      await this.#send(piece);
      left -= piece.length;
    }
  }

  /** Waits for the windows, too. */
  async #send(piece: Buffer): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(piece, (error) => (error ? reject(error) : resolve()));
    });
  }
}

/** What is written, for a reader whom the writer waits for. */
class Inlet {
  #held = Buffer.alloc(0);
  #ended = false;
  #taken: (() => void) | undefined;
  #wake: (() => void) | undefined;

  write(chunk: Buffer, taken: () => void): void {
    this.#held = Buffer.concat([this.#held, chunk]);
    this.#taken = taken;
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Everything up to and including `text`. @throws CutOffError when it does not come */
  async until(text: string): Promise<string> {
    for (;;) {
      const at = this.#held.indexOf(text, 0, 'latin1');
      if (at >= 0) return this.#take(at + text.length).toString('latin1');
      if (!(await this.#more())) throw new CutOffError(`no ${JSON.stringify(text)}`);
    }
  }

  /** Some of what there is; undefined = that was all. */
  async piece(most: number): Promise<Buffer | undefined> {
    while (this.#held.length === 0) if (!(await this.#more())) return undefined;
    return this.#take(Math.min(most, this.#held.length));
  }

  #take(length: number): Buffer {
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return taken;
  }

  /** False = there is no more. */
  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.();
    await promise;
    return true;
  }
}

/** `sized`: its body has the length that Content-Length says. */
function requestText(fields: Headers): { text: string; sized: boolean } {
  const pseudo = new Map(fields.filter(([name]) => name.startsWith(':')));
  const plain = fields.filter(([name]) => !name.startsWith(':') && name !== 'cookie');
  const authority = pseudo.get(':authority');
  const host: Headers = authority === undefined ? [] : [['Host', authority]];
  // RFC 9113, 8.2.3
  const crumbs = fields.filter(([name]) => name === 'cookie').map(([, value]) => value);
  const cookie: Headers = crumbs.length === 0 ? [] : [['cookie', crumbs.join('; ')]];
  const start = `${pseudo.get(':method') ?? ''} ${pseudo.get(':path') ?? ''} HTTP/1.1\r\n`;
  return {
    text: start + linesOf([...host, ...plain, ...cookie]),
    sized: plain.some(([name]) => name === 'content-length'),
  };
}

function linesOf(headers: Headers): string {
  return headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
}

/** Framing and the life of connections are not for fields to say; any other field of a connection is refused by Node. */
function responseFields({ headers }: Message, status: number) {
  const kept = headers.filter(([name]) => !/^(connection|transfer-encoding)$/i.test(name));
  return { ...fieldsOf(kept), ':status': status };
}
