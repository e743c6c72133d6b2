/** Tells the session table that a request uses its session: when it reaches its endpoint, while a stream is open, and at the end. */
import { OUTCOME } from '../affinity/decision.ts';
import { indexOfRef } from '../affinity/entry.ts';
import { CHANGED, INSERTED } from '../shared/session-table.ts';
import type { LaneContext } from './context.ts';
import type { Plan } from './plan.ts';

/** A stream's session is renewed at an eighth of its life, and at least this often. */
const RENEW_MS = 60_000;

/** Reused for all requests of a connection. */
export class SessionUse {
  readonly #ctx: LaneContext;
  readonly #plan: Plan;
  /** Wall clock ms at which an open stream tells again. */
  #next = Infinity;

  constructor(ctx: LaneContext, plan: Plan) {
    this.#ctx = ctx;
    this.#plan = plan;
  }

  begin(): void {
    this.#next = Infinity;
  }

  /** The endpoint has taken the request. */
  reached(): void {
    if (!this.#plan.decision.onIssue) this.#touch();
  }

  /** The answer starts a session: it counts from now on. */
  issued(): void {
    if (this.#plan.decision.onIssue) this.#touch();
  }

  /** From time to time while the request or its stream is open. `now`: wall clock, ms. */
  during(now: number): void {
    if (now >= this.#next) this.over(now);
  }

  /** The idle time runs from here. */
  over(now: number): void {
    const { region, entryHigh, entryLow, entryLife } = this.#plan.decision;
    if (region === -1 || this.#next === Infinity) return;
    this.#ctx.sessions.seen(region, entryHigh, entryLow, now, entryLife);
    this.#next = now + renewal(entryLife);
  }

  #touch(): void {
    const { decision, endpoint } = this.#plan;
    const { region, entryHigh, entryLow, entryScope, entryLife } = decision;
    if (region === -1 || endpoint === undefined) return;
    const { sessions, env } = this.#ctx;
    const done = sessions.touch(
      region,
      entryHigh,
      entryLow,
      entryScope,
      endpoint.ref,
      env.now,
      entryLife,
      decision.outcome !== OUTCOME.new,
    );
    this.#next = env.now + renewal(entryLife);
    if (decision.outcome === OUTCOME.moved) this.#moved(done);
    else if (decision.outcome === OUTCOME.new && (decision.onIssue || done === INSERTED)) {
      // A session that is issued is one even when the table has no room for it; of a key only the table knows.
      this.#ctx.counters.endpoint(endpoint.slot, 'newSessions', 1);
    }
  }

  /** Of several requests of a session that moves, the table lets one count. Another port of the same endpoint is no move. */
  #moved(done: number): void {
    const { affinity, pool, decision } = this.#plan;
    const { sessions, env } = this.#ctx;
    if ((done !== INSERTED && done !== CHANGED) || affinity === undefined || pool === undefined) return;
    if (done === CHANGED && indexOfRef(sessions.previous, affinity.policy, pool, env) === decision.endpoint) return;
    this.#plan.countMove();
  }
}

function renewal(life: number): number {
  return Math.min(life / 8, RENEW_MS);
}
