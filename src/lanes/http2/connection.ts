/** A client's connection on the HTTP/2 lane: many streams, each a request with a decision and an endpoint of its own. */
import type { Socket } from 'node:net';
import type { Http1Error } from '../../http1/error.ts';
import { CODE } from '../../http2/error.ts';
import type { Http2Error } from '../../http2/error.ts';
import { ServerConnection } from '../../http2/server.ts';
import type { ServerEvents } from '../../http2/server.ts';
import type { ServerStream } from '../../http2/stream.ts';
import type { Timed } from '../../io/deadlines.ts';
import { Members } from '../../io/members.ts';
import { Outbox } from '../../io/outbox.ts';
import type { Flushable } from '../../io/turn.ts';
import { normalizeHost } from '../../match/host.ts';
import type { Ends } from '../../model/ends.ts';
import { NO_TLS } from '../../model/facts.ts';
import type { Limit } from '../../shared/layout.ts';
import { LINGER_MS, refusalOf, REFUSALS } from '../answer.ts';
import type { Refusal } from '../answer.ts';
import { Arrival } from '../arrival.ts';
import type { LaneContext } from '../context.ts';
import { Forwarding } from '../forwarding.ts';
import type { OpenConnection } from '../open-connection.ts';
import type { Secured } from '../tls-facts.ts';
import type { UpgradeRequest } from '../upgrade-request.ts';
import type { Http2Lane } from './lane.ts';
import { StreamClient } from './stream-client.ts';
import type { StreamConnection } from './stream-client.ts';
import type { StreamOwner } from './stream-owner.ts';
import { Tunnel } from './tunnel.ts';

/** Faults that are limits. */
const LIMIT_OF: Readonly<Record<string, Limit>> = {
  too_many_streams: 'http2_streams',
  block_too_large: 'http2_block_bytes',
  continuation_flood: 'http2_continuation_flood',
  reset_flood: 'http2_reset_flood',
  ping_flood: 'http2_ping_flood',
  settings_flood: 'http2_settings_flood',
  empty_data_flood: 'http2_empty_data_flood',
  window_update_flood: 'http2_window_update_flood',
  idle_frame_flood: 'http2_idle_frame_flood',
};

/** For whoever is not read any more to read our last word. */
const DEAF_LINGER_MS = 1000;

export class Http2Connection implements ServerEvents, StreamConnection, OpenConnection, Timed, Flushable {
  readonly forwarding: Forwarding;
  readonly codec: ServerConnection;
  requests = 0;
  queued = false;
  /** What was read is being parsed: it will be flushed. */
  parsing = false;
  readonly #lane: Http2Lane;
  readonly #ctx: LaneContext;
  readonly #socket: Socket;
  /** What can be reset: `#socket`, or the one beneath it. */
  readonly #tcp: Socket;
  readonly #outbox: Outbox;
  readonly #streams = new Members<StreamOwner>();
  /** Streams that the read under way has brought something for. */
  readonly #touched: StreamOwner[] = [];
  readonly #sni: string;
  /** The authority that was last found to belong to this connection. */
  #authority = '';
  /** The client was asked to open no more streams: 1 = soon, 2 = from now on. */
  #leaving = 0;
  /** What is still written is the end, and what arrives is thrown away. */
  #closing = false;
  /** Not a byte more is read: to take in what floods us, only to throw it away, would be half of its damage. */
  #deaf = false;
  /** Wall clock ms: for the next stream, and when `#closing` for the end. */
  #deadline: number;
  /** Wall clock ms: for the client to have acknowledged our settings. */
  readonly #settingsDeadline: number;
  /** The frame that was incomplete at the last tick, and until when it may be, wall clock ms. */
  #partial = 0;
  #partialDeadline = Infinity;

