/** A connection of HTTP/2 to an endpoint (GRPC, H2C): shared by the requests of many clients, each on a stream of its own. */
import { ClientConnection } from '../http2/client.ts';
import type { ClientEvents } from '../http2/client.ts';
import { CODE } from '../http2/error.ts';
import type { Http2Error } from '../http2/error.ts';
import type { Http2Limits } from '../http2/limits.ts';
import type { ClientStream } from '../http2/stream.ts';
import type { BlockPool } from '../io/block-pool.ts';
import type { Deadlines, Timed } from '../io/deadlines.ts';
import type { Flushable, Turn } from '../io/turn.ts';
import type { UpstreamConnection, UpstreamHandler } from './connection.ts';
import { UpstreamStream } from './http2-stream.ts';
import type { SharedConnection } from './http2-stream.ts';
import type { DialFailure } from './request-wire.ts';

/** Streams that wait for a connection before its server has said how many it takes. */
const FIRST_STREAMS = 100;

export interface Http2UpstreamOptions {
  readonly turn: Turn;
  readonly limits: Http2Limits;
  readonly scheme: 'http' | 'https';
  readonly deadlines: Deadlines;
  readonly blocks: BlockPool;
  /** ms: for the dial and the server's first SETTINGS; without any stream. */
  readonly connectTimeout: number;
  readonly idleTimeout: number;
  readonly dial: (handler: UpstreamHandler) => UpstreamConnection;
  /** It takes no further stream. */
  readonly onClosed: (connection: Http2UpstreamConnection) => void;
  /** It could not be used at all; `failure` is not one of the dial, which is reported already. */
  readonly onUseless: () => void;
  /** Streams that it has no room for. */
  readonly onOverflow: (stream: UpstreamStream) => void;
}

export class Http2UpstreamConnection implements SharedConnection, UpstreamHandler, ClientEvents, Timed, Flushable {
  readonly codec: ClientConnection;
  readonly #options: Http2UpstreamOptions;
  readonly #transport: UpstreamConnection;
  /** Those that wait for the connection, then those that have it. */
  readonly #streams = new Set<UpstreamStream>();
  /** Streams that the read under way has brought something for. */
  readonly #touched: UpstreamStream[] = [];
  #parsing = false;
  queued = false;
  /** The server has sent its settings: it speaks HTTP/2. */
  ready = false;
  #answered = false;
  #closed = false;
  #retired = false;
  /** Wall clock ms: until it is ready, or while it has no stream. */
  #deadline: number;

  constructor(options: Http2UpstreamOptions) {
    this.#options = options;
    this.#deadline = options.deadlines.now + options.connectTimeout;
    this.codec = new ClientConnection(this, options.limits, () => options.deadlines.now);
    this.#transport = options.dial(this);
    options.deadlines.add(this);
  }

  get scheme(): 'http' | 'https' {
    return this.#options.scheme;
  }

  get congested(): boolean {
    return this.#transport.socket.writableNeedDrain;
  }

