/** One TCP connection to an endpoint: dialled, lent to one exchange at a time, idle in its pool in between. */
import { connect } from 'node:net';
import type { NetConnectOpts, Socket } from 'node:net';
import type { Timed } from '../io/deadlines.ts';
import { poisoning, WRITE_HIGH_WATER } from '../io/adopt.ts';
import type { ReadHandler } from '../io/adopt.ts';
import { Outbox } from '../io/outbox.ts';
import type { UpstreamEndpoint } from './endpoint-pools.ts';
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

export class UpstreamConnection implements UpstreamLink, Timed {
  readonly endpoint: UpstreamEndpoint;
  readonly socket: Socket;
  readonly out: Outbox;
  connected = false;
  /** Whether an earlier exchange was answered over it. */
  reused = false;
  handler: UpstreamHandler | null;
  /** Wall clock ms; Infinity = none. While dialling: the connect time-out; while idle: when it is closed. */
  deadline: number;
  readonly #upstreams: Upstreams;

  constructor(upstreams: Upstreams, endpoint: UpstreamEndpoint, handler: UpstreamHandler, deadline: number) {
    this.#upstreams = upstreams;
    this.endpoint = endpoint;
    this.handler = handler;
    this.deadline = deadline;
    const read: ReadHandler = (length, buffer) => this.#onRead(length, buffer);
    const onRead = upstreams.poisonReads ? poisoning(read) : read;
    const options: NetConnectOpts & { writableHighWaterMark: number } = {
      host: endpoint.address,
      port: endpoint.port,
      noDelay: true,
      writableHighWaterMark: WRITE_HIGH_WATER,
      onread: { buffer: upstreams.readBuffer, callback: (length) => onRead(length, upstreams.readBuffer) },
    };
    this.socket = connect(options);
    this.out = new Outbox(this.socket, upstreams.blocks);
    this.socket.on('connect', () => {
      this.#onConnect();
    });
    this.socket.on('drain', () => {
      this.handler?.onUpstreamDrain();
    });
    this.socket.on('end', () => {
      this.#onEnd();
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#onGone(error.code);
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
    if (this.endpoint.preface !== '') this.socket.write(this.endpoint.preface, 'latin1');
    this.handler?.onUpstreamConnected();
  }

  #onRead(length: number, buffer: Buffer): boolean {
    if (this.handler !== null) return this.handler.onUpstreamData(buffer, length);
    // Bytes that nobody asked for would be taken as the answer to the next request.
    this.destroy();
    return true;
  }

  #onEnd(): void {
    if (this.handler === null) this.destroy();
    else this.handler.onUpstreamEnd();
  }

  #onGone(code: string | undefined): void {
    if (!this.connected && this.handler !== null) {
      this.#failDial(FAILURES[code ?? ''] ?? 'unreachable');
      return;
    }
    const handler = this.handler;
    this.destroy();
    handler?.onUpstreamClosed();
  }

  #failDial(failure: DialFailure): void {
    const handler = this.handler;
    this.destroy();
    if (failure !== 'local') this.#upstreams.dialFailed(this.endpoint);
    handler?.onUpstreamDialFailed(failure);
  }
}
