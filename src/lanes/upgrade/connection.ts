/** One WebSocket connection: handshake, 101, and the clean end when its endpoint has to let it go. */
import { Agent } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { ServerOptions } from 'http-proxy-3';
import { editSetCookie } from '../../affinity/backend-cookies.ts';
import { editCookies } from '../../affinity/cookies.ts';
import { issueToken } from '../../affinity/issue.ts';
import type { HeadLimits } from '../../http1/limits.ts';
import { readResponseHead } from '../../http1/read-response.ts';
import { cookieName, ResponseHead } from '../../http1/response-head.ts';
import { requestText } from '../../http1/serialize.ts';
import type { Timed } from '../../io/deadlines.ts';
import { SocketStream } from '../../io/socket-stream.ts';
import { DRAINING } from '../../model/live.ts';
import { GAUGE } from '../../shared/layout.ts';
import type { ErrorSource } from '../../shared/layout.ts';
import type { UpstreamConnection, UpstreamHandler } from '../../upstream/connection.ts';
import type { DialFailure } from '../../upstream/request-wire.ts';
import { LINGER_MS, noEndpoint, ownAnswer, REFUSALS, toHttps, UNMATCHED } from '../answer.ts';
import type { Refusal } from '../answer.ts';
import { Attempts } from '../attempts.ts';
import type { AttemptOwner } from '../attempts.ts';
import { certificateLines } from '../client-certificate.ts';
import type { ClientOut } from '../client-out.ts';
import type { LaneContext } from '../context.ts';
import { requestIdOf } from '../forwarding.ts';
import { requestHeaderEdits, responseHeaderEdits } from '../header-edits.ts';
import { Plan } from '../plan.ts';
import { Record } from '../record.ts';
import { ResponseWriter } from '../response-writer.ts';
import type { UpgradeRequest } from '../upgrade-request.ts';
import { FrameTracker, GOING_AWAY, GOING_AWAY_MASKED } from './frames.ts';
import { handshakeFault, handshakeMessage, switchingHeaders } from './handshake.ts';

type Forward = (message: IncomingMessage, options: ServerOptions) => void;

/** Yields the one stream that is connected already. */
class ConnectedAgent extends Agent {
  readonly #stream: SocketStream;

  constructor(stream: SocketStream) {
    super({ keepAlive: false });
    this.#stream = stream;
  }

  override createConnection(): SocketStream {
    return this.#stream;
  }
}

export class UpgradedConnection implements AttemptOwner, UpstreamHandler, Timed {
  readonly client: SocketStream;
  readonly #ctx: LaneContext;
  readonly #limits: HeadLimits;
  readonly #request: UpgradeRequest;
  readonly #forward: Forward;
  readonly #plan: Plan;
  readonly #attempts: Attempts<UpstreamConnection>;
  readonly #record: Record;
  readonly #out: ClientOut;
  readonly #toClient = new FrameTracker();
  readonly #toEndpoint = new FrameTracker();
  #requestId = '';
  #text = '';
  #endpoint: SocketStream | undefined;
  #outgoing: ClientRequest | undefined;
  /** The handshake is over, one way or the other. */
  #answered = false;
  #upgradedSlot = -1;
  /** Wall clock ms: for the handshake's answer. */
  #deadline = Infinity;
  /** Wall clock ms: everything is said and our side closed; the client shall close its own. */
  #lingerUntil = Infinity;
  /** The client has finished sending after the 101. */
  #clientEnded = false;
  #leaving = false;
  #headWritten = false;
  #recorded = false;

