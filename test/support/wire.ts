/** HTTP/1.1 as bytes, for tests: a raw client, a hostile backend, WebSocket helpers. Shares no code with `src`, whose parser it checks. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { Duplex } from 'node:stream';
import {
  connect as secureConnect,
  createServer as createSecureServer,
  type TlsOptions,
  type TLSSocket,
} from 'node:tls';

/** Longest wait for anything, ms: generous, since the machine may be busy. */
const DEADLINE = 15_000;

export type Headers = readonly (readonly [name: string, value: string])[];

/** The peer ended or reset the connection before the message was complete. */
export class CutOffError extends Error {}
/** A message that breaks RFC 9112. */
export class MalformedError extends Error {}

export interface Message {
  /** Start line and header lines as they came, without the empty line. */
  readonly head: string;
  readonly headers: Headers;
}

export interface WireRequest extends Message {
  readonly method: string;
  readonly target: string;
  readonly minor: number;
}

export interface WireResponse extends Message {
  readonly status: number;
  readonly reason: string;
  /** latin1 */
  readonly body: string;
  readonly trailers: Headers;
  /** 1xx heads that came before. */
  readonly interim: readonly Message[];
  /** The end of the connection ended the body. */
  readonly untilClose: boolean;
}

/** First value of a header; undefined = absent. */
export function header(message: Message, name: string): string | undefined {
  return values(message, name)[0];
}

/** All values of a header, in order. */
export function values(message: Message, name: string): string[] {
  const lower = name.toLowerCase();
  return message.headers.filter(([known]) => known.toLowerCase() === lower).map(([, value]) => value);
}

/** What can be cut off without a word. */
interface Resettable {
  resetAndDestroy(): unknown;
}

/** A socket with what came in and has not been taken yet. */
export class Wire<S extends Duplex = Duplex> {
  readonly socket: S;
  /** The same for all wires that end together. */
  readonly connection: object;
  readonly #beneath: Resettable;
  /** Bytes that came in, all in all. */
  bytes = 0;
  /** How the connection ended, as far as it has. */
  ended: 'end' | 'reset' | undefined;
  #chunks: Buffer[] = [];
  #size = 0;
  readonly #changed = new Set<() => void>();

