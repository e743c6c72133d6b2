/** A client's connection on the raw HTTP/1.1 lane: reads requests one after another and passes each through the exchange. */
import type { Socket } from 'node:net';
import type { Http1Error } from '../../http1/error.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import type { Timed } from '../../io/deadlines.ts';
import { Outbox } from '../../io/outbox.ts';
import { TcpSocket, tellOwner } from '../../io/tcp-socket.ts';
import type { SocketOwner } from '../../io/tcp-socket.ts';
import type { ReadHandler, TakeReads } from '../../io/take-reads.ts';
import type { Ends } from '../../model/ends.ts';
import { NO_TLS } from '../../model/facts.ts';
import { LINGER_MS, refusalOf } from '../answer.ts';
import type { Refusal } from '../answer.ts';
import { Arrival } from '../arrival.ts';
import { laneOf } from '../capabilities.ts';
import { Http1Out } from '../client-out.ts';
import type { LaneContext } from '../context.ts';
import { Forwarding } from '../forwarding.ts';
import type { OpenConnection } from '../open-connection.ts';
import { refuse } from '../refuse.ts';
import type { Spares } from '../spares.ts';
import type { Secured } from '../tls-facts.ts';
import type { UpgradeRequest } from '../upgrade-request.ts';
import type { RequestClient, RequestConnection } from './request-client.ts';

/** Bytes of following requests that may wait while one is answered; then reading pauses. */
const HELD_LIMIT = 64 * 1024;
/** After a FIN the client may be gone or only done sending; see `#probe`. Doubled with each probe. */
const PROBE_AFTER_MS = 500;

export interface Http1Lane {
  readonly ctx: LaneContext;
  readonly takeReads: TakeReads;
  /** Connections have one while they have a request: an idle one without it takes 2.8 KiB less of the heap. */
  readonly requests: Spares<RequestClient>;
  /** Takes over a connection that asks for an upgrade. */
  readonly upgrade: (request: UpgradeRequest) => void;
  readonly connections: Set<OpenConnection>;
  readonly scheme: 'http' | 'https';
}

export class ClientConnection implements RequestConnection, OpenConnection, SocketOwner, Timed {
  out: Http1Out;
  readonly forwarding: Forwarding;
  /** Requests begun on this connection. */
  requests = 0;
  #socket: Socket | TcpSocket;
  /** What can be reset: `#socket`, or the one beneath it. */
  readonly #tcp: Socket | TcpSocket;
  readonly #lane: Http1Lane;
  readonly #ctx: LaneContext;
  /** The request that is under way or partly read; undefined = none is. */
  #request: RequestClient | undefined;
  /** The lane that took the connection over gets what is read; undefined = nobody has. */
  #taker: ReadHandler | undefined;
  /** Bytes behind the current request. */
  #held: Buffer | undefined;
  /** Wall clock ms, while no exchange is under way. */
  #deadline: number;
  #probeAt = Infinity;
  #probeWait = PROBE_AFTER_MS;
  /** The answers written so far have to be read first. */
  #waitsForDrain = false;
  /** No further request is read; what arrives is thrown away. */
  #closing = false;
  #upgraded = false;
  #finSeen = false;

  /**
   * @param ends of the connection, where its socket does not know them
   * @param secured of a connection over TLS
   */
  constructor(lane: Http1Lane, socket: Socket | TcpSocket, ends?: Ends, secured?: Secured) {
    this.#lane = lane;
    this.#ctx = lane.ctx;
    this.#socket = socket;
    lane.takeReads(socket, (length, buffer) => this.#onRead(length, buffer));
    const tls = secured?.facts ?? NO_TLS;
    this.forwarding = new Forwarding(lane.ctx, new Arrival(lane.ctx.addresses, socket, ends), lane.scheme, tls);
    this.#tcp = secured?.tcp ?? socket;
    this.out = new Http1Out(new Outbox(socket, lane.ctx.blocks), lane.ctx.writes);
    this.#deadline = this.#ctx.deadlines.now + this.#ctx.settings.headTimeout;
    tellOwner(socket, this);
    lane.ctx.counters.connectionOpened();
    lane.ctx.deadlines.add(this);
    lane.connections.add(this);
  }

  /** Between requests: nothing is lost when the connection is closed. */
  get idle(): boolean {
    return !this.#busy() && !this.#begun() && this.#held === undefined;
  }

  /** An exchange is under way. */
  #busy(): boolean {
    return this.#request?.exchange.busy === true;
  }

