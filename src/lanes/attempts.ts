/**
 * Finds a request a connected endpoint: decides, dials, and after a failed connect waits for a kept session's own
 * endpoint or goes to the next one. Shared by the lanes that talk to endpoints.
 */
import { OUTCOME, REASON } from '../affinity/decision.ts';
import type { LiveEndpoint } from '../model/live.ts';
import { detached } from '../session-store/detached.ts';
import { GAUGE } from '../shared/layout.ts';
import type { DialFailure, DialHandler, UpstreamLink } from '../upstream/request-wire.ts';
import type { LaneContext } from './context.ts';
import type { Plan } from './plan.ts';
import type { Waiter } from './waiting-room.ts';

/** Back-off of a kept session that waits for its own endpoint, ms. */
const BACKOFF_FIRST = 25;
const BACKOFF_LAST = 400;
/** Node's timers count in 32 bits, ms. */
const LONGEST_TIMER = 2 ** 31 - 1;
/** Endpoints at their limit that a request without a session passes over before it is refused. */
const MAX_FULL = 16;
/** Times that a request follows its session to where another request has put it. */
const MAX_ADOPTED = 3;
/** A route without a policy is retried as one with a policy that says nothing of it. */
const DEFAULT_RETRY = { attempts: 2, changeOnFailure: true };

export interface AttemptOwner extends DialHandler {
  /** No endpoint took the request. `code` is for logs and the answer's body. */
  onNoEndpoint(status: number, code: string): void;
}

/** Reused for all requests of a connection. */
export class Attempts<L extends UpstreamLink> implements Waiter {
  readonly #ctx: LaneContext;
  readonly #plan: Plan;
  readonly #owner: AttemptOwner;
  readonly #open: (endpoint: LiveEndpoint, fresh: boolean) => L;
  #timer: NodeJS.Timeout | undefined;
  #wait = BACKOFF_FIRST;
  #failure: DialFailure = 'refused';
  #entered = -1;
  /** Slot of the own endpoint that a session has waited for; -1 = none. */
  #own = -1;
  /** Where the request waits for its endpoint to come back; undefined = it does not. */
  #waitsAt: string | undefined;
  #fresh = false;
  #adopted = 0;
  /** The session store is being asked; another object for each question, as nobody waits for the answer of one that is over. */
  #asking: object | undefined;
  /** An endpoint was passed over because it is at its limit. */
  #full = false;
  connection: L | undefined;

  /** @param open gets a connection for the owner, a new one when it has to be fresh */
  constructor(ctx: LaneContext, plan: Plan, owner: AttemptOwner, open: (endpoint: LiveEndpoint, fresh: boolean) => L) {
    this.#ctx = ctx;
    this.#plan = plan;
    this.#owner = owner;
    this.#open = open;
  }

  /** The request waits for an endpoint that has vanished. */
  get waiting(): boolean {
    return this.#waitsAt !== undefined;
  }

  /**
   * Starts a request whose route is known, at the clock's last reading. The owner hears `onUpstreamConnected` (perhaps at
   * once) or `onNoEndpoint`.
   */
  start(fresh = false): void {
    this.#wait = BACKOFF_FIRST;
    this.#failure = 'refused';
    this.#full = false;
    this.#own = -1;
    this.#adopted = 0;
    this.#asking = undefined;
    this.#fresh = fresh;
    this.#choose(fresh);
  }

  /** The same endpoint over a new connection: the kept-alive one was closed before it answered. */
  again(): void {
    const { endpoint } = this.#plan;
    if (endpoint === undefined) throw new Error('again() before an endpoint was chosen');
    this.#ctx.counters.retry();
    this.connection = this.#open(endpoint, true);
    if (this.connection.connected) this.#owner.onUpstreamConnected();
  }

