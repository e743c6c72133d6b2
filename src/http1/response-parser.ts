/** Sans-io parser of backends' responses: as strict as that of requests, since whatever passes reaches a client. */
import { BodyReader } from './body-reader.ts';
import type { BodySink } from './body-reader.ts';
import { BARE_LF, Collector, MORE } from './collector.ts';
import { asBackendError, ERRORS } from './error.ts';
import type { Http1Error } from './error.ts';
import type { HeadLimits } from './limits.ts';
import { latin1 } from './latin1.ts';
import { readResponseHead, readScannedResponse } from './read-response.ts';
import { ResponseHead } from './response-head.ts';
import { NO_HEAD, scanResponse } from './scan.ts';

export interface ResponseSink extends BodySink {
  /** A 1xx other than 101; the head object is reused for the next one. */
  onInterim(head: ResponseHead): void;
  /** The final head, or a 101, after which the parser is detached. Valid until `reset()`. */
  onHead(head: ResponseHead): void;
  onEnd(): void;
  /** Status is always 502. The parser consumes nothing afterwards, and `reset()` does not revive it. */
  onError(error: Http1Error): void;
}

const START = 0;
const HEAD = 1;
const BODY = 2;
const DONE = 3;
const DETACHED = 4;
const DEAD = 5;

export class ResponseParser {
  readonly head = new ResponseHead();
  private state = START;
  private method = 'GET';
  private readonly sink: ResponseSink;
  private readonly limits: HeadLimits;
  private readonly collector = new Collector();
  private readonly body: BodyReader;

  constructor(sink: ResponseSink, limits: HeadLimits) {
    this.sink = sink;
    this.limits = limits;
    this.body = new BodyReader(limits, this.collector);
  }

  /** True while no byte of a response has been seen since the last `reset()`. */
  get idle(): boolean {
    return this.state === START;
  }

  get done(): boolean {
    return this.state === DONE;
  }

  /** Readies the parser for the response to a request with this method. */
  reset(method: string): void {
    if (this.state === DEAD) return;
    this.state = START;
    this.method = method;
    this.collector.reset();
    this.head.reset();
  }

  /** As in RequestParser. */
  detach(): void {
    if (this.state === DEAD) return;
    this.state = DETACHED;
    this.body.stopped = true;
  }

  /** Consumes bytes up to the end of the response at most: bytes left over are a backend's that speaks unasked. */
  execute(buffer: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && (this.state === START || this.state === HEAD)) at = this.readHead(buffer, at, end);
    if (this.state === BODY && at < end) at = this.readBody(buffer, at, end);
    return at;
  }

  /** The backend has closed its side: ends a body that lasts until then and is an error in any other unfinished response. */
  finish(): void {
    if (this.state === BODY && this.body.untilClose) this.complete();
    else if (this.state < DONE) this.fail(ERRORS.closedEarly, 0);
  }

  /** Nearly every head comes in one piece: it is read where it stands. */
  private readHead(buffer: Buffer, start: number, end: number): number {
    // No response starts otherwise: whoever sends something else is told at once, however slowly it comes.
    if (this.state === START && buffer[start] !== 72) return this.fail(ERRORS.badStatusLine, start);
    const { collector, head, limits } = this;
    const at = collector.empty ? scanResponse(buffer, start, Math.min(end, start + limits.head)) : NO_HEAD;
    this.state = HEAD;
    if (at === NO_HEAD) return this.collectHead(buffer, start, end);
    return this.handOn(at, readScannedResponse(head, latin1(buffer, start, at), buffer, start, limits, this.method));
  }

  private collectHead(buffer: Buffer, start: number, end: number): number {
    const at = this.collector.take(buffer, start, end, this.limits.head);
    if (at < 0) {
      if (at === MORE) return end;
      return this.fail(at === BARE_LF ? ERRORS.bareLf : ERRORS.headTooLarge, end);
    }
    const text = this.collector.text;
    this.collector.reset();
    return this.handOn(at, readResponseHead(this.head, text, this.limits, this.method));
  }

  /** The head ends before `at`, and has been read. */
  private handOn(at: number, fault: Http1Error | undefined): number {
    if (fault !== undefined) return this.fail(fault, at);
    const head = this.head;
    if (head.status >= 200 || head.status === 101) this.begin(head);
    else {
      this.state = START;
      this.sink.onInterim(head);
      head.reset();
    }
    return at;
  }

  private begin(head: ResponseHead): void {
    if (head.status === 101) {
      this.state = DETACHED;
      this.sink.onHead(head);
      return;
    }
    if (head.bodyless) this.body.beginLength(0);
    else if (head.chunked) this.body.beginChunked();
    else if (head.untilClose) this.body.beginUntilClose();
    else this.body.beginLength(head.contentLength);
    this.state = BODY;
    this.sink.onHead(head);
    if (this.state === BODY && this.body.done) this.complete();
  }

  private readBody(buffer: Buffer, start: number, end: number): number {
    const at = this.body.read(buffer, start, end, this.sink);
    if (this.state !== BODY) return at;
    if (this.body.error !== undefined) return this.fail(this.body.error, at);
    if (this.body.done) this.complete();
    return at;
  }

  private complete(): void {
    this.state = DONE;
    this.sink.onEnd();
  }

  private fail(fault: Http1Error, at: number): number {
    this.state = DEAD;
    this.collector.reset();
    this.sink.onError(asBackendError(fault));
    return at;
  }
}