  /** Of an exchange that is under way the request is complete. */
  #answering(): boolean {
    return this.#busy() && this.#request?.requestDone === true;
  }

  /** Something of a request has been read. */
  #begun(): boolean {
    return this.#request?.parser.idle === false;
  }

  onHead(head: RequestHead): void {
    this.requests++;
    if (laneOf(head) === 'upgrade') {
      this.#upgraded = true;
      this.#request?.parser.detach();
    } else this.#request?.exchange.begin(head, !this.#isLast() && head.keepAlive);
  }

  /** A malformed request: not one byte more of it reaches a backend. */
  onError(error: Http1Error): void {
    this.#ctx.counters.limitFor(error);
    const refusal = refusalOf(error);
    if (this.#busy()) this.#request?.exchange.refuse(refusal, 'client');
    else this.#refuse(refusal);
    this.close();
  }

  /** Ends with the current response, so that the client comes again; only a response whose head is still to come can say so. */
  shed(): boolean {
    if (this.#request?.exchange.mayShed !== true) return false;
    this.#request.exchange.endAfterThis();
    return true;
  }

  /** For the exchange: it is over. `keepAlive`: another request may follow. */
  exchangeDone(keepAlive: boolean): void {
    if (!keepAlive) this.close();
    else if (this.#request?.parsing === true) return;
    else if (this.#request?.requestDone === true) this.#continue();
    else this.close();
  }

  resume(): void {
    if (!this.#socket.destroyed && !this.#upgraded) this.#socket.resume();
  }

  /** Sends what is written and a FIN; throws away what the client still sends. */
  close(): void {
    if (this.#closing || this.#socket.destroyed) return;
    this.#closing = true;
    this.#held = undefined;
    this.#deadline = this.#ctx.deadlines.now + this.#ctx.settings.bodyTimeout;
    this.out.flush(true);
    this.#socket.end();
    this.#socket.resume();
  }

  /** Cuts the connection, so that the client sees that its response is not complete: a FIN could be the end of a body. */
  destroy(): void {
    this.out.flush(true);
    if (this.#closing || this.#upgraded) this.#socket.destroy();
    else this.#tcp.resetAndDestroy();
  }

  checkDeadline(now: number): void {
    if (now >= this.#probeAt) this.#probe(now);
    if (this.#busy()) this.#request?.exchange.checkDeadline(now);
    else if (now >= this.#deadline) this.#onDeadline();
  }

  #isLast(): boolean {
    if (this.requests < this.#ctx.settings.maxRequestsPerConnection) return false;
    this.#ctx.counters.limit('requests_per_connection');
    return true;
  }

  #onRead(length: number, buffer: Buffer): boolean {
    if (this.#taker !== undefined) return this.#taker(length, buffer);
    if (this.#closing) return true;
    this.#ctx.counters.bytesIn(length);
    return this.#consume(buffer, 0, length);
  }

  /** Parses as far as the end of the current request; keeps the rest. False = stop reading for now. */
  #consume(buffer: Buffer, start: number, end: number): boolean {
    let at = start;
    let writable = true;
    // A write that failed at once has destroyed it, and then nothing makes the parser go on.
    while (at < end && !this.#closing && !this.#socket.destroyed) {
      const request = (this.#request ??= this.#lane.requests.take().enter(this));
      const { exchange, parser } = request;
      if (this.#waitsForDrain || (exchange.busy && parser.done)) {
        return this.#hold(buffer, at, end) && writable;
      }
      const began = parser.idle;
      at = request.read(buffer, at, end);
      if (this.#upgraded) return this.#handOver(parser.head, buffer, at, end);
      if (exchange.busy) writable = exchange.flushRequest();
      else if (parser.done) this.#readyForNext();
      else if (began && !parser.idle) this.#deadline = this.#ctx.deadlines.now + this.#ctx.settings.headTimeout;
    }
    return writable;
  }

  #hold(buffer: Buffer, start: number, end: number): boolean {
    const bytes = buffer.subarray(start, end);
    this.#held = this.#held === undefined ? Buffer.from(bytes) : Buffer.concat([this.#held, bytes]);
    return this.#held.length < HELD_LIMIT;
  }

  onDrain(): void {
    this.#request?.exchange.onClientDrain();
    if (!this.#waitsForDrain) return;
    this.#waitsForDrain = false;
    this.#continue();
  }

  /** The next request may come, or is there already. */
  #continue(): void {
    this.#readyForNext();
    if (this.#waitsForDrain) return;
    const held = this.#held;
    this.#held = undefined;
    const more = held === undefined || this.#consume(held, 0, held.length);
    if (this.#finSeen && !this.#waitsForDrain && !this.#answering()) {
      // What there is of a request will never be whole; the answers before it shall arrive.
      this.#request?.exchange.abort();
      this.close();
    } // Of a response begun before the shutdown its head could not say that the connection ends.
    else if (this.#ctx.draining && this.idle) this.close();
    else if (more) this.resume();
  }

  /** A client that sends requests without reading the answers has to read before its next one is served. */
  #readyForNext(): void {
    const { deadlines, settings } = this.#ctx;
    this.#waitsForDrain = this.#socket.writableNeedDrain;
    this.#deadline = deadlines.now + (this.#waitsForDrain ? settings.bodyTimeout : settings.idleTimeout);
    if (!this.#waitsForDrain) this.#giveRequest();
  }

  #giveRequest(): void {
    if (this.#request === undefined) return;
    this.#request.leave();
    this.#lane.requests.give(this.#request);
    this.#request = undefined;
  }

  /** An upgrade has no body: whatever follows the head belongs to the new protocol. */
  #handOver(head: RequestHead, buffer: Buffer, start: number, end: number): boolean {
    this.#ctx.deadlines.delete(this);
    this.out.flush(true);
    if (this.#socket.destroyed) return false;
    const socket = this.#asStream();
    this.#lane.upgrade({
      head,
      socket,
      out: this.out,
      forwarding: this.forwarding,
      first: Buffer.from(buffer.subarray(start, end)),
      takeReads: (reader) => {
        this.#taker = reader;
      },
    });
    // Its end has been heard, and whoever has the connection now would wait for it.
    if (this.#finSeen) socket.destroy();
    return false;
  }

  /** What takes over a connection wants an ordinary socket. */
  #asStream(): Socket {
    if (!(this.#socket instanceof TcpSocket)) return this.#socket;
    const socket = this.#socket.toStream();
    this.#socket = socket;
    this.out = new Http1Out(new Outbox(socket, this.#ctx.blocks), this.#ctx.writes);
    tellOwner(socket, this);
    this.#lane.takeReads(socket, (length, buffer) => this.#onRead(length, buffer));
    return socket;
  }

  onFinish(): void {
    this.#deadline = this.#ctx.deadlines.now + LINGER_MS;
  }

  onEnd(): void {
    if (this.#upgraded) return;
    this.#finSeen = true;
    if (this.#closing) return;
    if (this.#answering()) this.#probeAt = this.#ctx.deadlines.exact() + this.#probeWait;
    else if (this.#busy() || this.#begun()) this.destroy();
    else this.close();
  }

  /**
   * A client that has closed its connection and one that has only finished sending look the same. An interim response,
   * which every HTTP/1.1 client has to accept (RFC 9110 section 15.2), makes the former answer with a reset. Nothing is
   * read any more, so it is the next write that fails: one probe alone would show nothing.
   */
  #probe(now: number): void {
    this.#probeWait *= 2;
    this.#probeAt = now + this.#probeWait;
    if (this.#request?.exchange.mayProbe !== true) return;
    this.out.interim('HTTP/1.1 102 Processing\r\n\r\n');
    this.out.flush();
  }

  #onDeadline(): void {
    if (this.#waitsForDrain) this.#ctx.counters.limit('body_timeout');
    if (this.#closing || this.#waitsForDrain) this.destroy();
    else if (!this.#begun()) {
      this.#ctx.counters.limit('idle_timeout');
      this.close();
    } else {
      this.#ctx.counters.limit('head_timeout');
      const refusal = { status: 408, code: 'head_timeout', message: 'The request head did not arrive in time' };
      this.#refuse(refusal);
      this.close();
    }
  }

  /** Refuses a request that never became an exchange. */
  #refuse(refusal: Refusal): void {
    refuse(this.#ctx, this, refusal, this.#request?.parser.head, true);
  }

  onClose(): void {
    this.#closing = true;
    this.#ctx.counters.connectionClosed();
    this.#ctx.deadlines.delete(this);
    this.#lane.connections.delete(this);
    if (this.#busy() || this.#request?.requestDone === false) this.#request?.exchange.abort();
    else this.#giveRequest();
  }
}