  /** @param beneath what is below, where the socket speaks TLS; `connection`: what it shares with others */
  constructor(socket: S, beneath: Resettable, connection: object = beneath) {
    this.socket = socket;
    this.connection = connection;
    this.#beneath = beneath;
    socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      this.#size += chunk.length;
      this.#chunks.push(chunk);
      this.#notify();
    });
    socket.on('end', () => this.#end('end'));
    socket.on('error', () => this.#end('reset'));
    socket.on('close', () => this.#end('end'));
  }

  /** latin1 */
  send(text: string | Buffer): void {
    if (!this.socket.destroyed) this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  }

  /** Sends a FIN; what the peer still says can be read. */
  end(text = ''): void {
    if (this.socket.destroyed) return;
    if (text === '') this.socket.end();
    else this.socket.end(Buffer.from(text, 'latin1'));
  }

  reset(): void {
    this.#beneath.resetAndDestroy();
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** latin1 of what has come and was not taken. */
  get pending(): string {
    return this.#peek().toString('latin1');
  }

  /** Waits for the end of the connection; `reset` = an error. */
  async closed(): Promise<'end' | 'reset'> {
    return await this.#wait(() => this.ended, 'the end of the connection');
  }

  /** Everything up to the end of the connection. */
  async rest(): Promise<string> {
    await this.closed();
    return this.#take(this.#size).toString('latin1');
  }

  async take(length: number): Promise<Buffer> {
    await this.#wait(() => (this.#size >= length ? true : this.#cut()), `${length} bytes`);
    return this.#take(length);
  }

  /** Everything up to and including `text`. */
  async until(text: string): Promise<string> {
    const at = await this.#wait(() => {
      const index = this.#peek().indexOf(text, 0, 'latin1');
      return index >= 0 ? index : this.#cut();
    }, JSON.stringify(text));
    return this.#take(at + text.length).toString('latin1');
  }

  /**
   * Resolves when something has come or the connection has ended; false = ended with nothing left. Without a deadline:
   * a backend waits like this for requests that may never come.
   */
  async some(): Promise<boolean> {
    const look = () => (this.#size > 0 ? true : this.ended === undefined ? undefined : false);
    return await this.#wait(look, 'bytes', Infinity);
  }

  /** Takes what there is. */
  drain(): Buffer {
    return this.#take(this.#size);
  }

  async body(framing: BodyFraming): Promise<{ body: string; trailers: Headers }> {
    if (framing === 'none') return { body: '', trailers: [] };
    if (framing === 'close') {
      if ((await this.closed()) === 'reset') throw new CutOffError('reset within the body');
      return { body: await this.rest(), trailers: [] };
    }
    if (framing !== 'chunked') return { body: (await this.take(framing)).toString('latin1'), trailers: [] };
    const parts: string[] = [];
    for (;;) {
      const line = (await this.until('\r\n')).slice(0, -2);
      // Stricter than the RFC: we re-frame, so extensions and leading zeros are never ours.
      if (!/^(0|[1-9a-f][0-9a-f]*)$/i.test(line)) throw new MalformedError(`chunk size ${JSON.stringify(line)}`);
      const size = Number.parseInt(line, 16);
      if (size === 0) break;
      parts.push((await this.take(size)).toString('latin1'));
      if ((await this.take(2)).toString('latin1') !== '\r\n') throw new MalformedError('no CR LF behind a chunk');
    }
    const trailers: [string, string][] = [];
    for (;;) {
      const line = (await this.until('\r\n')).slice(0, -2);
      if (line === '') return { body: parts.join(''), trailers };
      trailers.push(readLine(line));
    }
  }

  #cut(): undefined {
    if (this.ended !== undefined) throw new CutOffError(`the connection ended (${this.ended}) too early`);
    return undefined;
  }

  #end(how: 'end' | 'reset'): void {
    this.ended ??= how;
    this.#notify();
  }

  #notify(): void {
    for (const look of [...this.#changed]) look();
  }

  #peek(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  #take(length: number): Buffer {
    const all = this.#peek();
    this.#chunks = length < all.length ? [all.subarray(length)] : [];
    this.#size -= length;
    return all.subarray(0, length);
  }

  async #wait<T>(ready: () => T | undefined, what: string, deadline = DEADLINE): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const look = (): void => {
      try {
        const value = ready();
        if (value !== undefined) resolve(value);
      } catch (error) {
        reject(error);
      }
    };
    const late = (): void => {
      const seen = JSON.stringify(this.pending.slice(0, 300));
      reject(new Error(`waited ${deadline} ms for ${what}; unread: ${seen}`));
    };
    const timer = deadline === Infinity ? undefined : setTimeout(late, deadline);
    this.#changed.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#changed.delete(look);
    }
  }
}

/** Bytes, or how the end is found. */
export type BodyFraming = number | 'none' | 'chunked' | 'close';

/** @throws MalformedError */
export function readLine(line: string): [string, string] {
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(line);
  if (match === null) throw new MalformedError(`header line ${JSON.stringify(line)}`);
  return [match[1] ?? '', (match[2] ?? '').trimEnd()];
}

export function readHead(text: string): { start: string; message: Message } {
  const [start = '', ...lines] = text.slice(0, -4).split('\r\n');
  return { start, message: { head: text.slice(0, -4), headers: lines.map(readLine) } };
}

function framingOf(message: Message): BodyFraming | undefined {
  const lengths = values(message, 'content-length');
  const codings = values(message, 'transfer-encoding');
  if (lengths.length + codings.length > 1) throw new MalformedError(`two framings: ${message.head}`);
  if (codings.length > 0) {
    if (codings[0] !== 'chunked') throw new MalformedError(`Transfer-Encoding: ${String(codings[0])}`);
    return 'chunked';
  }
  if (lengths.length === 0) return undefined;
  if (!/^[0-9]+$/.test(lengths[0] ?? '')) throw new MalformedError(`Content-Length: ${String(lengths[0])}`);
  return Number(lengths[0]);
}