  /**
   * Another request has given the session to another endpoint: leaves this one, unused, for that. False = this has
   * happened too often, as while workers have different tables.
   */
  adopt(): boolean {
    const { connection } = this;
    if (connection === undefined || ++this.#adopted > MAX_ADOPTED) return false;
    this.leave();
    connection.giveBack();
    this.#next(this.#fresh);
    return true;
  }

  /**
   * To be called with a connection, before anything is sent: true = the session store is asked first whether the key may
   * go there. The owner hears `onUpstreamConnected` again, or the request goes after its key.
   */
  holds(): boolean {
    const { keys } = this.#ctx;
    if (keys === undefined) return false;
    if (this.#asking !== undefined) return true;
    const plan = this.#plan;
    if (!keys.claims(plan)) return false;
    this.#await(keys.claim(plan), (there) => {
      if (!keys.claimed(plan, there) && this.adopt()) return;
      if (this.connection?.connected === true) this.#owner.onUpstreamConnected();
    });
    return true;
  }

  /** The endpoint speaks or closes while the connection is held: the request, unsent, goes on over another. False = it is not held. */
  interrupted(): boolean {
    const { connection } = this;
    if (this.#asking === undefined || connection === undefined) return false;
    this.#asking = undefined;
    connection.destroy();
    if (connection.reused) this.again();
    else this.dialFailed('refused');
    return true;
  }

  /** To be called from the owner's `onUpstreamDialFailed`. */
  dialFailed(failure: DialFailure): void {
    const { decision, affinity, endpoint } = this.#plan;
    this.#failure = failure;
    this.leave();
    if (failure === 'timeout') this.#ctx.counters.limit('connect_timeout');
    if (failure === 'local') return this.#reject(REASON.capacity, 503);
    if (endpoint === undefined) return this.#giveUp();
    // Waiting does not mend certificates.
    if (failure !== 'tls' && decision.retryOwn && this.#withinGrace(endpoint.slot))
      return this.#waitForOwn(endpoint.slot);
    decision.tried.push(endpoint.slot);
    const { attempts, changeOnFailure } = affinity?.policy.retry ?? DEFAULT_RETRY;
    // Whoever has no session yet may go anywhere; `changeOnFailure` is about leaving an endpoint.
    if ((!changeOnFailure && decision.retryOwn) || decision.tried.length > attempts) return this.#giveUp();
    this.#ctx.counters.retry();
    this.#next(true);
  }

  /** The request no longer occupies its endpoint. */
  leave(): void {
    if (this.#entered >= 0) this.#ctx.counters.gauge(this.#entered, GAUGE.inFlight, -1);
    this.#entered = -1;
    this.connection = undefined;
  }

  /** The client is gone. */
  cancel(): void {
    this.#asking = undefined;
    this.#stopWaiting();
    this.connection?.destroy();
    this.leave();
  }

  /** A container restarting in place or a full backlog shall not cost a session. */
  #withinGrace(slot: number): boolean {
    const since = this.#ctx.env.meters.failingSince(slot);
    // 0: it has worked for somebody else meanwhile.
    return since === 0 || this.#ctx.deadlines.exact() - since <= (this.#plan.affinity?.policy.lost.notReadyGrace ?? 0);
  }

  #waitForOwn(slot: number): void {
    this.#own = slot;
    this.#ctx.counters.retry();
    this.#timer = setTimeout(() => {
      this.#next(true);
    }, this.#wait);
    this.#wait = Math.min(this.#wait * 2, BACKOFF_LAST);
  }

  /** For the waiting room, and at the end of the wait: the endpoint is there, or not to be waited for any longer, or neither. */
  wake(): void {
    if (!this.waiting) return;
    this.#stopWaiting();
    this.#next(this.#fresh);
  }

