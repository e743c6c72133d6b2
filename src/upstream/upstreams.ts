/** A worker's connections to all endpoints: run-time state that outlives table changes. */
import { readBuffer } from '../http1/scan.ts';
import type { BlockPool } from '../io/block-pool.ts';
import type { Deadlines } from '../io/deadlines.ts';
import { poisoned, readsInto } from '../io/take-reads.ts';
import type { TakeReads } from '../io/take-reads.ts';
import type { HealthMarks } from '../shared/meters.ts';
import type { LiveEndpoint } from '../model/live.ts';
import { BACKEND_LIMITS } from '../http2/limits.ts';
import type { Turn } from '../io/turn.ts';
import { UpstreamConnection } from './connection.ts';
import type { UpstreamHandler } from './connection.ts';
import { EndpointPools } from './endpoint-pools.ts';
import type { UpstreamEndpoint } from './endpoint-pools.ts';
import { Http2UpstreamConnection } from './http2-connection.ts';
import { UpstreamStream } from './http2-stream.ts';
import { IdleList } from './idle-list.ts';
import type { DialFailure, StreamHandler } from './request-wire.ts';
import type { TlsProfile } from './tls.ts';

/** Idle connections kept per endpoint and worker. */
const MAX_IDLE = 512;
/** A backend that announces `Keep-Alive: timeout=N` is left this much earlier, so that its close does not race a request (undici does the same). */
const KEEP_ALIVE_MARGIN_MS = 1000;

export interface UpstreamOptions {
  readonly deadlines: Deadlines;
  readonly blocks: BlockPool;
  /** Of connections of HTTP/2. */
  readonly turn: Turn;
  /** Of connections of HTTP/1. */
  readonly writes: Turn;
  readonly health: HealthMarks;
  /** ms */
  readonly connectTimeout: number;
  /** ms an idle connection is kept. */
  readonly idleTimeout: number;
  /** Idle connections kept to all endpoints together, at least 1, those used last: each takes a descriptor that a client may need. */
  readonly maxIdle: number;
  /** See `poisoning`. */
  readonly poisonReads: boolean;
  /** Counts a failed connect of an endpoint. */
  readonly onDialFailed: (slot: number) => void;
}

export class Upstreams {
  /** All connections read into this one buffer: a read is handled whole before the next one happens. */
  readonly takeReads: TakeReads;
  readonly deadlines: Deadlines;
  readonly blocks: BlockPool;
  readonly turn: Turn;
  readonly writes: Turn;
  readonly health: HealthMarks;
  readonly #options: UpstreamOptions;
  /** Everybody's. */
  readonly #common = new EndpointPools('');
  /** Those of one client each. */
  readonly #own = new Set<EndpointPools>();
  readonly #idle = new IdleList();

  constructor(options: UpstreamOptions) {
    this.#options = options;
    this.deadlines = options.deadlines;
    this.blocks = options.blocks;
    this.turn = options.turn;
    this.writes = options.writes;
    this.health = options.health;
    const takeReads = readsInto(readBuffer());
    this.takeReads = options.poisonReads ? poisoned(takeReads) : takeReads;
  }

  /**
   * An idle connection at once (`connected`), or one that is being dialled and reports to `handler`. `pools`: where it
   * comes from and goes back to; of `openOwn`, or everybody's. Without `tls` in plain text.
   */
  acquire(
    endpoint: LiveEndpoint,
    handler: UpstreamHandler,
    pools = this.#common,
    tls?: TlsProfile,
  ): UpstreamConnection {
    const upstream = pools.of(endpoint, tls);
    const idle = upstream.idle.pop();
    if (idle === undefined) return this.#dial(upstream, handler);
    this.#idle.remove(idle);
    idle.lend(handler);
    return idle;
  }

  /** A stream on a connection of HTTP/2, at once (`connected`) or when that is there: it reports to `handler`. */
  stream(endpoint: LiveEndpoint, handler: StreamHandler, pools = this.#common, tls?: TlsProfile): UpstreamStream {
    const stream = new UpstreamStream(handler);
    this.#join(pools.of(endpoint, tls), stream);
    return stream;
  }

  /** A new connection, for an exchange that must not meet a stale one (an upgrade, a replay). */
  dial(endpoint: LiveEndpoint, handler: UpstreamHandler, pools = this.#common, tls?: TlsProfile): UpstreamConnection {
    return this.#dial(pools.of(endpoint, tls), handler);
  }

  /** Pools of a client whose connections begin with `preface` (latin1) and are nobody else's. */
  openOwn(preface: string): EndpointPools {
    const pools = new EndpointPools(preface);
    this.#own.add(pools);
    return pools;
  }

  /** The client is gone, and so are its connections, those in use once they are given back. */
  closeOwn(pools: EndpointPools): void {
    this.#own.delete(pools);
    pools.retireAll();
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
    // What a TLS socket has read already comes even when it is paused, be it the rest of an answer.
    if (endpoint.tls !== undefined) connection.socket.resume();
    connection.handler = null;
    connection.deadline = this.deadlines.now + Math.min(kept, this.#options.idleTimeout);
    endpoint.idle.push(connection);
    this.#idle.add(connection);
    if (this.#idle.size > this.#options.maxIdle) this.#idle.oldest?.destroy();
  }

  /** An endpoint has left its pool: idle connections go, busy ones end with their exchange. */
  retire(slot: number): void {
    this.#common.retire(slot);
    for (const pools of this.#own) pools.retire(slot);
  }

  /** No request is for these settings any more. */
  retireTls(tls: TlsProfile): void {
    this.#common.retireTls(tls);
    for (const pools of this.#own) pools.retireTls(tls);
  }

  closeIdle(): void {
    this.#common.closeIdle();
    for (const pools of this.#own) pools.closeIdle();
  }

  /** For connections: they are gone. */
  forget(connection: UpstreamConnection): void {
    this.deadlines.delete(connection);
    const at = connection.endpoint.idle.indexOf(connection);
    if (at < 0) return;
    connection.endpoint.idle.splice(at, 1);
    this.#idle.remove(connection);
  }

  /** For connections: a dial failed. One that is no use over TLS may be well in plain text, for another route. */
  dialFailed({ slot }: UpstreamEndpoint, failure: DialFailure): void {
    if (failure !== 'tls') this.health.failed(slot, this.deadlines.exact());
    this.#options.onDialFailed(slot);
  }

  #dial(
    upstream: UpstreamEndpoint,
    handler: UpstreamHandler,
    protocol: 'http/1.1' | 'h2' = 'http/1.1',
  ): UpstreamConnection {
    const deadline = this.deadlines.exact() + this.#options.connectTimeout;
    return new UpstreamConnection(this, upstream, handler, protocol, deadline);
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
      scheme: upstream.tls === undefined ? 'http' : 'https',
      connectTimeout,
      idleTimeout,
      dial: (handler) => this.#dial(upstream, handler, 'h2'),
      onClosed: (closed) => {
        const at = upstream.shared.indexOf(closed);
        if (at >= 0) upstream.shared.splice(at, 1);
      },
      onUseless: () => this.dialFailed(upstream, 'protocol'),
      onOverflow: (stream) => {
        this.#join(upstream, stream);
        if (stream.connected) stream.handler?.onUpstreamConnected();
      },
    });
    upstream.shared.push(connection);
    return connection;
  }
}
