/** One request and its response, whatever lane they came by: from the head to the last byte, over one endpoint's connection. */
import { editCookies } from '../affinity/cookies.ts';
import type { Http1Error } from '../http1/error.ts';
import type { HeadLimits } from '../http1/limits.ts';
import { HeldBytes } from '../http1/held-bytes.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { interimText, requestText } from '../http1/serialize.ts';
import type { ErrorSource } from '../shared/layout.ts';
import type { UpstreamConnection, UpstreamHandler } from '../upstream/connection.ts';
import type { DialFailure, RequestWire, StreamHandler } from '../upstream/request-wire.ts';
import { UpstreamStream } from '../upstream/http2-stream.ts';
import { noEndpoint, ownAnswer, REFUSALS, toHttps, UNMATCHED } from './answer.ts';
import type { Refusal } from './answer.ts';
import { Attempts } from './attempts.ts';
import type { AttemptOwner } from './attempts.ts';
import { certificateLines } from './client-certificate.ts';
import type { ClientOut } from './client-out.ts';
import type { LaneContext } from './context.ts';
import { requestIdOf } from './forwarding.ts';
import type { Forwarding } from './forwarding.ts';
import { grpcTimeout } from './grpc.ts';
import { requestHeaderEdits, responseHeaderEdits } from './header-edits.ts';
import { Http1Wire } from './http1-wire.ts';
import { Plan } from './plan.ts';
import { Record } from './record.ts';
import { ResponseWriter } from './response-writer.ts';

/** Methods that may be sent a second time (RFC 9110 section 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** Bytes of a body that are kept for an endpoint of HTTP/2, which may send it back unseen as it goes (RFC 9113 section 6.8). */
const KEPT_BODY = 16 * 1024;

/** A request that ends its backend shall not do so again and again. */
const MAX_FRESH_FAILURES = 1;
/** Endpoints that go away one after another, as in a rolling update. */
const MAX_RETURNS = 3;
/** A backend that sends more 1xx than this never comes to the point. */
const MAX_INTERIMS = 32;

/** The client's connection or stream, as far as an exchange uses it. */
export interface ExchangeClient {
  readonly out: ClientOut;
  readonly forwarding: Forwarding;
  /** The current request is complete. */
  readonly requestDone: boolean;
  /** Within its parser: what is read may bring more of the request at once. */
  readonly parsing: boolean;
  /** More of the request's body is wanted. */
  resume(): void;
  /** Cuts the response off in its middle. */
  destroy(): void;
  /** The exchange is over. `keepAlive`: another request may follow. */
  exchangeDone(keepAlive: boolean): void;
}

/** Reused for request after request. */
export class Exchange implements AttemptOwner, UpstreamHandler, StreamHandler {
  /** A request is under way. */
  busy = false;
  readonly #ctx: LaneContext;
  readonly #client: ExchangeClient;
  readonly #plan: Plan;
  readonly #attempts: Attempts<UpstreamConnection | UpstreamStream>;
  readonly #record: Record;
  readonly #writer: ResponseWriter;
  readonly #editCookieLine: (value: string) => string;
  readonly #http1: Http1Wire;
  /** The request's way to its endpoint, once it is sent. */
  #wire: RequestWire;
  #head: RequestHead | undefined;
  #requestId = '';
  /** The head for the backend; kept, so that it can be sent a second time. */
  #text = '';
  /** What came of the body before there was a connection. */
  #waiting = new HeldBytes();
  /** What was sent of the body, as long as all of it can be sent again. */
  #kept = new HeldBytes();
  #keeps = false;
  #trailers = '';
  #keepAlive = true;
  /** The head has been handed to a connection. */
  #sent = false;
  #bodySeen = false;
  /** The endpoint has begun to answer. */
  #answered = false;
  /** The response's head is on its way to the client. */
  #responded = false;
  /** What is wrong with the response; acted upon when its parser has returned, since another exchange may follow at once. */
  #fault: Refusal | undefined;
  /** It was not answered before, and has been sent again. */
  #repeated = false;
  /** Fresh connections that were closed without an answer, and whatever failed once more. */
  #freshFailures = 0;
  /** Times that an endpoint has sent the request back unseen. */
  #returns = 0;
  /** Interim responses so far. */
  #interims = 0;
  #clientPaused = false;
  #upstreamPaused = false;
  /** Wall clock ms. The request's: for more of its body. The response's: for its head, then for more of its body. */
  #requestDeadline = Infinity;
  #responseDeadline = Infinity;