  /** The session's endpoint has vanished and may come back: then with the next table, else the decision is another one. */
  #awaitReturn(fresh: boolean): void {
    const { waiting, draining, counters, deadlines } = this.#ctx;
    const { decision, pool } = this.#plan;
    const { waitFor, waitUntil, status, reasonName } = decision;
    const at = `${pool?.key ?? ''} ${waitFor}`;
    // Whoever shuts down has no time; the client may ask another replica.
    if (draining) return this.#owner.onNoEndpoint(status, reasonName);
    if (!waiting.enter(at, this)) {
      counters.limit('gone_waiting');
      return this.#owner.onNoEndpoint(status, reasonName);
    }
    this.#waitsAt = at;
    this.#fresh = fresh;
    this.#timer = setTimeout(
      () => {
        this.wake();
      },
      Math.min(waitUntil - deadlines.exact(), LONGEST_TIMER),
    );
  }

  #stopWaiting(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waitsAt !== undefined) this.#ctx.waiting.leave(this.#waitsAt, this);
    this.#waitsAt = undefined;
  }

  /** Decides on the pool as it is now: a wait may have ended because the endpoint left. */
  #next(fresh: boolean): void {
    this.#timer = undefined;
    this.#ctx.clock.read();
    this.#choose(fresh);
  }

  #choose(fresh: boolean): void {
    const plan = this.#plan;
    for (let full = 0; plan.decide() && plan.endpoint !== undefined; full++) {
      if (!this.#isFull(plan.endpoint.slot)) return this.#connect(plan.endpoint, fresh);
      // A session does not leave its endpoint for that; a request that need not stay there looks for room elsewhere.
      const { decision } = plan;
      const free = decision.outcome === OUTCOME.new || decision.outcome === OUTCOME.stateless || decision.stays;
      // Nor does a key leave the endpoint that it hashes to.
      if (full === MAX_FULL || !free || decision.retryOwn) {
        return this.#reject(REASON.capacity, 503);
      }
      decision.tried.push(plan.endpoint.slot);
      this.#full = true;
    }
    const { status, reasonName, waitUntil, asks } = plan.decision;
    if (asks) this.#ask(fresh);
    else if (this.#full) this.#reject(REASON.capacity, 503);
    else if (waitUntil > 0) this.#awaitReturn(fresh);
    else if (status === 502 && reasonName === 'connect_failed') this.#giveUp();
    else this.#owner.onNoEndpoint(status, reasonName);
  }

  /** Another replica may know the key. */
  #ask(fresh: boolean): void {
    const { keys } = this.#ctx;
    const found = (value: string | undefined) => {
      keys?.found(this.#plan, value);
      this.#next(fresh);
    };
    if (keys?.up === true) this.#await(keys.find(this.#plan), found);
    else found(undefined);
  }

  #await<T>(answer: Promise<T>, then: (value: T) => void): void {
    const asking = (this.#asking = {});
    const done = answer.then((value) => {
      if (this.#asking !== asking) return;
      this.#asking = undefined;
      then(value);
    });
    detached(done);
  }

  #isFull(slot: number): boolean {
    const limit = this.#ctx.settings.maxInFlightPerEndpoint;
    if (limit === 0 || this.#ctx.env.meters.inFlight(slot) < limit) return false;
    this.#ctx.counters.limit('endpoint_in_flight');
    return true;
  }

  #connect(endpoint: LiveEndpoint, fresh: boolean): void {
    const { counters } = this.#ctx;
    const { tried } = this.#plan.decision;
    // The endpoint that was waited for in vain counts as tried: `attempts` is about the others.
    if (this.#own >= 0 && this.#own !== endpoint.slot && !tried.includes(this.#own)) tried.push(this.#own);
    counters.gauge(endpoint.slot, GAUGE.inFlight, 1);
    this.#entered = endpoint.slot;
    const connection = this.#open(endpoint, fresh);
    this.connection = connection;
    if (connection.connected) this.#owner.onUpstreamConnected();
  }

  #reject(reason: number, status: number): void {
    this.#plan.decision.reject(reason, status);
    this.#owner.onNoEndpoint(status, this.#plan.decision.reasonName);
  }

  /** The endpoints that may be tried are used up: the decision's outcome is that none was reached. */
  #giveUp(): void {
    this.#plan.decision.reject(REASON.connect_failed, 502);
    this.#owner.onNoEndpoint(this.#failure === 'timeout' ? 504 : 502, `connect_${this.#failure}`);
  }
}