/** @throws MalformedError */
export function readStatus(line: string): { status: number; reason: string } {
  const match = /^HTTP\/1\.1 ([1-9][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)$/.exec(line);
  if (match === null) throw new MalformedError(`status line ${JSON.stringify(line)}`);
  return { status: Number(match[1]), reason: match[2] ?? '' };
}

/** Of the answer to a request with this method. */
export function answerFraming(message: Message, status: number, method: string): BodyFraming {
  const bodyless = method === 'HEAD' || status === 101 || status === 204 || status === 304;
  return bodyless ? 'none' : (framingOf(message) ?? 'close');
}

/** A connection whose first write has something in front. */
export class Preceded extends Duplex {
  readonly #tcp: Socket;
  #before: Buffer;

  constructor(tcp: Socket, before: string) {
    super({ allowHalfOpen: true });
    this.#tcp = tcp;
    this.#before = Buffer.from(before, 'latin1');
    tcp.on('data', (chunk: Buffer) => this.push(chunk));
    tcp.on('end', () => this.push(null));
    tcp.on('error', (error) => this.destroy(error));
  }

  override _read(): void {
    // What comes is pushed.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#tcp.write(Buffer.concat([this.#before, chunk]), done);
    this.#before = Buffer.alloc(0);
  }

  override _final(done: () => void): void {
    this.#tcp.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#tcp.destroy();
    done(error);
  }
}

export class RawClient extends Wire<Socket> {
  /**
   * @param options a loopback address to come from, whether reading starts at once, whether it speaks TLS, for which protocol,
   *   and latin1 that is sent first: before the handshake, in one segment with it
   */
  static async connect(
    port: number,
    options: {
      readonly from?: string | undefined;
      readonly pauseOnConnect?: boolean;
      readonly secure?: boolean;
      readonly protocol?: 'h2';
      readonly before?: string | undefined;
    } = {},
  ): Promise<RawClient> {
    const tcp = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      allowHalfOpen: true,
      ...(options.from === undefined ? {} : { localAddress: options.from }),
    });
    const secure = options.secure === true;
    const below = options.before === undefined ? tcp : new Preceded(tcp, options.before);
    const socket = secure
      ? secureConnect({
          socket: below,
          rejectUnauthorized: false,
          ...(options.protocol === undefined ? {} : { ALPNProtocols: [options.protocol] }),
        })
      : tcp;
    const client = new RawClient(socket, tcp);
    if (options.pauseOnConnect === true) socket.pause();
    open.add(client);
    await once(socket, secure ? 'secureConnect' : 'connect', { signal: AbortSignal.timeout(DEADLINE) });
    if (!secure && options.before !== undefined) client.send(options.before);
    return client;
  }

  /** One whole response to a request with this method. */
  async response(method = 'GET'): Promise<WireResponse> {
    const interim: Message[] = [];
    for (;;) {
      const { start, message } = readHead(await this.until('\r\n\r\n'));
      const { status, reason } = readStatus(start);
      if (status < 200 && status !== 101) {
        interim.push(message);
        continue;
      }
      const framing = answerFraming(message, status, method);
      const { body, trailers } = await this.body(framing);
      return {
        ...message,
        status,
        reason,
        body,
        trailers,
        interim,
        untilClose: framing === 'close',
      };
    }
  }
}

/** One request as the backend got it, and the means to answer. */
export class BackendExchange {
  readonly request: WireRequest;
  readonly wire: Wire;
  readonly #framing: BodyFraming;
  #body: Promise<{ body: string; trailers: Headers }> | undefined;

  constructor(request: WireRequest, wire: Wire) {
    this.request = request;
    this.wire = wire;
    this.#framing = framingOf(request) ?? 'none';
  }

  /** The rest of the request. */
  async body(): Promise<{ body: string; trailers: Headers }> {
    this.#body ??= this.wire.body(this.#framing);
    return await this.#body;
  }

  send(text: string | Buffer): void {
    this.wire.send(text);
  }

  /** A whole response, framed by Content-Length. */
  answer(status: number, lines = '', body = ''): void {
    this.send(`HTTP/1.1 ${status} Said\r\n${lines}Content-Length: ${body.length}\r\n\r\n${body}`);
  }
}

export type BackendHandler = (exchange: BackendExchange) => void | Promise<void>;

