/** A connection that has been accepted and is no client's yet: it counts as open, and has its time. */
import type { Socket } from 'node:net';
import type { Timed } from '../io/deadlines.ts';
import type { LaneContext } from '../lanes/context.ts';

export class Opening implements Timed {
  readonly tcp: Socket;
  readonly #ctx: LaneContext;
  readonly #onEnd: () => void;
  readonly #deadline: number;
  #ended = false;

  /** @param onEnd it is over, one way or the other */
  constructor(ctx: LaneContext, tcp: Socket, onEnd: () => void) {
    this.tcp = tcp;
    this.#ctx = ctx;
    this.#onEnd = onEnd;
    this.#deadline = ctx.deadlines.now + ctx.settings.headTimeout;
    ctx.deadlines.add(this);
    ctx.counters.connectionOpened();
    tcp.once('close', () => this.end());
    tcp.on('error', () => tcp.destroy());
  }

  checkDeadline(now: number): void {
    if (now < this.#deadline) return;
    this.#ctx.counters.limit('head_timeout');
    this.tcp.destroy();
  }

  /** Somebody else has the connection from now on. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#ctx.deadlines.delete(this);
    this.#ctx.counters.connectionClosed();
    this.#onEnd();
  }
}
