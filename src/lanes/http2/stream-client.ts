/** A client as an exchange sees it whose request came on a stream of HTTP/2: its body in, by flow control, and its answer out. */
import type { HeadLimits } from '../../http1/limits.ts';
import { CODE } from '../../http2/error.ts';
import { NO_TLS } from '../../model/facts.ts';
import type { ServerStream } from '../../http2/stream.ts';
import type { Refusal } from '../answer.ts';
import type { LaneContext } from '../context.ts';
import { Exchange } from '../exchange.ts';
import type { ExchangeClient } from '../exchange.ts';
import type { Forwarding } from '../forwarding.ts';
import { refuse } from '../refuse.ts';
import { StreamOut } from './stream-out.ts';
import type { OwnerConnection, StreamOwner } from './stream-owner.ts';

/** The connection of a request; a client that it was given back may be another stream's. */
export interface StreamConnection extends OwnerConnection {
  /** What was read is being parsed. */
  readonly parsing: boolean;
}

/** Reused for stream after stream, on whatever connection. */
export class StreamClient implements ExchangeClient, StreamOwner {
  readonly out = new StreamOut();
  place = 0;
  /** The request is complete. */
  requestDone = false;
  readonly #ctx: LaneContext;
  readonly #exchange: Exchange;
  #connection: StreamConnection | undefined;
  #stream: ServerStream | undefined;
  /** Waits for the end of the read that has brought it: a request that is reset in the same one costs nobody anything. */
  #waits = false;
  /** Bytes of the request's body that the client has not been told to be taken. */
  #untold = 0;
  /** Wall clock ms: for the client to take more of an answer that is complete here. */
  #deadline = Infinity;

  constructor(ctx: LaneContext, limits: HeadLimits) {
    this.#ctx = ctx;
    this.#exchange = new Exchange(ctx, limits, this);
  }

  get forwarding(): Forwarding {
    return this.#open().forwarding;
  }

  get parsing(): boolean {
    return this.#open().parsing;
  }

  /** `settle` comes behind. */
  begin(connection: StreamConnection, stream: ServerStream): void {
    this.#enter(connection, stream);
    this.#waits = true;
  }

  /** A request that never becomes an exchange. */
  refuse(connection: StreamConnection, stream: ServerStream, refusal: Refusal): void {
    this.#enter(connection, stream);
    this.requestDone = stream.remoteEnded;
    refuse(this.#ctx, this, refusal, stream.head, false);
    this.exchangeDone();
  }

  onData(buffer: Buffer, start: number, end: number): void {
    this.#begin();
    this.#untold += end - start;
    this.#exchange.onRequestBody(buffer, start, end);
  }

  onTrailers(lines: string): void {
    this.#begin();
    this.#exchange.onRequestTrailers(lines);
  }

  onEnd(): void {
    this.requestDone = true;
    if (!this.#waits) this.#exchange.onRequestEnd();
  }

  /** The client has given the stream up, or the connection has ended. */
  onReset(): void {
    if (this.#waits) this.#open().countAborted();
    else this.#exchange.abort();
    this.#leave();
  }

  /** What was read has been parsed: it goes to the endpoint, and as much more may come as that takes. */
  settle(): void {
    this.#begin();
    if (this.#stream !== undefined && this.#exchange.flushRequest()) this.resume();
  }

  resume(): void {
    const bytes = this.#untold;
    this.#untold = 0;
    if (bytes > 0 && this.#stream !== undefined) {
      this.#open().codec.consumed(this.#stream, bytes);
      this.#open().wake();
    }
  }

  /** There is room in the client's windows, or its socket has room again. */
  onWritable(): void {
    this.out.drain();
    if (this.out.blocked || this.#open().congested) return;
    if (this.#exchange.busy) this.#exchange.onClientDrain();
    else this.exchangeDone();
  }

  exchangeDone(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    if (!this.out.done) {
      this.#deadline = this.#ctx.deadlines.now + this.#ctx.settings.responseBodyTimeout;
      return;
    }
    // RFC 9113, 8.1: a complete answer, while the request is not wanted any more.
    if (!this.requestDone) this.#open().codec.reset(stream, CODE.NO_ERROR);
    this.#leave();
  }

  destroy(): void {
    if (this.#stream !== undefined) this.#open().codec.reset(this.#stream, CODE.INTERNAL_ERROR);
    this.#leave();
  }

  checkDeadline(now: number): void {
    if (this.#exchange.busy) this.#exchange.checkDeadline(now);
    else if (now >= this.#deadline) {
      this.#ctx.counters.limit('response_body_timeout');
      this.destroy();
    }
  }

  #open(): StreamConnection {
    if (this.#connection === undefined) throw new Error('a stream that is over is asked for its connection');
    return this.#connection;
  }

  #begin(): void {
    if (!this.#waits || this.#stream === undefined) return;
    this.#waits = false;
    this.#exchange.begin(this.#stream.head, true);
  }

  #enter(connection: StreamConnection, stream: ServerStream): void {
    this.#connection = connection;
    this.#stream = stream;
    this.requestDone = false;
    this.#untold = 0;
    this.#deadline = Infinity;
    this.out.open(connection, stream);
  }

  #leave(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#waits = false;
    // Whoever is kept for the next stream keeps no connection.
    if (this.#stream !== undefined) this.#stream.head.tls = NO_TLS;
    this.#connection = undefined;
    this.#stream = undefined;
    this.out.close();
    connection.wake();
    connection.release(this);
  }
}
