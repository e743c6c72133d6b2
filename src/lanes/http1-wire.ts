/** A request on a connection of HTTP/1.1 that it has for itself. */
import { CHUNK_END, chunkHeader, lastChunk } from '../http1/chunks.ts';
import type { HeadLimits } from '../http1/limits.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { ResponseParser } from '../http1/response-parser.ts';
import type { ResponseSink } from '../http1/response-parser.ts';
import type { UpstreamConnection } from '../upstream/connection.ts';
import type { RequestWire } from '../upstream/request-wire.ts';
import type { Upstreams } from '../upstream/upstreams.ts';

/** Reused for request after request, on whatever connection. */
export class Http1Wire implements RequestWire {
  readonly #upstreams: Upstreams;
  readonly #sink: ResponseSink;
  readonly #limits: HeadLimits;
  #parser: ResponseParser;
  #connection: UpstreamConnection | undefined;
  #chunked = false;

  constructor(upstreams: Upstreams, sink: ResponseSink, limits: HeadLimits) {
    this.#upstreams = upstreams;
    this.#sink = sink;
    this.#limits = limits;
    this.#parser = new ResponseParser(sink, limits);
  }

  /** The response is complete. */
  get done(): boolean {
    return this.#parser.done;
  }

  use(connection: UpstreamConnection): this {
    this.#connection = connection;
    return this;
  }

  begin(head: RequestHead, text: string): void {
    this.#chunked = head.chunked;
    this.#parser.reset(head.method);
    this.#connection?.out.text(text);
  }

  body(buffer: Buffer, start: number, end: number): void {
    const out = this.#connection?.out;
    if (out === undefined) return;
    if (this.#chunked) out.text(chunkHeader(end - start));
    out.range(buffer, start, end);
    if (this.#chunked) out.text(CHUNK_END);
  }

  end(trailers: string): void {
    if (this.#chunked) this.#connection?.out.text(lastChunk(trailers));
  }

  flush(): boolean {
    return this.#connection?.out.flushIn(this.#upstreams.writes) ?? true;
  }

  resume(): void {
    this.#connection?.socket.resume();
  }

  /** Parses what was read; returns how much of it belongs to the response. */
  read(buffer: Buffer, length: number): number {
    return this.#parser.execute(buffer, 0, length);
  }

  /** The endpoint has finished sending. */
  readEnd(): void {
    this.#parser.finish();
  }

  detach(): void {
    this.#parser.detach();
  }

  /** After a fault: a parser that was left in the middle of a response is of no further use. */
  renew(): void {
    this.#parser = new ResponseParser(this.#sink, this.#limits);
  }

  finish(reusable: boolean): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection === undefined) return;
    const { head } = this.#parser;
    // What was answered before it was sent is somebody else's, or nobody's.
    if (reusable && connection.out.isEmpty && head.keepAlive && !head.untilClose)
      this.#upstreams.release(connection, head.keepAliveTimeout);
    else connection.destroy();
  }
}
