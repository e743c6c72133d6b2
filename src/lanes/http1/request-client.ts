/** A client as an exchange sees it whose request came on a connection of HTTP/1.1, and the parser of that request. */
import type { Http1Error } from '../../http1/error.ts';
import type { HeadLimits } from '../../http1/limits.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import { RequestParser } from '../../http1/request-parser.ts';
import type { RequestSink } from '../../http1/request-parser.ts';
import type { ClientOut } from '../client-out.ts';
import type { LaneContext } from '../context.ts';
import { Exchange } from '../exchange.ts';
import type { ExchangeClient } from '../exchange.ts';
import type { Forwarding } from '../forwarding.ts';

/** The connection of a request. */
export interface RequestConnection {
  readonly out: ClientOut;
  readonly forwarding: Forwarding;
  onHead(head: RequestHead): void;
  onError(error: Http1Error): void;
  resume(): void;
  destroy(): void;
  exchangeDone(keepAlive: boolean): void;
}

/** Reused for request after request, on whatever connection. */
export class RequestClient implements RequestSink, ExchangeClient {
  readonly parser: RequestParser;
  readonly exchange: Exchange;
  /** Within `read`: what follows the end of an exchange has to wait until the parser has returned. */
  parsing = false;
  #connection: RequestConnection | undefined;

  constructor(ctx: LaneContext, limits: HeadLimits) {
    this.parser = new RequestParser(this, limits);
    this.exchange = new Exchange(ctx, limits, this);
  }

  get out(): ClientOut {
    return this.#open().out;
  }

  get forwarding(): Forwarding {
    return this.#open().forwarding;
  }

  /** The current request is complete. */
  get requestDone(): boolean {
    return this.parser.done;
  }

  enter(connection: RequestConnection): this {
    this.#connection = connection;
    return this;
  }

  /** The request and its answer are complete. */
  leave(): void {
    this.#connection = undefined;
    this.parser.reset();
  }

  /** Parses bytes of this request; returns the index behind the last one. */
  read(buffer: Buffer, start: number, end: number): number {
    this.parsing = true;
    const at = this.parser.execute(buffer, start, end);
    this.parsing = false;
    return at;
  }

  onHead(head: RequestHead): void {
    this.#open().onHead(head);
  }

  onBody(buffer: Buffer, start: number, end: number): void {
    this.exchange.onRequestBody(buffer, start, end);
  }

  onTrailers(lines: string): void {
    this.exchange.onRequestTrailers(lines);
  }

  onEnd(): void {
    this.exchange.onRequestEnd();
  }

  onError(error: Http1Error): void {
    this.#open().onError(error);
  }

  resume(): void {
    this.#open().resume();
  }

  destroy(): void {
    this.#open().destroy();
  }

  exchangeDone(keepAlive: boolean): void {
    this.#open().exchangeDone(keepAlive);
  }

  #open(): RequestConnection {
    if (this.#connection === undefined) throw new Error('a request that is over is asked for its connection');
    return this.#connection;
  }
}