/** Gives the connections of HTTP/1.1 that a socket carries; `fail` hears what is wrong with it. */
export type Unfold = (socket: Socket, take: (wire: Wire) => void, fail: (fault: Error) => void) => void;

/** A TCP server that reads requests strictly and answers whatever the test says. */
export class HostileBackend {
  /** Those started from now on speak TLS. */
  static tls: TlsOptions | undefined;
  /** What those started from now on do with a socket that speaks no TLS. */
  static unfold: Unfold = (socket, take) => take(new Wire(socket, socket));
  readonly port: number;
  /** All connections ever accepted, where they carry several those that they carry. */
  readonly connections: Wire[] = [];
  /** All request heads read, in order. */
  readonly requests: WireRequest[] = [];
  /** What the proxy did wrong towards us. */
  readonly faults: Error[] = [];
  /** Asked anew for every request. */
  handler: BackendHandler = async (exchange) => {
    const { body } = await exchange.body();
    exchange.answer(200, '', body === '' ? 'ok' : body);
  };
  /** Called with every new connection, before anything is read. */
  onConnection: ((wire: Wire) => void) | undefined;
  /** Takes what comes before the first request of a connection, once there is something. */
  greeting: ((wire: Wire) => Promise<void>) | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #changed = new Set<() => void>();

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    const { tls, unfold } = HostileBackend;
    const tcp = new Map<number | undefined, Socket>();
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      if (tls !== undefined) tcp.set(socket.remotePort, socket);
      else
        unfold(
          socket,
          (wire) => this.#take(wire),
          (fault) => this.faults.push(fault),
        );
    });
    server.on('secureConnection', (socket: TLSSocket) => {
      this.#take(new Wire(socket, tcp.get(socket.remotePort) ?? socket));
    });
  }

  #take(wire: Wire): void {
    this.connections.push(wire);
    this.#notify();
    this.onConnection?.(wire);
    this.#serve(wire).catch((error: unknown) => this.faults.push(error as Error));
  }

  static async start(): Promise<HostileBackend> {
    const options = { noDelay: true, allowHalfOpen: true };
    const { tls } = HostileBackend;
    const server = tls === undefined ? createServer(options) : createSecureServer({ ...options, ...tls });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const backend = new HostileBackend(server);
    open.add(backend);
    return backend;
  }

  /** How many connections of TCP were ever accepted. */
  get sockets(): number {
    return this.#sockets.size;
  }

  /** Bytes that came in over all connections. */
  get bytes(): number {
    return this.connections.reduce((sum, wire) => sum + wire.bytes, 0);
  }

  /** The last request read. */
  get last(): WireRequest {
    const request = this.requests.at(-1);
    if (request === undefined) throw new Error('the backend has seen no request');
    return request;
  }

  /** Waits until so many connections were accepted in all. */
  async connected(count: number): Promise<void> {
    await this.#until(() => this.connections.length >= count, `${count} connections`);
  }

  /** Waits until so many requests were read in all. */
  async asked(count: number): Promise<void> {
    await this.#until(() => this.requests.length >= count, `${count} requests`);
  }

  /** Stops listening: connects are refused from now on. */
  async refuse(): Promise<void> {
    this.destroy();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  destroy(): void {
    this.#server.close();
    for (const wire of this.connections) wire.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #serve(wire: Wire): Promise<void> {
    try {
      if (this.greeting !== undefined && (await wire.some())) await this.greeting(wire);
      while (await wire.some()) {
        const exchange = new BackendExchange(await readRequest(wire), wire);
        this.requests.push(exchange.request);
        this.#notify();
        await this.handler(exchange);
        // What was upgraded or closed has no further request.
        if (wire.socket.writableEnded || wire.socket.destroyed || handedOver.has(wire)) return;
        await exchange.body();
      }
    } catch (error) {
      if (!(error instanceof CutOffError) && !wire.socket.destroyed) this.faults.push(error as Error);
    } finally {
      if (!handedOver.has(wire)) wire.end();
    }
  }

  #notify(): void {
    for (const look of [...this.#changed]) look();
  }

  async #until(ready: () => boolean, what: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const look = (): void => {
      if (ready()) resolve(undefined);
    };
    const timer = setTimeout(() => reject(new Error(`waited ${DEADLINE} ms for ${what} at the backend`)), DEADLINE);
    this.#changed.add(look);
    look();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#changed.delete(look);
    }
  }
}