  /** Another request may join. */
  get hasRoom(): boolean {
    if (this.#closed || this.#retired) return false;
    return this.ready
      ? this.codec.free && this.#streams.size < this.codec.maxStreams
      : this.#streams.size < FIRST_STREAMS;
  }

  add(stream: UpstreamStream): void {
    this.#streams.add(stream);
    if (this.ready) this.#deadline = Infinity;
    stream.join(this, this.#answered);
  }

  release(stream: UpstreamStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0 || this.#closed) return;
    if (this.#retired || !this.codec.free) this.close();
    else if (this.ready) this.#deadline = this.#options.deadlines.now + this.#options.idleTimeout;
  }

  wake(): void {
    if (!this.#parsing) this.#options.turn.add(this);
  }

  flush(): void {
    if (this.#transport.connected && !this.#closed) this.codec.flush();
  }

  /** Takes no more streams; ends with its last one. */
  retire(): void {
    this.#retired = true;
    if (this.#streams.size === 0) this.close();
  }

  close(): void {
    this.#end();
    this.#transport.destroy();
  }

  checkDeadline(now: number): void {
    if (now < this.#deadline) return;
    if (this.ready) this.close();
    else this.#fail('timeout');
  }

  // For the transport.

  onUpstreamConnected(): void {
    this.codec.flush();
  }

  onUpstreamDialFailed(failure: DialFailure): void {
    this.#end();
    this.#refuseAll(failure);
  }

  onUpstreamData(buffer: Buffer, length: number): boolean {
    this.#parsing = true;
    this.codec.execute(buffer, 0, length);
    if (!this.ready && this.codec.peerKnown) this.#begin();
    // What one read brought for a request goes to its client together.
    for (const stream of this.#touched) stream.settle();
    if (this.#touched.length > 0) this.#touched.length = 0;
    this.#parsing = false;
    this.flush();
    // Each stream waits for its own client, by its window.
    return true;
  }

  onUpstreamDrain(): void {
    for (const stream of this.#streams) stream.onWritable();
  }

  onUpstreamEnd(): void {
    this.#transport.destroy();
    this.onUpstreamClosed();
  }

  onUpstreamClosed(): void {
    this.#end();
    if (this.ready) for (const stream of [...this.#streams]) stream.onGone(false);
    else this.#fail('refused');
  }

  // For the codec.

  take(): Buffer {
    return this.#options.blocks.take();
  }

  onWrite(block: Buffer, length: number): void {
    this.#transport.out.block(block, length);
  }

  onInterim(stream: ClientStream): void {
    this.#of(stream)?.sink?.onInterim(stream.head);
  }

  onHead(stream: ClientStream): void {
    this.#answered = true;
    this.#of(stream)?.sink?.onHead(stream.head);
  }

  onData(stream: ClientStream, buffer: Buffer, start: number, end: number): void {
    this.#of(stream)?.onData(buffer, start, end);
  }

  onTrailers(stream: ClientStream, lines: string): void {
    this.#of(stream)?.sink?.onTrailers(lines);
  }

  onEnd(stream: ClientStream): void {
    this.#of(stream)?.onEnd();
  }

  onReset(stream: ClientStream, code: number, fault: Http2Error | undefined): void {
    if (fault?.level === 'stream') this.#of(stream)?.onFault(fault);
    else if (stream.owner instanceof UpstreamStream) stream.owner.onGone(code === CODE.REFUSED_STREAM);
  }

  onStrayFault(): void {
    // It was on a stream that nobody waits for.
  }

  onWritable(stream: ClientStream): void {
    const { owner } = stream;
    if (owner instanceof UpstreamStream) owner.onWritable();
  }

  onGoaway(): void {
    if (this.ready) this.#sendBack();
    this.retire();
  }

  /** Its streams have heard of it. */
  onError(): void {
    this.codec.flush();
    this.#transport.destroy();
    this.#end();
    if (this.ready) this.#sendBack();
    else this.#fail('protocol');
  }

  /** The server speaks HTTP/2, and has said how many streams it takes. */
  #begin(): void {
    // It goes already, or takes no request at all.
    if (!this.codec.free) return this.#fail('refused');
    this.ready = true;
    let room = this.codec.maxStreams;
    for (const stream of [...this.#streams]) {
      if (room-- > 0) stream.handler?.onUpstreamConnected();
      else {
        this.#streams.delete(stream);
        this.#options.onOverflow(stream);
      }
    }
    this.#deadline = this.#streams.size > 0 ? Infinity : this.#options.deadlines.now + this.#options.idleTimeout;
  }

  /** Requests that have the connection and are not begun: nobody will look at them. */
  #sendBack(): void {
    for (const stream of [...this.#streams]) if (!stream.begun) stream.onGone(true);
  }

  #of({ owner }: ClientStream): UpstreamStream | undefined {
    if (!(owner instanceof UpstreamStream)) return undefined;
    this.#touched.push(owner);
    return owner;
  }

  /** It was connected, but is of no use. */
  #fail(failure: DialFailure): void {
    this.#end();
    this.#transport.destroy();
    this.#options.onUseless();
    this.#refuseAll(failure);
  }

  #refuseAll(failure: DialFailure): void {
    const waiting = [...this.#streams];
    this.#streams.clear();
    for (const stream of waiting) stream.handler?.onUpstreamDialFailed(failure);
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#deadline = Infinity;
    this.#options.deadlines.delete(this);
    this.#options.onClosed(this);
  }
}
