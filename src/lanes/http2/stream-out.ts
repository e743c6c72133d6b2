/** The answer on one stream of HTTP/2; what the client's windows do not let through yet waits, and its endpoint with it. */
import type { Framing } from '../../http1/serialize.ts';
import { BodySender } from '../../http2/body-sender.ts';
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

const HEAD_END = '\r\n\r\n';

/** Reused for stream after stream. */
export class StreamOut implements ClientOut {
  readonly #body = new BodySender<ServerStream>();
  #connection: OutConnection | undefined;
  #stream: ServerStream | undefined;
  #headBytes = 0;

  open(connection: OutConnection, stream: ServerStream): void {
    this.#connection = connection;
    this.#stream = stream;
    this.#headBytes = 0;
    this.#body.open(connection.codec, stream);
  }

  /** The stream is over, or shall be. */
  close(): void {
    this.#connection = undefined;
    this.#stream = undefined;
    this.#body.close();
  }

  get bytes(): number {
    return this.#headBytes + this.#body.bytes;
  }

  /** There are bytes that the windows hold back. */
  get blocked(): boolean {
    return this.#body.blocked;
  }

  /** The answer is whole and on its way. */
  get done(): boolean {
    return this.#body.done;
  }

  framing(): Framing {
    return 'stream';
  }

  interim(text: string): void {
    this.#respond(text, false);
  }

  head(text: string, _framing: Framing, empty: boolean): void {
    if (empty) this.#body.skip();
    this.#respond(text, empty);
  }

  body(buffer: Buffer, start: number, end: number): void {
    this.#body.add(buffer, start, end);
  }

  end(trailers: string): void {
    this.#body.end(trailers);
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
    this.#body.flush();
    const connection = this.#connection;
    if (connection === undefined) return true;
    connection.wake();
    return !this.blocked && !connection.congested;
  }

  /** There is room in the windows again. */
  drain(): void {
    this.#body.drain();
  }

  #respond(text: string, end: boolean): void {
    if (this.#connection === undefined || this.#stream === undefined) return;
    this.#headBytes += this.#connection.codec.respond(this.#stream, text, end);
  }
}
