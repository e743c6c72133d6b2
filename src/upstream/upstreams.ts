/** A worker's connections to all endpoints: run-time state that outlives table changes. */
import type { BlockPool } from '../io/block-pool.ts';
import type { Deadlines } from '../io/deadlines.ts';
import { READ_BYTES } from '../io/adopt.ts';
import type { HealthMarks } from '../shared/meters.ts';
import type { LiveEndpoint } from '../model/live.ts';
import { BACKEND_LIMITS } from '../http2/limits.ts';
import type { Turn } from '../io/turn.ts';
import { UpstreamConnection } from './connection.ts';
import type { UpstreamHandler } from './connection.ts';
import { Http2UpstreamConnection } from './http2-connection.ts';
import { UpstreamStream } from './http2-stream.ts';
import type { StreamHandler } from './request-wire.ts';

/** Idle connections kept per endpoint and worker. */
const MAX_IDLE = 512;
/** A backend that announces `Keep-Alive: timeout=N` is left this much earlier, so that its close does not race a request (undici does the same). */
const KEEP_ALIVE_MARGIN_MS = 1000;

/** An address with its pool of idle connections, newest last. */
export class UpstreamEndpoint {
  readonly slot: number;
  readonly address: string;
  readonly port: number;
  readonly idle: UpstreamConnection[] = [];
  /** Connections of HTTP/2 that take more requests, the fullest first. */
  readonly shared: Http2UpstreamConnection[] = [];
  /** It has left its pool: connections are closed instead of kept. */
  retired = false;

  constructor(endpoint: LiveEndpoint) {
    this.slot = endpoint.slot;
    this.address = endpoint.address;
    this.port = endpoint.port;
  }
}

export interface UpstreamOptions {
  readonly deadlines: Deadlines;
  readonly blocks: BlockPool;
  readonly turn: Turn;
  readonly health: HealthMarks;
  /** ms */
  readonly connectTimeout: number;
  /** ms an idle connection is kept. */
  readonly idleTimeout: number;
  /** Idle connections kept to all endpoints together, at least 1: each takes a descriptor that a client may need. */
  readonly maxIdle: number;
  /** See `poisoning`. */
  readonly poisonReads: boolean;
  /** Counts a failed connect of an endpoint. */
  readonly onDialFailed: (slot: number) => void;
}

export class Upstreams {
  /** All connections read into this one buffer: a read is handled whole before the next one happens. */
  readonly readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly deadlines: Deadlines;
  readonly blocks: BlockPool;
  readonly turn: Turn;
  readonly health: HealthMarks;
  readonly poisonReads: boolean;
  readonly #options: UpstreamOptions;
  readonly #endpoints: (UpstreamEndpoint | undefined)[] = [];
  #idle = 0;
  /** The slot whose oldest idle connection is the next to go when there are too many. */
  #hand = 0;

  constructor(options: UpstreamOptions) {
    this.#options = options;
    this.deadlines = options.deadlines;
    this.blocks = options.blocks;
    this.turn = options.turn;
    this.health = options.health;
    this.poisonReads = options.poisonReads;
  }

  /** An idle connection at once (`connected`), or one that is being dialled and reports to `handler`. */
  acquire(endpoint: LiveEndpoint, handler: UpstreamHandler): UpstreamConnection {
    const upstream = this.#of(endpoint);
    const idle = upstream.idle.pop();
    if (idle === undefined) return this.#dial(upstream, handler);
    this.#idle--;
    idle.lend(handler);
    return idle;
  }

  /** A stream on a connection of HTTP/2, at once (`connected`) or when that is there: it reports to `handler`. */
  stream(endpoint: LiveEndpoint, handler: StreamHandler): UpstreamStream {
    const stream = new UpstreamStream(handler);
    this.#join(this.#of(endpoint), stream);
    return stream;
  }

  /** A new connection, for an exchange that must not meet a stale one (an upgrade, a replay). */
  dial(endpoint: LiveEndpoint, handler: UpstreamHandler): UpstreamConnection {
    return this.#dial(this.#of(endpoint), handler);
  }