  /**
   * @param ends of the connection, where its socket does not know them
   * @param secured of a connection over TLS
   */
  constructor(lane: Http2Lane, socket: Socket, ends?: Ends, secured?: Secured) {
    const { ctx, takeReads, scheme, connections } = lane.options;
    this.#lane = lane;
    this.#ctx = ctx;
    const tls = secured?.facts ?? NO_TLS;
    this.#sni = tls.sni;
    this.#socket = socket;
    takeReads(socket, (length, buffer) => this.#onRead(length, buffer));
    this.forwarding = new Forwarding(ctx, new Arrival(ctx.addresses, socket, ends), scheme, tls);
    this.#tcp = secured?.tcp ?? socket;
    this.#outbox = new Outbox(socket, ctx.blocks);
    this.codec = new ServerConnection(this, lane.limits, () => ctx.deadlines.now);
    this.#deadline = ctx.deadlines.now + ctx.settings.idleTimeout;
    this.#settingsDeadline = ctx.deadlines.now + ctx.settings.headTimeout;
    this.#listen();
    ctx.counters.connectionOpened();
    ctx.deadlines.add(this);
    connections.add(this);
    this.flush();
  }

  get idle(): boolean {
    return this.#streams.size === 0 && (!this.#ctx.draining || this.#leaving === 2);
  }

  /** The socket has more to write than it should. */
  get congested(): boolean {
    return this.#socket.writableNeedDrain;
  }

  // For the codec.

  take(): Buffer {
    return this.#ctx.blocks.take();
  }

  onWrite(block: Buffer, length: number): void {
    this.#outbox.block(block, length);
  }

  onHead(stream: ServerStream, protocol: string): void {
    this.requests++;
    if (this.requests === this.#ctx.settings.maxRequestsPerConnection) {
      this.#ctx.counters.limit('requests_per_connection');
      this.#leave();
    }
    if (!this.#serves(stream.head.authority)) this.#refuse(stream, REFUSALS.misdirected);
    else if (protocol === '') this.#client(stream).begin(this, stream);
    else if (protocol.toLowerCase() === 'websocket') this.#tunnel(stream);
    else this.#refuse(stream, REFUSALS.noProtocol);
  }

  onRefused(stream: ServerStream, error: Http1Error): void {
    this.requests++;
    this.#ctx.counters.limitFor(error);
    this.#refuse(stream, refusalOf(error));
  }

  onData(stream: ServerStream, buffer: Buffer, start: number, end: number): void {
    this.#ownerOf(stream)?.onData(buffer, start, end);
  }

  onTrailers(stream: ServerStream, lines: string): void {
    this.#ownerOf(stream)?.onTrailers(lines);
  }

  onEnd(stream: ServerStream): void {
    this.#ownerOf(stream)?.onEnd();
  }

  onReset(stream: ServerStream, _code: number, fault: Http2Error | undefined): void {
    // A fault of the connection is counted once.
    if (fault?.level === 'stream') this.#count(fault);
    this.#ownerOf(stream)?.onReset();
  }

  onStrayFault(fault: Http2Error): void {
    this.#count(fault);
  }

  onWritable(stream: ServerStream): void {
    this.#ownerOf(stream)?.onWritable();
  }

  onGoaway(): void {
    this.#leave();
  }

  onError(fault: Http2Error): void {
    this.#count(fault);
    this.#deaf = fault.code === 'ENHANCE_YOUR_CALM';
    this.#end();
  }

  // For its streams.

  setKeepAlive(on: boolean, delay: number): void {
    this.#tcp.setKeepAlive(on, delay);
  }

  countAborted(): void {
    this.#ctx.counters.error('client', 499);
  }

  upgrade(request: UpgradeRequest): void {
    this.#lane.options.upgrade(request);
  }

  /** Something has been written. */
  wake(): void {
    if (!this.parsing) this.#ctx.turn.add(this);
  }

  flush(): void {
    this.codec.flush();
  }

  release(owner: StreamOwner): void {
    this.#streams.delete(owner);
    if (owner instanceof StreamClient) this.#lane.streams.give(owner);
    if (this.#streams.size === 0) this.#deadline = this.#ctx.deadlines.now + this.#ctx.settings.idleTimeout;
  }

  // For the worker.

  shed(): boolean {
    if (this.#leaving > 0 || this.#closing) return false;
    this.#leave();
    return true;
  }

  close(): void {
    if (this.#closing) return;
    if (this.#leaving < 2) this.codec.goawayNow();
    this.#end();
  }

  destroy(): void {
    this.#tcp.resetAndDestroy();
  }

  checkDeadline(now: number): void {
    if (this.#closing) {
      if (now >= this.#deadline) this.destroy();
      return;
    }
    for (const client of this.#streams) client.checkDeadline(now);
    if (this.#leaving === 1) this.#leaveNow();
    else if (this.#ctx.draining) this.#leave();
    if (!this.codec.settingsAcked && now >= this.#settingsDeadline) this.#giveUp(CODE.SETTINGS_TIMEOUT);
    else if (this.#isSlow(now)) this.#giveUp(CODE.ENHANCE_YOUR_CALM);
    else if (this.#streams.size === 0 && this.#partial === 0) this.#checkIdle(now);
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on('drain', () => {
      for (const client of this.#streams) client.onWritable();
      if (!this.#deaf) socket.resume();
    });
    // Whoever cannot send cannot open windows either: nobody speaks HTTP/2 over half a connection.
    socket.on('end', () => {
      if (!this.#closing) socket.destroy();
    });
    socket.on('finish', () => {
      this.#deadline = this.#ctx.deadlines.now + (this.#deaf ? DEAF_LINGER_MS : LINGER_MS);
    });
    // A reset or a broken pipe: 'close' follows and does the rest.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#onClose();
    });
  }

  #onRead(length: number, buffer: Buffer): boolean {
    if (this.#closing) return !this.#deaf;
    this.#ctx.counters.bytesIn(length);
    this.parsing = true;
    this.codec.execute(buffer, 0, length);
    // What one read brought for a request goes to its endpoint together.
    for (const client of this.#touched) client.settle();
    if (this.#touched.length > 0) this.#touched.length = 0;
    this.parsing = false;
    this.flush();
    return !this.congested && !this.#deaf;
  }

  #client(stream: ServerStream): StreamClient {
    const client = this.#lane.streams.take();
    this.#enter(stream, client);
    return client;
  }

  #refuse(stream: ServerStream, refusal: Refusal): void {
    this.#client(stream).refuse(this, stream, refusal);
  }

  #tunnel(stream: ServerStream): void {
    this.#enter(stream, new Tunnel(this, stream));
  }

  #enter(stream: ServerStream, owner: StreamOwner): void {
    stream.owner = owner;
    this.#streams.add(owner);
    this.#touched.push(owner);
  }

  #ownerOf({ owner }: ServerStream): StreamOwner | undefined {
    if (!(owner instanceof StreamClient || owner instanceof Tunnel)) return undefined;
    if (this.parsing) this.#touched.push(owner);
    return owner;
  }

  /** RFC 9110, 7.4; a connection without SNI was made for an address, and for whatever is there. */
  #serves(authority: string): boolean {
    if (this.#sni === '' || authority === this.#authority) return true;
    const host = normalizeHost(authority);
    // Its own answer says what is wrong with it.
    if (host !== undefined && !this.#lane.options.sameCertificate(this.#sni, host)) return false;
    this.#authority = authority;
    return true;
  }

  #count(fault: Http2Error): void {
    const limit = LIMIT_OF[fault.name];
    if (limit === undefined) this.#ctx.counters.error('client', 400);
    else this.#ctx.counters.limit(limit);
  }

  /** RFC 9113, 6.8: first that there will be an end, and when what was on its way has come, the end. */
  #leave(): void {
    if (this.#leaving > 0) return;
    this.#leaving = 1;
    this.codec.goawaySoon();
    this.wake();
  }

  #leaveNow(): void {
    this.#leaving = 2;
    this.codec.goawayNow();
    this.wake();
  }

  #isSlow(now: number): boolean {
    const { partial } = this.codec;
    if (partial !== this.#partial || partial === 0) {
      this.#partial = partial;
      this.#partialDeadline = now + this.#ctx.settings.headTimeout;
    }
    return now >= this.#partialDeadline;
  }

  #giveUp(code: number): void {
    this.#ctx.counters.limit('head_timeout');
    this.codec.abort(code);
    this.#end();
  }

  #checkIdle(now: number): void {
    if (this.#leaving === 2) this.close();
    else if (now >= this.#deadline) {
      this.#ctx.counters.limit('idle_timeout');
      this.close();
    }
  }

  /** Sends what is written and a FIN; throws away what the client still sends. */
  #end(): void {
    if (this.#closing || this.#socket.destroyed) return;
    this.#closing = true;
    this.#deadline = this.#ctx.deadlines.now + this.#ctx.settings.bodyTimeout;
    this.flush();
    this.#socket.end();
    if (!this.#deaf) this.#socket.resume();
  }

  #onClose(): void {
    this.#closing = true;
    this.#ctx.counters.connectionClosed();
    this.#ctx.deadlines.delete(this);
    this.#lane.options.connections.delete(this);
    for (const client of this.#streams) client.onReset();
  }
}
