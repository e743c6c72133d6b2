/** The answer on one stream of HTTP/2: what the client's windows do not let through yet waits here, and its endpoint with it. */
import type { Framing } from '../../http1/serialize.ts';
import type { ServerConnection } from '../../http2/server.ts';
import type { ServerStream } from '../../http2/stream.ts';
import type { ClientOut } from '../client-out.ts';

/** The connection of a stream, as far as an answer needs it. */
export interface OutConnection {
  readonly codec: ServerConnection;
  /** The socket has more to write than it should. */
  readonly congested: boolean;
  /** Something has been written. */
  wake(): void;
}

const NOTHING: Buffer = Buffer.alloc(0);
const HEAD_END = '\r\n\r\n';

/** Reused for stream after stream. */
export class StreamOut implements ClientOut {
  bytes = 0;
  #connection: OutConnection | undefined;
  #stream: ServerStream | undefined;
  /** The last part of the body, not sent yet, so that END_STREAM may go with it; valid until `flush`. */
  #part = NOTHING;
  #start = 0;
  #stop = 0;
  /** Copies. */
  #waiting: Buffer[] = [];
  #trailers = '';
  #ended = false;

  open(connection: OutConnection, stream: ServerStream): void {
    this.#connection = connection;
    this.#stream = stream;
    this.bytes = 0;
    this.#trailers = '';
    this.#ended = false;
  }

  /** The stream is over, or shall be. */
  close(): void {
    this.#connection = undefined;
    this.#stream = undefined;
    this.#part = NOTHING;
    this.#start = this.#stop = 0;
    if (this.#waiting.length > 0) this.#waiting = [];
  }

  /** Bytes that the windows hold back. */
  get blocked(): boolean {
    return this.#waiting.length > 0;
  }

  /** Nothing more will come, and everything is on its way. */
  get done(): boolean {
    return this.#ended && !this.blocked;
  }

  framing(): Framing {
    return 'stream';
  }

  interim(text: string): void {
    this.#respond(text, false);
  }

  head(text: string, _framing: Framing, empty: boolean): void {
    this.#ended = empty;
    this.#respond(text, empty);
  }

  body(buffer: Buffer, start: number, end: number): void {
    this.#sendPart(false);
    this.#part = buffer;
    this.#start = start;
    this.#stop = end;
  }

  end(trailers: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#trailers = trailers;
    if (trailers === '' && this.#start < this.#stop) return this.#sendPart(true);
    this.#sendPart(false);
    if (!this.blocked) this.#sendEnd();
  }

  answer(text: string): void {
    const at = text.indexOf(HEAD_END) + HEAD_END.length;
    this.head(text.slice(0, at), 'stream', at === text.length);
    if (at === text.length) return;
    const body = Buffer.from(text.slice(at), 'latin1');
    this.body(body, 0, body.length);
    this.end('');
  }

  flush(): boolean {
    this.#sendPart(false);
    const connection = this.#connection;
    if (connection === undefined) return true;
    connection.wake();
    return !this.blocked && !connection.congested;
  }

  /** There is room in the windows again. */
  drain(): void {
    for (let bytes = this.#waiting[0]; bytes !== undefined; bytes = this.#waiting[0]) {
      const last = this.#ended && this.#trailers === '' && this.#waiting.length === 1;
      const sent = this.#send(bytes, 0, bytes.length, last);
      if (sent < bytes.length) {
        this.#waiting[0] = bytes.subarray(sent);
        return;
      }
      this.#waiting.shift();
      if (last) return;
    }
    if (this.#ended) this.#sendEnd();
  }

  #respond(text: string, end: boolean): void {
    if (this.#connection === undefined || this.#stream === undefined) return;
    this.bytes += this.#connection.codec.respond(this.#stream, text, end);
  }

  #sendPart(last: boolean): void {
    const [part, start, stop] = [this.#part, this.#start, this.#stop];
    if (start === stop) return;
    this.#part = NOTHING;
    this.#start = this.#stop = 0;
    const sent = this.blocked ? 0 : this.#send(part, start, stop, last);
    if (sent < stop - start) this.#waiting.push(Buffer.from(part.subarray(start + sent, stop)));
  }

  #send(buffer: Buffer, start: number, stop: number, last: boolean): number {
    if (this.#connection === undefined || this.#stream === undefined) return stop - start;
    const sent = this.#connection.codec.send(this.#stream, buffer, start, stop, last);
    this.bytes += sent;
    return sent;
  }

  #sendEnd(): void {
    if (this.#connection === undefined || this.#stream === undefined) return;
    this.#connection.codec.end(this.#stream, this.#trailers);
  }
}