  /**
   * Gives a connection back after a complete exchange. `keepAliveHint` is the backend's own idle time-out in seconds,
   * -1 = not said.
   */
  release(connection: UpstreamConnection, keepAliveHint: number): void {
    const { endpoint } = connection;
    const kept = keepAliveHint < 0 ? this.#options.idleTimeout : keepAliveHint * 1000 - KEEP_ALIVE_MARGIN_MS;
    if (endpoint.retired || kept <= 0 || endpoint.idle.length >= MAX_IDLE || connection.socket.readableEnded) {
      connection.destroy();
      return;
    }
    connection.handler = null;
    connection.deadline = this.deadlines.now + Math.min(kept, this.#options.idleTimeout);
    endpoint.idle.push(connection);
    this.#idle++;
    if (this.#idle > this.#options.maxIdle) this.#closeOne();
  }

  /** An endpoint has left its pool: idle connections go, busy ones end with their exchange. */
  retire(slot: number): void {
    const upstream = this.#endpoints[slot];
    if (upstream === undefined) return;
    upstream.retired = true;
    this.#endpoints[slot] = undefined;
    for (const connection of [...upstream.idle]) connection.destroy();
    for (const connection of [...upstream.shared]) connection.retire();
  }

  closeIdle(): void {
    for (const upstream of this.#endpoints) {
      for (const connection of [...(upstream?.idle ?? [])]) connection.destroy();
    }
  }

  /** For connections: they are gone. */
  forget(connection: UpstreamConnection): void {
    this.deadlines.delete(connection);
    const at = connection.endpoint.idle.indexOf(connection);
    if (at < 0) return;
    connection.endpoint.idle.splice(at, 1);
    this.#idle--;
  }

  /** For connections: a dial failed. */
  dialFailed(endpoint: UpstreamEndpoint): void {
    this.health.failed(endpoint.slot, this.deadlines.exact());
    this.#options.onDialFailed(endpoint.slot);
  }

  /** Endpoints take turns, as a clock's hand goes round: nothing has to be kept in order for the sake of a rare case. */
  #closeOne(): void {
    for (let looked = 0; looked < this.#endpoints.length; looked++) {
      this.#hand = (this.#hand + 1) % this.#endpoints.length;
      const oldest = this.#endpoints[this.#hand]?.idle[0];
      if (oldest !== undefined) return oldest.destroy();
    }
  }

  #dial(upstream: UpstreamEndpoint, handler: UpstreamHandler): UpstreamConnection {
    return new UpstreamConnection(this, upstream, handler, this.deadlines.exact() + this.#options.connectTimeout);
  }

  #join(upstream: UpstreamEndpoint, stream: UpstreamStream): void {
    const connection = upstream.shared.find(({ hasRoom }) => hasRoom) ?? this.#share(upstream);
    connection.add(stream);
  }

  #share(upstream: UpstreamEndpoint): Http2UpstreamConnection {
    const { turn, deadlines, blocks } = this;
    const { connectTimeout, idleTimeout } = this.#options;
    const connection = new Http2UpstreamConnection({
      turn,
      deadlines,
      blocks,
      limits: BACKEND_LIMITS,
      scheme: 'http',
      connectTimeout,
      idleTimeout,
      dial: (handler) => this.#dial(upstream, handler),
      onClosed: (closed) => {
        const at = upstream.shared.indexOf(closed);
        if (at >= 0) upstream.shared.splice(at, 1);
      },
      onUseless: () => this.dialFailed(upstream),
      onOverflow: (stream) => this.#join(upstream, stream),
    });
    upstream.shared.push(connection);
    return connection;
  }

  #of(endpoint: LiveEndpoint): UpstreamEndpoint {
    const known = this.#endpoints[endpoint.slot];
    if (known !== undefined && known.address === endpoint.address && known.port === endpoint.port) return known;
    if (known !== undefined) this.retire(endpoint.slot);
    const made = new UpstreamEndpoint(endpoint);
    this.#endpoints[endpoint.slot] = made;
    return made;
  }
}