  constructor(ctx: LaneContext, limits: HeadLimits, client: ExchangeClient) {
    this.#ctx = ctx;
    this.#client = client;
    this.#plan = new Plan(ctx);
    const { upstreams } = ctx;
    this.#attempts = new Attempts(ctx, this.#plan, this, (endpoint, fresh) => {
      const { http2, tls, proxyProtocol } = this.#plan;
      const pools = client.forwarding.arrival.pools(proxyProtocol, upstreams);
      if (http2) return upstreams.stream(endpoint, this, pools, tls);
      return fresh ? upstreams.dial(endpoint, this, pools, tls) : upstreams.acquire(endpoint, this, pools, tls);
    });
    this.#record = new Record(ctx, this.#plan);
    this.#writer = new ResponseWriter(ctx, this.#plan, client);
    this.#http1 = new Http1Wire(upstreams, this, limits);
    this.#wire = this.#http1;
    this.#editCookieLine = (value) => {
      const live = this.#plan.policy;
      return live === undefined ? value : editCookies(value, live);
    };
  }

  /** An interim response would not disturb the client: none has been sent, and it speaks HTTP/1.1. */
  get mayProbe(): boolean {
    return this.busy && !this.#responded && this.#head?.minor === 1;
  }

  get mayShed(): boolean {
    return this.busy && this.#keepAlive && !this.#responded;
  }

  /** The connection ends with this response, if its head has not been written yet. */
  endAfterThis(): void {
    this.#keepAlive = false;
  }

  /** `keepAlive`: another request may follow on the connection. */
  begin(head: RequestHead, keepAlive: boolean): void {
    const { settings, deadlines } = this.#ctx;
    this.busy = true;
    this.#ctx.counters.exchange(1);
    this.#head = head;
    this.#sent = this.#bodySeen = this.#answered = this.#responded = false;
    this.#clientPaused = this.#upstreamPaused = false;
    this.#interims = 0;
    this.#repeated = false;
    this.#freshFailures = 0;
    this.#returns = 0;
    this.#trailers = '';
    this.#keeps = false;
    this.#fault = undefined;
    this.#requestId = requestIdOf(head, this.#ctx);
    this.#keepAlive = keepAlive && !this.#ctx.draining;
    this.#record.begin(head, this.#requestId, this.#client.out.bytes);
    this.#requestDeadline = head.hasBody ? deadlines.now + settings.bodyTimeout : Infinity;
    this.#responseDeadline = Infinity;
    const forwarded = this.#client.forwarding.lines(head, this.#requestId);
    const status = this.#plan.match(head, head.authority, head.target);
    if (status === 308) return this.refuse(toHttps(head.host, this.#ctx.publicPorts.https, head.target));
    if (status !== 0) {
      if (status === 400) this.#keepAlive = false;
      return this.refuse(UNMATCHED[status], 'client');
    }
    const { endpoints, policy, route } = this.#plan;
    if (endpoints === undefined) return this.refuse(REFUSALS.noBackend, 'internal');
    const extra = forwarded + certificateLines(route?.route.clientVerification, head.tls);
    const edits = policy?.editsCookies === true;
    const named = requestHeaderEdits(this.#plan, this.#ctx);
    this.#text = requestText(head, { extra, editCookieLine: edits ? this.#editCookieLine : undefined, named });
    this.#attempts.start();
  }

  onRequestBody(buffer: Buffer, start: number, end: number): void {
    if (!this.busy) return;
    this.#bodySeen = true;
    this.#record.bytesIn += end - start;
    this.#requestDeadline = this.#ctx.deadlines.now + this.#ctx.settings.bodyTimeout;
    if (this.#sent) {
      this.#keep(buffer, start, end);
      this.#wire.body(buffer, start, end);
    } else this.#waiting.add(buffer, start, end);
  }

  onRequestTrailers(lines: string): void {
    if (this.busy) this.#trailers = lines;
  }

  onRequestEnd(): void {
    if (!this.busy) return;
    this.#requestDeadline = Infinity;
    if (this.#sent) this.#endRequest();
  }

  /** Sends what the last read gave. False = the client has to wait. */
  flushRequest(): boolean {
    if (!this.busy) return true;
    // A request that is complete waits in memory, while the socket is read on: its client may go away.
    const writable = this.#sent ? this.#wire.flush() : this.#waiting.isEmpty || this.#client.requestDone;
    this.#clientPaused = !writable;
    return writable;
  }

  onClientDrain(): void {
    if (!this.#upstreamPaused) return;
    this.#upstreamPaused = false;
    this.#responseDeadline = this.#ctx.deadlines.now + this.#ctx.settings.responseBodyTimeout;
    this.#wire.resume();
  }

  onUpstreamConnected(): void {
    const { connection } = this.#attempts;
    if (connection === undefined || this.#head === undefined) return;
    // HTTP/2 cannot say it (RFC 9113 section 8.3.1), and servers end the connection for it, with everybody's streams.
    if (this.#plan.http2 && this.#head.authority === '') return this.refuse(REFUSALS.noAuthority, 'client');
    if (this.#attempts.holds()) return;
    if (!this.#record.connected() && this.#attempts.adopt()) return;
    this.#sent = true;
    this.#wire = connection instanceof UpstreamStream ? connection : this.#http1.use(connection);
    this.#wire.begin(this.#head, this.#text);
    this.#keeps = this.#plan.http2;
    this.#kept.clear();
    for (const bytes of this.#waiting.pieces) {
      this.#keep(bytes, 0, bytes.length);
      this.#wire.body(bytes, 0, bytes.length);
    }
    this.#waiting.clear();
    // What has no body is complete for the endpoint, whenever its client says so.
    if (this.#client.requestDone || !this.#head.hasBody) this.#endRequest();
    // While the request is being parsed its body may follow in the same write.
    if (this.#client.parsing) return;
    if (this.#wire.flush()) this.#resumeClient();
  }

  onUpstreamDialFailed(failure: DialFailure): void {
    this.#attempts.dialFailed(failure);
  }

  onNoEndpoint(status: number, code: string): void {
    const refusal = noEndpoint(status, code);
    this.refuse(refusal, refusal.source);
  }

  onUpstreamDrain(): void {
    this.#requestDeadline = this.#client.requestDone
      ? Infinity
      : this.#ctx.deadlines.now + this.#ctx.settings.bodyTimeout;
    this.#resumeClient();
  }

  onUpstreamData(buffer: Buffer, length: number): boolean {
    if (this.#attempts.interrupted()) return true;
    this.#answered = true;
    const at = this.#http1.read(buffer, length);
    // More than was asked for would be the answer to somebody else's request: such a connection is not used again.
    return this.#afterRead(this.#http1.done, at === length);
  }

  onUpstreamRead(done: boolean): boolean {
    return this.#afterRead(done, true);
  }

  /** What was read is parsed. `clean`: it held nothing else. */
  #afterRead(done: boolean, clean: boolean): boolean {
    if (this.#fault !== undefined) return this.#refuseFaulty(this.#fault);
    const writable = this.#client.out.flush();
    if (done) {
      this.#finish(clean);
      return true;
    }
    if (this.#responded) this.#responseDeadline = this.#ctx.deadlines.now + this.#ctx.settings.responseBodyTimeout;
    this.#upstreamPaused = !writable;
    return writable;
  }

  onUpstreamEnd(): void {
    if (this.#attempts.interrupted()) return;
    if (!this.#answered) {
      const connection = this.#attempts.connection;
      this.#onUnanswered(connection?.reused === true);
      if (this.#attempts.connection !== connection) connection?.destroy();
      return;
    }
    this.#http1.readEnd();
    if (this.#fault !== undefined) {
      this.#refuseFaulty(this.#fault);
      return;
    }
    this.#client.out.flush();
    this.#finish(false);
  }

  /** The response cannot be used, and its parser is in the middle of it. */
  #refuseFaulty(fault: Refusal): true {
    this.#http1.renew();
    this.refuse(fault, 'upstream');
    return true;
  }

  onUpstreamClosed(unseen = false): void {
    if (this.#attempts.interrupted()) return;
    if (this.#answered) this.refuse(REFUSALS.closedEarly, 'upstream');
    else if (unseen && this.#keeps && ++this.#returns <= MAX_RETURNS) this.#sendAgain();
    else this.#onUnanswered(this.#attempts.connection?.reused === true);
  }

  onInterim(head: ResponseHead): void {
    this.#answered = true;
    this.#forget();
    if (++this.#interims > MAX_INTERIMS) {
      this.#fault = REFUSALS.badResponse;
      this.#wire.detach();
      return;
    }
    if (this.#head?.minor === 1) {
      const named = responseHeaderEdits(this.#plan, this.#ctx, this.#head, head);
      this.#client.out.interim(interimText(head, named));
    }
  }

  onHead(head: ResponseHead): void {
    if (this.#head === undefined) return;
    this.#answered = true;
    this.#forget();
    if (head.status === 101) {
      this.#fault = REFUSALS.badResponse;
      return;
    }
    this.#responded = true;
    // An early answer: the rest of the request will not be waited for. A shutdown that has begun since: the last answer.
    if (!this.#client.requestDone || this.#ctx.draining) this.#keepAlive = false;
    this.#keepAlive = this.#writer.head(head, this.#head, this.#keepAlive);
    this.#record.answered(this.#writer.issued, head);
    this.#record.status = head.status;
    this.#responseDeadline = this.#ctx.deadlines.now + this.#ctx.settings.responseBodyTimeout;
  }

  onBody(buffer: Buffer, start: number, end: number): void {
    this.#writer.body(buffer, start, end);
  }

  onTrailers(lines: string): void {
    this.#writer.trailers = lines;
  }

  onEnd(): void {
    this.#writer.end();
  }

  onError(error: Http1Error): void {
    const message = `The backend sent a malformed response: ${error.reason}`;
    this.#fault = { ...REFUSALS.badResponse, code: error.code, message };
  }

  /** Ends the exchange with an answer of our own, or by cutting the connection when the response has begun. `source`: whose error it is, if it is one. */
  refuse(refusal: Refusal, source?: ErrorSource): void {
    if (!this.busy) return;
    this.#record.settle(this.#sent);
    this.#attempts.cancel();
    if (source !== undefined) this.#ctx.counters.error(source, refusal.status);
    if (this.#responded) {
      this.#end();
      this.#client.destroy();
      return;
    }
    const complete = this.#client.requestDone || this.#head?.hasBody === false;
    const keepAlive = this.#keepAlive && complete && !this.#ctx.draining;
    this.#client.out.answer(ownAnswer(this.#ctx, refusal, this.#head, this.#requestId, !keepAlive));
    this.#client.out.flush();
    this.#record.status = refusal.status;
    this.#end();
    this.#client.exchangeDone(keepAlive);
  }

  /** The client is gone: the endpoint is not to blame. */
  abort(): void {
    if (!this.busy) return;
    this.#record.settle(this.#sent);
    this.#record.status = 499;
    this.#ctx.counters.error('client', 499);
    this.#attempts.cancel();
    this.#end();
  }

  checkDeadline(now: number): void {
    const { counters } = this.#ctx;
    if (this.busy) this.#record.during(now);
    // Nobody takes the body yet: the client is not to blame for that.
    if (this.#attempts.waiting && this.#requestDeadline !== Infinity)
      this.#requestDeadline = now + this.#ctx.settings.bodyTimeout;
    if (now >= this.#requestDeadline) {
      counters.limit('body_timeout');
      if (this.#clientPaused) this.refuse(REFUSALS.sendTimeout, 'upstream');
      else this.refuse(REFUSALS.bodyTimeout, 'client');
    } else if (now >= this.#responseDeadline) {
      counters.limit(this.#responded ? 'response_body_timeout' : 'response_timeout');
      this.refuse(REFUSALS.responseTimeout, this.#upstreamPaused ? 'client' : 'upstream');
    }
  }

  /** The request is complete and handed over: now the backend's time runs. */
  #endRequest(): void {
    this.#wire.end(this.#trailers);
    if (!this.#responded) this.#responseDeadline = this.#ctx.deadlines.now + this.#responseTimeout();
  }

  /** ms. A gRPC call has its own. */
  #responseTimeout(): number {
    const { responseTimeout } = this.#ctx.settings;
    return (this.#plan.http2 && this.#head && grpcTimeout(this.#head)) || responseTimeout;
  }

  /**
   * Closed before the first byte of an answer: on a connection that was used before, the backend's keep-alive time-out
   * may have run out just then; on a new one the backend may have ended between accepting and reading, as a pod does
   * that is being replaced. What is safe to send twice is sent again, to the same endpoint (RFC 9110 section 9.2.2).
   */
  #onUnanswered(reused: boolean): void {
    const method = this.#head?.method ?? '';
    // Over HTTP/2 the next try, too, goes over a connection that was used.
    if (!reused || this.#repeated) this.#freshFailures++;
    if (
      this.#freshFailures > MAX_FRESH_FAILURES ||
      this.#bodySeen ||
      this.#head?.hasBody === true ||
      !IDEMPOTENT.has(method)
    ) {
      return this.refuse(REFUSALS.closedEarly, 'upstream');
    }
    this.#repeated = true;
    this.#kept.clear();
    this.#sendAgain();
  }

  /** The request as it was kept. */
  #sendAgain(): void {
    this.#sent = false;
    [this.#waiting, this.#kept] = [this.#kept, this.#waiting];
    this.#attempts.again();
  }

  /** Copies what goes to an endpoint that may not look at it. */
  #keep(buffer: Buffer, start: number, end: number): void {
    if (!this.#keeps) return;
    this.#kept.add(buffer, start, end);
    if (this.#kept.length > KEPT_BODY) this.#forget();
  }

  /** The request is not sent again. */
  #forget(): void {
    this.#keeps = false;
    this.#kept.clear();
  }

  /** The response is complete. `clean`: the connection held nothing else. */
  #finish(clean: boolean): void {
    this.#wire.finish(clean && this.#client.requestDone);
    const keepAlive = this.#keepAlive;
    this.#end();
    this.#client.exchangeDone(keepAlive);
  }

  #end(): void {
    this.#attempts.leave();
    this.#record.end(this.#client.out.bytes);
    this.busy = false;
    this.#ctx.counters.exchange(-1);
    this.#waiting.clear();
    this.#forget();
    this.#text = '';
    this.#requestDeadline = this.#responseDeadline = Infinity;
  }

  #resumeClient(): void {
    if (!this.#clientPaused) return;
    this.#clientPaused = false;
    this.#client.resume();
  }
}
