/** Sans-io parser of requests: bytes in, events out, one message at a time. */
import { BodyReader } from './body-reader.ts';
import type { BodySink } from './body-reader.ts';
import { BARE_LF, Collector, MORE, TOO_LONG } from './collector.ts';
import { ERRORS } from './error.ts';
import type { Http1Error } from './error.ts';
import { TOKEN_BYTES } from './grammar.ts';
import type { HeadLimits } from './limits.ts';
import { latin1 } from './latin1.ts';
import { readRequestHead, readScannedRequest } from './read-request.ts';
import { RequestHead } from './request-head.ts';
import { NO_HEAD, scanRequest } from './scan.ts';

export interface RequestSink extends BodySink {
  /** The head object belongs to the parser and is valid until its `reset()`. */
  onHead(head: RequestHead): void;
  /** The message is complete. */
  onEnd(): void;
  /** The parser consumes nothing afterwards, and `reset()` does not revive it. */
  onError(error: Http1Error): void;
}

const START = 0;
const HEAD = 1;
const BODY = 2;
const DONE = 3;
const DETACHED = 4;
const DEAD = 5;

/** RFC 9112, 2.2: robust against clients that end a body with one CR LF too many. */
const MAX_EMPTY_LINES = 2;

export class RequestParser {
  readonly head = new RequestHead();
  private state = START;
  private emptyLines = 0;
  private crSeen = false;
  private readonly sink: RequestSink;
  private readonly limits: HeadLimits;
  private readonly collector = new Collector();
  private readonly body: BodyReader;

  constructor(sink: RequestSink, limits: HeadLimits) {
    this.sink = sink;
    this.limits = limits;
    this.body = new BodyReader(limits, this.collector);
  }

  /** True while nothing of a message has been seen, empty lines excepted. */
  get idle(): boolean {
    return this.state === START;
  }

  /** True once the message is complete. */
  get done(): boolean {
    return this.state === DONE;
  }

  /** Readies the parser and its head for the next message. */
  reset(): void {
    if (this.state === DEAD) return;
    this.state = START;
    this.emptyLines = 0;
    this.crSeen = false;
    this.collector.reset();
    this.head.reset();
  }

  /** Called from within a sink's method: `execute` returns right behind what was just delivered and parses nothing more. */
  detach(): void {
    if (this.state === DEAD) return;
    this.state = DETACHED;
    this.body.stopped = true;
  }

  /** Consumes bytes up to the end of one message at most; returns the index behind the last byte consumed. */
  execute(buffer: Buffer, start: number, end: number): number {
    let at = start;
    if (this.state === START && at < end) at = this.skipEmptyLines(buffer, at, end);
    if (this.state === HEAD && at < end) at = this.readHead(buffer, at, end);
    if (this.state === BODY && at < end) at = this.readBody(buffer, at, end);
    return at;
  }

  private skipEmptyLines(buffer: Buffer, start: number, end: number): number {
    for (let at = start; at < end; at++) {
      const byte = buffer[at] ?? 0;
      if (this.crSeen) {
        if (byte !== 10) return this.fail(ERRORS.badRequestLine, at);
        this.crSeen = false;
        this.emptyLines++;
      } else if (byte === 13 && this.emptyLines < MAX_EMPTY_LINES) this.crSeen = true;
      else if (TOKEN_BYTES[byte] === 1) {
        this.state = HEAD;
        return at;
      } else return this.fail(byte === 10 ? ERRORS.bareLf : ERRORS.badRequestLine, at);
    }
    return end;
  }

  /** Nearly every head comes in one piece: it is read where it stands. */
  private readHead(buffer: Buffer, start: number, end: number): number {
    const { collector, head, limits } = this;
    const at = collector.empty ? scanRequest(buffer, start, Math.min(end, start + limits.head)) : NO_HEAD;
    if (at === NO_HEAD) return this.collectHead(buffer, start, end);
    return this.handOn(at, readScannedRequest(head, latin1(buffer, start, at), buffer, start, limits));
  }

  private collectHead(buffer: Buffer, start: number, end: number): number {
    const collector = this.collector;
    const at = collector.take(buffer, start, end, this.limits.head);
    if (at < 0) {
      if (at === MORE) return end;
      return this.fail(at === TOO_LONG ? this.tooLong() : at === BARE_LF ? ERRORS.bareLf : ERRORS.badRequestLine, end);
    }
    const text = collector.text;
    collector.reset();
    return this.handOn(at, readRequestHead(this.head, text, this.limits));
  }

  /** The head ends before `at`, and has been read. */
  private handOn(at: number, fault: Http1Error | undefined): number {
    if (fault !== undefined) return this.fail(fault, at);
    const head = this.head;
    if (head.chunked) this.body.beginChunked();
    else this.body.beginLength(head.contentLength < 0 ? 0 : head.contentLength);
    this.state = BODY;
    this.sink.onHead(head);
    if (this.state === BODY && this.body.done) this.finish();
    return at;
  }

  private readBody(buffer: Buffer, start: number, end: number): number {
    const at = this.body.read(buffer, start, end, this.sink);
    if (this.state !== BODY) return at;
    if (this.body.error !== undefined) return this.fail(this.body.error, at);
    if (this.body.done) this.finish();
    return at;
  }

  private finish(): void {
    this.state = DONE;
    this.sink.onEnd();
  }

  /** RFC 9112, 3: 414 when the request line alone is too long. */
  private tooLong(): Http1Error {
    const line = this.collector.text.indexOf('\r\n');
    return line < 0 || line > this.limits.target + 32 ? ERRORS.targetTooLong : ERRORS.headTooLarge;
  }

  private fail(fault: Http1Error, at: number): number {
    this.state = DEAD;
    this.collector.reset();
    this.sink.onError(fault);
    return at;
  }
}
