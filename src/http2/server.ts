/** The server's side of a connection (RFC 9113): requests in, responses out. How a lane uses it: see `ServerEvents`. */
import type { Http1Error } from '../http1/error.ts';
import { Connection } from './connection.ts';
import type { ConnectionEvents } from './connection.ts';
import { MAX_31, SETTING } from './constants.ts';
import { CODE, ERRORS } from './error.ts';
import type { Http2Limits } from './limits.ts';
import { RequestReader } from './request-reader.ts';
import { ServerStream } from './stream.ts';
import { NOBODY } from './trailer-reader.ts';

/**
 * For the lane. `stream.head` is the `RequestHead` of HTTP/1 with its text and marks: fill in the address by
 * `Forwarding.lines`, ask `Plan.match(head, head.authority, head.target)` and `decide`, send `requestText(head, edits)` to
 * an HTTP/1.1 backend. What `responseText` makes of the backend's answer goes to `respond` as it is: fields of the
 * connection are left out, names lower-cased. An own answer is `ownAnswer`'s text up to its empty line, its body by `send`.
 */
export interface ServerEvents extends ConnectionEvents<ServerStream> {
  /**
   * A request begins. `stream.remoteEnded`: it has no body. `protocol`: of an extended CONNECT (RFC 8441), empty = none;
   * the head then is that of the GET with Upgrade which HTTP/1.1 has for it, without the fields that a handshake needs,
   * and the stream carries what follows a 200 both ways.
   */
  onHead(stream: ServerStream, protocol: string): void;
  /** A well-formed request that is refused: answer with `error.status`. Its body is thrown away, `onEnd` does not come. */
  onRefused(stream: ServerStream, error: Http1Error): void;
}

export class ServerConnection extends Connection<ServerStream> {
  readonly #reader: RequestReader;
  readonly #events: ServerEvents;
  /** The highest stream that the client has opened. */
  #lastId = 0;
  /** New streams are ignored. */
  #leaving = false;

  constructor(events: ServerEvents, limits: Http2Limits, clock: () => number) {
    super('server', events, limits, clock);
    this.#events = events;
    this.#reader = new RequestReader(limits);
    this.hello([
      [SETTING.maxConcurrentStreams, limits.streams],
      ...(limits.extendedConnect ? ([[SETTING.enableConnectProtocol, 1]] as const) : []),
    ]);
  }

  /**
   * Sends the head of the final response.
   * @param text an HTTP/1.1 head, empty line included
   * @param end there is no body
   * @param never names that must not be indexed (`ClientStream.never`)
   * @returns bytes of its field block
   */
  respond(stream: ServerStream, text: string, end: boolean, never: readonly string[] = []): number {
    this.encoder.response(text, never);
    return this.writeBlock(stream, end);
  }

  /** Sends a 1xx other than 101. */
  interim(stream: ServerStream, text: string): number {
    return this.respond(stream, text, false);
  }

  /** Asks the client to open no more streams; those that are under way already are served (6.8). */
  goawaySoon(): void {
    this.writer.goaway(MAX_31, CODE.NO_ERROR, '');
  }

  /** Ignores streams from now on. Close when `streams` is 0. */
  goawayNow(): void {
    this.#leaving = true;
    this.writer.goaway(this.lastTaken, CODE.NO_ERROR, '');
  }

  protected isIdle(id: number): boolean {
    return id % 2 === 0 || id > this.#lastId;
  }

  protected newStream(): ServerStream {
    return new ServerStream();
  }

  protected onOtherBlock(id: number, endStream: boolean, buffer: Buffer, start: number, end: number): void {
    if (id % 2 === 0) return this.fail(ERRORS.badStreamId);
    if (id <= this.#lastId) return this.onLateBlock(id, buffer, start, end);
    this.#lastId = id;
    if (this.#leaving) {
      if (this.decode(buffer, start, end, NOBODY)) this.ignore(id);
      return;
    }
    this.lastTaken = id;
    if (this.open.size < this.limits.streams) this.#read(id, endStream, buffer, start, end);
    else if (this.decode(buffer, start, end, NOBODY)) this.onFrameError(id, ERRORS.tooManyStreams);
  }

  #read(id: number, endStream: boolean, buffer: Buffer, start: number, end: number): void {
    const stream = this.takeStream(id);
    const reader = this.#reader;
    reader.begin(stream.head);
    if (!this.decode(buffer, start, end, reader)) return;
    const fault = reader.finish(endStream);
    if (fault === undefined) this.#begin(stream, endStream);
    else {
      this.recycle(stream);
      this.onFrameError(id, fault);
    }
  }

  #begin(stream: ServerStream, endStream: boolean): void {
    const { refusal, protocol, never } = this.#reader;
    const { id } = stream;
    this.open.add(stream);
    stream.headSeen = true;
    if (protocol === '') stream.expected = stream.head.contentLength;
    if (never.length > 0) stream.never = [...never];
    stream.remoteEnded = endStream;
    stream.tunnel = protocol !== '';
    if (refusal !== undefined) {
      stream.deaf = true;
      this.#events.onRefused(stream, refusal);
      return;
    }
    this.#events.onHead(stream, protocol);
    // The lane may have answered and ended it at once.
    if (endStream && this.open.get(id) === stream) this.#events.onEnd(stream);
  }

  protected onStreamBlock(stream: ServerStream, endStream: boolean, buffer: Buffer, start: number, end: number): void {
    this.readTrailers(stream, !stream.tunnel, endStream, buffer, start, end);
  }
}