async function readRequest(wire: Wire): Promise<WireRequest> {
  const { start, message } = readHead(await wire.until('\r\n\r\n'));
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x22\x24-\x7e]+) HTTP\/1\.([01])$/.exec(start);
  if (match === null) throw new MalformedError(`request line ${JSON.stringify(start)}`);
  if (values(message, 'host').length !== 1) throw new MalformedError(`not one Host: ${message.head}`);
  return { ...message, method: match[1] ?? '', target: match[2] ?? '', minor: Number(match[3]) };
}

/** Connections that speak another protocol now. */
const handedOver = new WeakSet<Wire>();

/** RFC 6455 section 4.2.2 */
export function acceptKey(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

export function webSocketKey(): string {
  return randomBytes(16).toString('base64');
}

/** Answers a handshake with 101; the connection belongs to the caller afterwards. `behind`: bytes in the same write. */
export function acceptWebSocket(exchange: BackendExchange, lines = '', behind: Buffer = Buffer.alloc(0)): Wire {
  handedOver.add(exchange.wire);
  const accept = acceptKey(header(exchange.request, 'sec-websocket-key') ?? '');
  const head = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${lines}\r\n`;
  exchange.send(Buffer.concat([Buffer.from(head, 'latin1'), behind]));
  return exchange.wire;
}

export interface Frame {
  readonly final: boolean;
  readonly opcode: number;
  readonly masked: boolean;
  readonly payload: Buffer;
}

export const TEXT = 1;
export const CONTINUATION = 0;
export const BINARY = 2;
export const CLOSE = 8;

/** RFC 6455 section 5.2; `mask` as clients must. */
export function frame(
  opcode: number,
  payload: string | Buffer,
  options: { readonly mask?: boolean; readonly final?: boolean } = {},
): Buffer {
  const data = Buffer.from(payload);
  const head = [(options.final === false ? 0 : 0x80) | opcode];
  const bit = options.mask === true ? 0x80 : 0;
  if (data.length < 126) head.push(bit | data.length);
  else if (data.length < 65_536) head.push(bit | 126, data.length >> 8, data.length & 255);
  else head.push(bit | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (data.length >>> shift) & 255));
  if (options.mask !== true) return Buffer.concat([Buffer.from(head), data]);
  const mask = randomBytes(4);
  for (let i = 0; i < data.length; i++) data[i] = (data[i] ?? 0) ^ (mask[i & 3] ?? 0);
  return Buffer.concat([Buffer.from(head), mask, data]);
}

export async function readFrame(wire: Wire): Promise<Frame> {
  const [first = 0, second = 0] = await wire.take(2);
  let length = second & 127;
  if (length === 126) length = (await wire.take(2)).readUInt16BE();
  else if (length === 127) length = Number((await wire.take(8)).readBigUInt64BE());
  const masked = (second & 128) !== 0;
  const mask = masked ? await wire.take(4) : Buffer.alloc(4);
  const payload = Buffer.from(await wire.take(length));
  for (let i = 0; i < length; i++) payload[i] = (payload[i] ?? 0) ^ (mask[i & 3] ?? 0);
  return { final: (first & 128) !== 0, opcode: first & 15, masked, payload };
}

/** Echoes frames until the connection ends; answers a close frame and closes. */
export async function echoFrames(wire: Wire): Promise<void> {
  while (await wire.some()) {
    const { final, opcode, payload } = await readFrame(wire);
    wire.send(frame(opcode, payload, { final }));
    if (opcode !== CLOSE) continue;
    wire.end();
    return;
  }
}

const open = new Set<{ destroy(): void }>();

/** Closes every client and backend that is still there; for `afterEach` or `afterAll`. */
export function closeWires(kind: 'clients' | 'all' = 'all'): void {
  for (const one of open) {
    if (kind === 'clients' && one instanceof HostileBackend) continue;
    one.destroy();
    open.delete(one);
  }
}

/** Has another kind of client closed with them. */
export function closeWithWires(client: { destroy(): void }): void {
  open.add(client);
}
