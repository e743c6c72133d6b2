/**
 * Finds a request a connected endpoint: decides, dials, and after a failed connect waits for a kept session's own
 * endpoint or goes to the next one. Shared by the lanes that talk to endpoints.
 */
import { REASON } from '../affinity/decision.ts';
import type { DialFailure, UpstreamConnection, UpstreamHandler } from '../upstream/connection.ts';
import type { LaneContext } from './context.ts';
import type { Plan } from './plan.ts';

/** Back-off of a kept session that waits for its own endpoint, ms. */
const BACKOFF_FIRST = 25;
const BACKOFF_LAST = 400;
/** A route without a policy is retried as one with a policy that says nothing of it. */
const DEFAULT_RETRY = { attempts: 2, changeOnFailure: true };

export interface AttemptOwner extends UpstreamHandler {
  /** No endpoint took the request. `code` is for logs and the answer's body. */
  onNoEndpoint(status: number, code: string): void;
}

/** Reused for all requests of a connection. */
export class Attempts {
  readonly #ctx: LaneContext;
  readonly #plan: Plan;
  readonly #owner: AttemptOwner;
  #timer: NodeJS.Timeout | undefined;
  #wait = BACKOFF_FIRST;
  #failure: DialFailure = 'refused';
  #entered = -1;
  connection: UpstreamConnection | undefined;

  constructor(ctx: LaneContext, plan: Plan, owner: AttemptOwner) {
    this.#ctx = ctx;
    this.#plan = plan;
    this.#owner = owner;
  }

  /** Starts a request whose route is known. The owner hears `onUpstreamConnected` (perhaps at once) or `onNoEndpoint`. */
  start(fresh = false): void {
    this.#wait = BACKOFF_FIRST;
    this.#failure = 'refused';
    this.#next(fresh);
  }

  /** The same endpoint over a new connection: the kept-alive one was closed before it answered. */
  again(): void {
    const { endpoint } = this.#plan;
    if (endpoint === undefined) throw new Error('again() before an endpoint was chosen');
    this.#ctx.counters.retry();
    this.connection = this.#ctx.upstreams.dial(endpoint, this.#owner);
  }

  /** To be called from the owner's `onUpstreamDialFailed`. */
  dialFailed(failure: DialFailure): void {
    const { decision, affinity, endpoint } = this.#plan;
    this.#failure = failure;
    this.leave();
    if (failure === 'timeout') this.#ctx.counters.limit('connect_timeout');
    if (endpoint === undefined) return this.#giveUp();
    if (decision.retryOwn && this.#withinGrace(endpoint.slot)) return this.#waitForOwn();
    decision.tried.push(endpoint.slot);
    const { attempts, changeOnFailure } = affinity?.policy.retry ?? DEFAULT_RETRY;
    if (!changeOnFailure || decision.tried.length > attempts) return this.#giveUp();
    this.#ctx.counters.retry();
    this.#next(true);
  }

  /** The request no longer occupies its endpoint. */
  leave(): void {
    if (this.#entered >= 0) this.#ctx.counters.gauge(this.#entered, 'inFlight', -1);
    this.#entered = -1;
    this.connection = undefined;
  }

  /** The client is gone. */
  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.connection?.destroy();
    this.leave();
  }

  /** A container restarting in place or a full backlog shall not cost a session. */
  #withinGrace(slot: number): boolean {
    const since = this.#ctx.env.meters.failingSince(slot);
    return this.#ctx.deadlines.exact() - since <= (this.#plan.affinity?.policy.lost.notReadyGrace ?? 0);
  }

  #waitForOwn(): void {
    this.#ctx.counters.retry();
    this.#timer = setTimeout(() => {
      this.#next(true);
    }, this.#wait);
    this.#wait = Math.min(this.#wait * 2, BACKOFF_LAST);
  }

  /** Decides on the pool as it is now: a wait may have ended because the endpoint left. */
  #next(fresh: boolean): void {
    this.#timer = undefined;
    const plan = this.#plan;
    const { upstreams, counters, settings, env } = this.#ctx;
    if (!plan.decide() || plan.endpoint === undefined) {
      const { status, reasonName } = plan.decision;
      if (status === 502 && reasonName === 'connect_failed') this.#giveUp();
      else this.#owner.onNoEndpoint(status, reasonName);
      return;
    }
    const { slot } = plan.endpoint;
    const limit = settings.maxInFlightPerEndpoint;
    if (limit > 0 && env.meters.inFlight(slot) >= limit) {
      counters.limit('endpoint_in_flight');
      plan.decision.reject(REASON.capacity, 503);
      this.#owner.onNoEndpoint(503, 'capacity');
      return;
    }
    counters.gauge(slot, 'inFlight', 1);
    this.#entered = slot;
    const connection = fresh
      ? upstreams.dial(plan.endpoint, this.#owner)
      : upstreams.acquire(plan.endpoint, this.#owner);
    this.connection = connection;
    if (connection.connected) this.#owner.onUpstreamConnected();
  }

  /** The endpoints that may be tried are used up: the decision's outcome is that none was reached. */
  #giveUp(): void {
    this.#plan.decision.reject(REASON.connect_failed, 502);
    this.#owner.onNoEndpoint(this.#failure === 'timeout' ? 504 : 502, `connect_${this.#failure}`);
  }
}