  constructor(ctx: LaneContext, limits: HeadLimits, request: UpgradeRequest, forward: Forward) {
    this.#ctx = ctx;
    this.#limits = limits;
    this.#request = request;
    this.#forward = forward;
    this.#plan = new Plan(ctx);
    this.#attempts = new Attempts(ctx, this.#plan, this, (endpoint) => {
      const pools = request.forwarding.arrival.pools(this.#plan.proxyProtocol, ctx.upstreams);
      return ctx.upstreams.dial(endpoint, this, pools, this.#plan.tls);
    });
    this.#record = new Record(ctx, this.#plan);
    this.#out = request.out;
    this.client = new SocketStream(request.socket, ctx.blocks, (buffer, length) => {
      this.#onToClient(buffer, length);
    });
    request.takeReads((length, buffer) => {
      ctx.counters.bytesIn(length);
      return this.client.feed(length, buffer);
    });
    request.socket.on('end', () => {
      // Nobody can use a WebSocket connection without sending: a client that has finished before the 101 is gone.
      if (!this.#answered) return void request.socket.destroy();
      this.client.feedEnd();
      this.#clientEnded = true;
      this.#awaitEnd();
    });
    request.socket.once('finish', () => {
      this.#lingerUntil = ctx.deadlines.exact() + LINGER_MS;
    });
    request.socket.once('close', () => {
      this.#onClientGone();
    });
    this.client.on('error', () => request.socket.destroy());
    ctx.deadlines.add(this);
    // Read from the start, or a client that goes away would not be noticed; once the read that brought the head is over.
    setImmediate(() => {
      this.client.read(0);
    });
  }

  start(): void {
    const { head, forwarding } = this.#request;
    this.#requestId = requestIdOf(head, this.#ctx);
    this.#record.begin(head, this.#requestId, this.#out.bytes);
    const forwarded = forwarding.lines(head, this.#requestId);
    const fault = handshakeFault(head);
    if (fault !== undefined) return this.#refuse(fault, 'client');
    const status = this.#plan.match(head, head.authority, head.target);
    if (status === 308) return this.#refuse(toHttps(head.host, this.#ctx.publicPorts.https, head.target));
    if (status !== 0) return this.#refuse(UNMATCHED[status], 'client');
    const { endpoints, policy: live, route } = this.#plan;
    if (endpoints === undefined) return this.#refuse(REFUSALS.noBackend, 'internal');
    const extra = forwarded + certificateLines(route?.route.clientVerification, head.tls);
    const editCookieLine = live === undefined ? undefined : (value: string) => editCookies(value, live);
    this.#text = requestText(head, { extra, editCookieLine, named: requestHeaderEdits(this.#plan, this.#ctx) });
    this.#attempts.start(true);
  }

  onUpstreamConnected(): void {
    const { connection } = this.#attempts;
    if (connection === undefined) return;
    if (this.#attempts.holds()) return;
    if (!this.#record.connected() && this.#attempts.adopt()) return;
    this.#deadline = this.#ctx.deadlines.now + this.#ctx.settings.responseTimeout;
    const endpoint = new SocketStream(connection.socket, this.#ctx.blocks, (buffer, length) => {
      if (this.#upgradedSlot < 0) return;
      this.#toEndpoint.push(buffer, length);
      this.#awaitEnd();
    });
    this.#endpoint = endpoint;
    endpoint.on('error', () => connection.socket.destroy());
    const { address, port } = connection.endpoint;
    const message = handshakeMessage(this.#request.head, this.#text, this.client);
    this.#forward(message, { target: { protocol: 'http:', host: address, port }, agent: new ConnectedAgent(endpoint) });
    if (this.#outgoing !== undefined) this.#takeAnswers(this.#outgoing);
    connection.socket.resume();
  }

  /** The proxy's own handlers would answer with headers that nobody has checked: ours stand in front of them. */
  #takeAnswers(outgoing: ClientRequest): void {
    const switchOver = outgoing.listeners('upgrade');
    outgoing.removeAllListeners('upgrade');
    outgoing.on('upgrade', (response: IncomingMessage, ...rest: unknown[]) => {
      if (!this.#onSwitching(response)) return;
      for (const listener of switchOver) Reflect.apply(listener, outgoing, [response, ...rest]);
      this.client.passTo(this.#endpoint);
      this.#endpoint?.passTo(this.client);
    });
    outgoing.removeAllListeners('response');
    outgoing.on('response', (response: IncomingMessage) => {
      this.#onResponse(response);
    });
  }

  onUpstreamDialFailed(failure: DialFailure): void {
    this.#attempts.dialFailed(failure);
  }

  onNoEndpoint(status: number, code: string): void {
    const refusal = noEndpoint(status, code);
    this.#refuse(refusal, refusal.source);
  }

  onUpstreamData(buffer: Buffer, length: number): boolean {
    if (this.#attempts.interrupted()) return true;
    return this.#endpoint?.feed(length, buffer) ?? true;
  }

  onUpstreamDrain(): void {
    // The stream's writes wait for their own callbacks.
  }

  onUpstreamEnd(): void {
    if (this.#attempts.interrupted()) return;
    this.#endpoint?.feedEnd();
  }

  onUpstreamClosed(): void {
    if (this.#attempts.interrupted()) return;
    this.#endpoint?.destroy();
    if (!this.#answered) this.#refuse(REFUSALS.closedEarly, 'upstream');
  }

  /** Called while `ws()` sets the request up, before its own listeners are there. */
  onOutgoing(outgoing: ClientRequest): void {
    this.#outgoing = outgoing;
    // The client's own bytes: the proxy would have joined and cleaned the path.
    outgoing.path = this.#request.head.target;
  }

  onProxyError(): void {
    if (!this.#answered) this.#refuse(REFUSALS.closedEarly, 'upstream');
  }

  checkDeadline(now: number): void {
    this.#record.during(now);
    if (now >= this.#lingerUntil) this.#request.socket.destroy();
    else if (!this.#answered && now >= this.#deadline) {
      this.#ctx.counters.limit('response_timeout');
      this.#refuse(REFUSALS.responseTimeout, 'upstream');
    } else if (this.#answered && now >= this.#deadline) {
      this.#ctx.counters.limit('response_body_timeout');
      this.#request.socket.destroy();
    } else if (this.#upgradedSlot >= 0 && (this.#leaving || this.#drainOver(now))) this.goAway();
  }

  /** Ends the connection between two frames with 1001, so that the client reconnects; before the 101 it is just closed. */
  goAway(): void {
    // A peer that stalls within a frame or does not read shall not hold the connection for ever.
    if (!this.#leaving) this.#lingerUntil = Math.min(this.#lingerUntil, this.#ctx.deadlines.exact() + LINGER_MS);
    this.#leaving = true;
    if (this.#upgradedSlot < 0) {
      this.#request.socket.destroy();
      return;
    }
    // What still waits in the stream has not passed the tracker yet.
    if (!this.#toClient.atBoundary || this.client.writableLength > 0 || this.client.writableEnded) return;
    for (const stream of [this.client, this.#endpoint]) {
      stream?.unpipe();
      stream?.passTo(undefined);
    }
    if (this.#toEndpoint.atBoundary && this.#endpoint?.writableLength === 0) this.#endpoint.end(GOING_AWAY_MASKED);
    else this.#endpoint?.end();
    this.client.end(GOING_AWAY);
  }

  /** Its endpoint drains, and the time that the policy gives is up. */
  #drainOver(now: number): boolean {
    const limit = this.#plan.affinity?.policy.drain.maxDuration ?? 0;
    if (limit === 0) return false;
    const endpoint = this.#plan.endpoints?.endpoints.find(({ slot }) => slot === this.#upgradedSlot);
    return endpoint?.state === DRAINING && now - endpoint.since >= limit;
  }

  /** Puts our headers into the 101; false = it is none that may pass, and the client has been told. */
  #onSwitching(response: IncomingMessage): boolean {
    if (this.#answered) return false;
    const { affinity, decision, pool } = this.#plan;
    const setCookies = response.headers['set-cookie'] ?? [];
    this.#plan.answered();
    const facts = { status: 101, cacheable: false, setCookieNames: () => setCookies.map(cookieName) };
    const issued =
      affinity === undefined || pool === undefined
        ? undefined
        : issueToken(decision, affinity, pool, this.#request.head, facts, this.#ctx.env);
    const headers = switchingHeaders(response, {
      setCookie: issued?.setCookie,
      editSetCookie: (line) => this.#editSetCookie(line, facts),
      named: responseHeaderEdits(this.#plan, this.#ctx, this.#request.head, facts),
      server: this.#ctx.settings.serverHeader,
    });
    if (headers === undefined) {
      this.#refuse(REFUSALS.badResponse, 'upstream');
      return false;
    }
    response.headers = headers;
    this.#answered = true;
    this.#deadline = Infinity;
    this.#record.answered(issued?.setCookie !== undefined || decision.edited, {
      headers: (name) => (name === 'set-cookie' ? setCookies : listOf(response.headers[name])),
    });
    this.#record.status = 101;
    this.#endRecord();
    this.#upgradedSlot = this.#plan.endpoint?.slot ?? -1;
    this.#ctx.counters.gauge(this.#upgradedSlot, GAUGE.upgraded, 1);
    return true;
  }

  #editSetCookie(line: string, response: { readonly status: number }): string {
    const { affinity, decision, pool } = this.#plan;
    if (affinity === undefined || pool === undefined) return line;
    return editSetCookie(decision, affinity, pool, this.#request.head, response, this.#ctx.env, line);
  }

  /** The endpoint refuses the handshake: a plain answer, written as the raw lane would. */
  #onResponse(response: IncomingMessage): void {
    if (this.#answered) return;
    const head = new ResponseHead();
    const fault = readResponseHead(head, rawHead(response), this.#limits, 'GET');
    // A 101 that does not say to what it switches is no answer at all.
    if (fault !== undefined || head.status < 200) return this.#refuse(REFUSALS.badResponse, 'upstream');
    this.#answered = true;
    this.#waitForBody();
    this.#record.status = head.status;
    const writer = new ResponseWriter(this.#ctx, this.#plan, { out: this.#out });
    writer.head(head, this.#request.head, false);
    this.#record.answered(writer.issued, head);
    this.#out.flush();
    response.on('data', (chunk: Buffer) => {
      this.#waitForBody();
      writer.body(chunk, 0, chunk.length);
      if (this.#out.flush()) return;
      response.pause();
      this.#request.socket.once('drain', () => response.resume());
    });
    response.on('end', () => {
      writer.end();
      this.#closeAfterAnswer();
    });
    response.on('error', () => this.#request.socket.destroy());
  }

  #waitForBody(): void {
    this.#deadline = this.#ctx.deadlines.now + this.#ctx.settings.responseBodyTimeout;
  }

  /** `source`: whose error it is, if it is one. */
  #refuse(refusal: Refusal, source?: ErrorSource): void {
    if (this.#answered) return;
    this.#answered = true;
    this.#record.settle(this.#endpoint !== undefined);
    if (source !== undefined) this.#ctx.counters.error(source, refusal.status);
    this.#record.status = refusal.status;
    this.#out.answer(ownAnswer(this.#ctx, refusal, this.#request.head, this.#requestId, true));
    this.#closeAfterAnswer();
  }

  #closeAfterAnswer(): void {
    this.#out.flush(true);
    this.#endRecord();
    this.#attempts.cancel();
    this.#request.socket.end();
    this.#request.socket.resume();
    this.#deadline = Infinity;
  }

  #endRecord(): void {
    if (!this.#recorded) this.#record.end(this.#out.bytes);
    this.#recorded = true;
  }

  /** The first chunk is the 101 itself; frames follow. */
  #onToClient(buffer: Buffer, length: number): void {
    this.#ctx.counters.bytesOut(length);
    if (this.#headWritten) this.#toClient.push(buffer, length);
    this.#headWritten = true;
    this.#awaitEnd();
  }

  /** A client that has finished is most likely gone: an endpoint that neither ends nor sends shall not hold the connection. */
  #awaitEnd(): void {
    if (!this.#clientEnded || this.#upgradedSlot < 0 || this.#leaving) return;
    this.#lingerUntil = this.#ctx.deadlines.exact() + LINGER_MS;
  }

  #onClientGone(): void {
    this.#ctx.deadlines.delete(this);
    if (!this.#answered) {
      this.#answered = true;
      this.#record.settle(this.#endpoint !== undefined);
      this.#record.status = 499;
      this.#ctx.counters.error('client', 499);
    }
    this.#endRecord();
    if (this.#upgradedSlot >= 0) {
      this.#ctx.counters.gauge(this.#upgradedSlot, GAUGE.upgraded, -1);
      this.#record.streamEnded();
    }
    this.#upgradedSlot = -1;
    this.#attempts.cancel();
  }
}

function listOf(value: string | string[] | undefined): readonly string[] {
  return value === undefined ? [] : [value].flat();
}

function rawHead(response: IncomingMessage): string {
  let text = `HTTP/${response.httpVersion} ${response.statusCode ?? 502} ${response.statusMessage ?? ''}\r\n`;
  for (let i = 0; i + 1 < response.rawHeaders.length; i += 2)
    text += `${response.rawHeaders[i] ?? ''}: ${response.rawHeaders[i + 1] ?? ''}\r\n`;
  return `${text}\r\n`;
}
