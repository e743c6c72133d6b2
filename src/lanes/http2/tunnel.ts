/**
 * A stream that extended CONNECT has opened (RFC 8441), as the socket of a WebSocket connection for the upgrade lane: what
 * is written to it begins with a 101 of HTTP/1.1, which becomes a 200, and goes on as DATA.
 */
import { randomBytes } from 'node:crypto';
import { Duplex } from 'node:stream';
import type { RequestHead } from '../../http1/request-head.ts';
import { CODE } from '../../http2/error.ts';
import type { ServerStream } from '../../http2/stream.ts';
import type { ReadHandler } from '../../io/take-reads.ts';
import { destroySoon } from '../../io/socket-stream.ts';
import type { Beneath } from '../../io/socket-stream.ts';
import type { UpgradeRequest } from '../upgrade-request.ts';
import { StreamOut } from './stream-out.ts';
import type { OwnerConnection, StreamOwner } from './stream-owner.ts';

/** The connection of a tunnel. */
export interface TunnelConnection extends OwnerConnection {
  setKeepAlive(on: boolean, delay: number): void;
  /** Hands it to the upgrade lane. */
  upgrade(request: UpgradeRequest): void;
}

const HEAD_END = '\r\n\r\n';
const ACCEPT = /^sec-websocket-accept:.*\r\n/im;

export class Tunnel extends Duplex implements StreamOwner, Beneath {
  readonly out = new StreamOut();
  place = 0;
  readonly #connection: TunnelConnection;
  #stream: ServerStream | undefined;
  /** Waits for the end of the read that has brought it, as other requests do. */
  #waits = true;
  #reader: ReadHandler = () => true;
  /** The beginning of what is written, until it is a whole head; undefined = it has been answered. */
  #head: string | undefined = '';
  /** Waits for room in the client's windows. */
  #written: (() => void) | undefined;
  /** Bytes that the client has not been told to be taken. */
  #untold = 0;
  #endSeen = false;

  constructor(connection: TunnelConnection, stream: ServerStream) {
    super({ allowHalfOpen: true, autoDestroy: false });
    this.#connection = connection;
    this.#stream = stream;
    // 'close' follows and does the rest.
    this.on('error', () => this.destroy());
    this.out.open(connection, stream);
    // RFC 8441, 5: the key is HTTP/1.1's alone.
    withKey(stream.head);
  }

  onData(buffer: Buffer, start: number, end: number): void {
    this.#begin();
    this.#untold += end - start;
    const piece = buffer.subarray(start, end);
    if (this.#reader(piece.length, piece)) this.resume();
  }

  onTrailers(): void {
    // A tunnel has none: the codec refuses them.
  }

  onEnd(): void {
    this.#begin();
    this.#endSeen = true;
    this.emit('end');
    this.#closeIfDone();
  }

  onReset(): void {
    if (this.#waits) this.#connection.countAborted();
    this.#stream = undefined;
    this.destroy();
  }

  onWritable(): void {
    this.out.drain();
    if (this.out.blocked || this.#connection.congested) return;
    const written = this.#written;
    this.#written = undefined;
    written?.();
    this.#closeIfDone();
  }

  settle(): void {
    this.#begin();
  }

  checkDeadline(): void {
    // The upgrade lane has its own.
  }

  /** More of the client's data is wanted. */
  override resume(): this {
    const bytes = this.#untold;
    this.#untold = 0;
    if (bytes > 0 && this.#stream !== undefined) {
      this.#connection.codec.consumed(this.#stream, bytes);
      this.#connection.wake();
    }
    return this;
  }

  // What is done to sockets means nothing to a stream.
  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  /** Without it a client that has vanished would never be missed. */
  setKeepAlive(on: boolean, delay: number): this {
    this.#connection.setKeepAlive(on, delay);
    return this;
  }

  destroySoon(): void {
    destroySoon(this);
  }

  override _read(): void {
    // Reads go to the reader.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const rest = this.#head === undefined ? chunk : this.#takeHead(this.#head + chunk.toString('latin1'));
    if (rest.length > 0) this.out.body(rest, 0, rest.length);
    if (this.out.flush()) done();
    else this.#written = done;
  }

  override _final(done: () => void): void {
    this.out.end('');
    this.out.flush();
    done();
    this.#closeIfDone();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const stream = this.#stream;
    this.#stream = undefined;
    // After a whole answer the rest of the request is not wanted (RFC 9113, 8.1).
    if (stream !== undefined) this.#connection.codec.reset(stream, this.out.done ? CODE.NO_ERROR : CODE.CANCEL);
    this.#connection.wake();
    this.out.close();
    this.#connection.release(this);
    done(error);
  }

  #begin(): void {
    if (!this.#waits || this.#stream === undefined) return;
    this.#waits = false;
    this.#connection.upgrade({
      head: this.#stream.head,
      socket: this,
      out: this.out,
      forwarding: this.#connection.forwarding,
      first: Buffer.alloc(0),
      takeReads: (reader) => {
        this.#reader = reader;
      },
    });
  }

  /** Answers as soon as the head is whole; returns what came behind it. */
  #takeHead(text: string): Buffer {
    const end = text.indexOf(HEAD_END) + HEAD_END.length;
    if (end < HEAD_END.length) {
      this.#head = text;
      return Buffer.alloc(0);
    }
    this.#head = undefined;
    const lines = text.slice(text.indexOf('\r\n') + 2, end).replace(ACCEPT, '');
    this.out.head(`HTTP/1.1 200 OK\r\n${lines}`, 'stream', false);
    return Buffer.from(text.slice(end), 'latin1');
  }

  /** Both sides have finished, or the client has been refused. */
  #closeIfDone(): void {
    if (this.out.done && (this.#endSeen || this.#head !== undefined)) this.destroy();
  }
}

/** What the handshake of HTTP/1.1 needs besides; a key of the client's own means nothing (RFC 8441 section 5). */
function withKey(head: RequestHead): void {
  if (head.header('sec-websocket-key') !== undefined) return;
  head.text = `${head.text.slice(0, -2)}Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`;
}
