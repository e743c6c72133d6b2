/** One request on a connection of HTTP/2 to an endpoint. */
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseSink } from '../http1/response-parser.ts';
import { BodySender } from '../http2/body-sender.ts';
import type { ClientConnection } from '../http2/client.ts';
import { CODE } from '../http2/error.ts';
import type { Http2Error } from '../http2/error.ts';
import type { ClientStream } from '../http2/stream.ts';
import type { RequestWire, StreamHandler, UpstreamLink } from './request-wire.ts';

/** The connection that it shares with others. */
export interface SharedConnection {
  readonly codec: ClientConnection;
  readonly scheme: 'http' | 'https';
  /** Streams may begin. */
  readonly ready: boolean;
  /** The socket has more to write than it should. */
  readonly congested: boolean;
  /** Something has been written. */
  wake(): void;
  /** The stream is over. */
  release(stream: UpstreamStream): void;
}

export class UpstreamStream implements RequestWire, UpstreamLink {
  /** An earlier request was answered over the connection. */
  reused = false;
  #shared: SharedConnection | undefined;
  #handler: StreamHandler | undefined;
  #stream: ClientStream | undefined;
  readonly #body = new BodySender<ClientStream>();
  /** The response is complete. */
  #done = false;
  /** Nobody wants the rest of it. */
  #detached = false;
  /** Bytes of its body that the endpoint has not been told to be taken. */
  #untold = 0;

  constructor(handler: StreamHandler) {
    this.#handler = handler;
  }

  get connected(): boolean {
    return this.#shared?.ready === true;
  }

  // For the connection.

  /** It waits for the connection, or has it already. */
  join(shared: SharedConnection, reused: boolean): void {
    this.#shared = shared;
    this.reused = reused;
  }

  /** Its head is sent. */
  get begun(): boolean {
    return this.#stream !== undefined;
  }

  get handler(): StreamHandler | undefined {
    return this.#handler;
  }

  /** Whom the response comes to. */
  get sink(): ResponseSink | undefined {
    return this.#detached ? undefined : this.#handler;
  }

  onData(buffer: Buffer, start: number, end: number): void {
    this.#untold += end - start;
    this.sink?.onBody(buffer, start, end);
  }

  onEnd(): void {
    this.#done = true;
    this.sink?.onEnd();
  }

  /** What was read has been parsed. */
  settle(): void {
    if (this.#handler?.onUpstreamRead(this.#done) === true) this.resume();
  }

  /** There is room in the endpoint's windows, or the socket has room again. */
  onWritable(): void {
    this.#body.drain();
    if (!this.#body.blocked && this.#shared?.congested === false) this.#handler?.onUpstreamDrain();
  }

  /** The response is malformed, and the stream gone; `settle` comes behind. */
  onFault({ name, reason }: Http2Error): void {
    this.#stream = undefined;
    if (!this.#done) this.sink?.onError({ status: 502, code: name, reason });
  }

  /** The stream is gone. `unseen`: the endpoint says that it has not looked at it. */
  onGone(unseen: boolean): void {
    // The rest of the request is not wanted, but its answer is complete (RFC 9113, 8.1): `settle` comes behind.
    if (this.#done) {
      this.#stream = undefined;
      return;
    }
    const handler = this.#handler;
    this.#leave();
    handler?.onUpstreamClosed(unseen);
  }

  // For the exchange.

  begin(head: RequestHead, text: string): void {
    const shared = this.#shared;
    if (shared === undefined) return;
    const end = !head.hasBody;
    const stream = shared.codec.request(text, shared.scheme, end);
    stream.owner = this;
    this.#stream = stream;
    this.#body.open(shared.codec, stream);
    if (end) this.#body.skip();
  }

  body(buffer: Buffer, start: number, end: number): void {
    this.#body.add(buffer, start, end);
  }

  end(trailers: string): void {
    this.#body.end(trailers);
  }

  flush(): boolean {
    this.#body.flush();
    this.#shared?.wake();
    return !this.#body.blocked && this.#shared?.congested !== true;
  }

  resume(): void {
    const bytes = this.#untold;
    this.#untold = 0;
    if (bytes === 0 || this.#stream === undefined) return;
    this.#shared?.codec.consumed(this.#stream, bytes);
    this.#shared?.wake();
  }

  detach(): void {
    this.#detached = true;
  }

  finish(reusable: boolean): void {
    // The rest of the request is not wanted.
    if (!reusable) this.destroy();
    else this.#leave();
  }

  giveBack(): void {
    this.#leave();
  }

  destroy(): void {
    if (this.#stream !== undefined) this.#shared?.codec.reset(this.#stream, CODE.CANCEL);
    this.#leave();
  }

  #leave(): void {
    const shared = this.#shared;
    this.#handler = undefined;
    this.#shared = undefined;
    this.#stream = undefined;
    this.#body.close();
    shared?.wake();
    shared?.release(this);
  }
}
