/** One connection to an endpoint, over TCP or TLS: dialled, lent to one exchange at a time, idle in its pool in between. */
import { connect } from 'node:net';
import type { NetConnectOpts, Socket } from 'node:net';
import type { Timed } from '../io/deadlines.ts';
import { Outbox } from '../io/outbox.ts';
import { WRITE_HIGH_WATER } from '../io/high-water.ts';
import type { UpstreamEndpoint } from './endpoint-pools.ts';
import type { Idle } from './idle-list.ts';
import type { DialFailure, DialHandler, UpstreamLink } from './request-wire.ts';
import type { Upstreams } from './upstreams.ts';

const FAILURES: Readonly<Record<string, DialFailure>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'refused',
  ETIMEDOUT: 'timeout',
  EMFILE: 'local',
  ENFILE: 'local',
  ENOBUFS: 'local',
  ENOMEM: 'local',
  EADDRNOTAVAIL: 'local',
};

function dialPlain({ address, port }: UpstreamEndpoint): Socket {
  const options: NetConnectOpts & { writableHighWaterMark: number } = {
    host: address,
    port,
    noDelay: true,
    writableHighWaterMark: WRITE_HIGH_WATER,
  };
  return connect(options);
}

/** Who uses the connection at the moment. */
export interface UpstreamHandler extends DialHandler {
  /** `length` bytes at the start of `buffer`, valid only during the call. False = pause reading. */
  onUpstreamData(buffer: Buffer, length: number): boolean;
  onUpstreamDrain(): void;
  /** The endpoint has finished sending. */
  onUpstreamEnd(): void;
  /** The connection is gone; never called after `release` or `destroy`. */
  onUpstreamClosed(): void;
}

export class UpstreamConnection implements UpstreamLink, Timed, Idle {
  readonly endpoint: UpstreamEndpoint;
  readonly socket: Socket;
  readonly out: Outbox;
  connected = false;
  /** Whether an earlier exchange was answered over it. */
  reused = false;
  handler: UpstreamHandler | null;
  /** Wall clock ms; Infinity = none. While dialling: the connect time-out; while idle: when it is closed. */
  deadline: number;
  older: Idle | undefined;
  newer: Idle | undefined;
  /** TCP is there; over TLS the handshake follows. */
  #reached = false;
  readonly #upstreams: Upstreams;

  /** @param protocol that TLS shall agree on (ALPN) */
  constructor(
    upstreams: Upstreams,
    endpoint: UpstreamEndpoint,
    handler: UpstreamHandler,
    protocol: 'http/1.1' | 'h2',
    deadline: number,
  ) {
    this.#upstreams = upstreams;
    this.endpoint = endpoint;
    this.handler = handler;
    this.deadline = deadline;
    this.socket = endpoint.tls === undefined ? dialPlain(endpoint) : endpoint.tls.dial(endpoint, protocol);
    upstreams.takeReads(this.socket, (length, buffer) => this.#onRead(length, buffer));
    this.out = new Outbox(this.socket, upstreams.blocks);
    this.socket.on('connect', () => {
      this.#reached = true;
      if (endpoint.tls === undefined) this.#onConnect();
    });
    this.socket.on('secureConnect', () => {
      this.#onConnect();
    });
    this.socket.on('drain', () => {
      this.handler?.onUpstreamDrain();
    });
    this.socket.on('end', () => {
      this.#onEnd();
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#onGone(error);
    });
    this.socket.on('close', () => {
      this.#onGone(undefined);
    });
    upstreams.deadlines.add(this);
  }

  checkDeadline(now: number): void {
    if (now < this.deadline) return;
    if (this.connected) this.destroy();
    else this.#failDial('timeout');
  }

  /** Closes the connection; its handler hears nothing more. */
  destroy(): void {
    this.handler = null;
    this.#upstreams.forget(this);
    this.socket.destroy();
  }

  giveBack(): void {
    this.#upstreams.release(this, -1);
  }

  /** Takes the idle connection for another exchange. */
  lend(handler: UpstreamHandler): void {
    this.handler = handler;
    this.reused = true;
    this.deadline = Infinity;
  }

  #onConnect(): void {
    this.connected = true;
    this.deadline = Infinity;
    this.#upstreams.health.worked(this.endpoint.slot);
    const { preface, tls } = this.endpoint;
    if (preface !== '' && tls === undefined) this.socket.write(preface, 'latin1');
    this.handler?.onUpstreamConnected();
  }

  #onRead(length: number, buffer: Buffer): boolean {
    if (this.handler !== null) return this.handler.onUpstreamData(buffer, length);
    // Bytes that nobody asked for would be taken as the answer to the next request.
    this.destroy();
    return true;
  }

  #onEnd(): void {
    // An error follows, or the close.
    if (!this.connected) return;
    if (this.handler === null) this.destroy();
    else this.handler.onUpstreamEnd();
  }

  #onGone(error: NodeJS.ErrnoException | undefined): void {
    if (!this.connected && this.handler !== null) {
      this.#failDial(this.#failureOf(error));
      return;
    }
    // Who wants to know who we are may refuse it only now (RFC 8446 section 4.4.2.4).
    if (error?.code?.startsWith('ERR_SSL_') === true) this.endpoint.tls?.failed(this.endpoint, error);
    const handler = this.handler;
    this.destroy();
    handler?.onUpstreamClosed();
  }

  #failureOf(error: NodeJS.ErrnoException | undefined): DialFailure {
    const { tls } = this.endpoint;
    if (tls === undefined || !this.#reached) return FAILURES[error?.code ?? ''] ?? 'unreachable';
    tls.failed(this.endpoint, error);
    return 'tls';
  }

  #failDial(failure: DialFailure): void {
    const handler = this.handler;
    this.destroy();
    if (failure !== 'local') this.#upstreams.dialFailed(this.endpoint, failure);
    handler?.onUpstreamDialFailed(failure);
  }
}
