/** One request's way, computed once for every lane: route, pool, affinity, decision, and what is counted about them. */
import { decide } from '../affinity/decide.ts';
import { Decision, REASON } from '../affinity/decision.ts';
import type { LiveAffinity } from '../affinity/build.ts';
import { normalizeHost } from '../match/host.ts';
import { normalizePath } from '../match/path.ts';
import type { RequestFacts } from '../model/facts.ts';
import type { LiveEndpoint, LivePool } from '../model/live.ts';
import { decisionField, DURATION_BUCKETS, DURATION_SUM, INVALID_TOKEN, movesField } from '../shared/layout.ts';
import type { LaneContext } from './context.ts';
import type { LiveRoute } from './live-table.ts';

/** Facts that a lane's head lets `match` fill in. */
export interface MutableFacts extends RequestFacts {
  host: string;
  path: string;
  query: string;
}

/** Reused for all requests of a connection. */
export class Plan {
  readonly decision: Decision;
  route: LiveRoute | undefined;
  affinity: LiveAffinity | undefined;
  pool: LivePool | undefined;
  endpoint: LiveEndpoint | undefined;
  readonly #ctx: LaneContext;
  #facts: RequestFacts | undefined;
  #authority = '';
  #host = '';

  constructor(ctx: LaneContext) {
    this.#ctx = ctx;
    this.decision = new Decision(ctx.keys !== undefined);
  }

  /**
   * Finds the route of a request to `authority` (raw Host) and `target` (origin-form).
   * @returns 0, or the status of our own answer: 308 to HTTPS, 400 bad authority, 404 no route
   */
  match(facts: MutableFacts, authority: string, target: string): 0 | 308 | 400 | 404 {
    this.route = undefined;
    this.endpoint = undefined;
    this.#facts = facts;
    // Connections rarely change their host: the last answer is kept.
    if (authority !== this.#authority) {
      const host = normalizeHost(authority);
      if (host === undefined) return 400;
      this.#authority = authority;
      this.#host = host;
    }
    const question = target.indexOf('?');
    facts.host = this.#host;
    facts.query = question < 0 ? '' : target.slice(question + 1);
    facts.path = normalizePath(question < 0 ? target : target.slice(0, question)) ?? '/';
    this.route = this.#ctx.table.find(facts.host, facts.path);
    if (this.route === undefined) return 404;
    this.decision.begin();
    return this.route.route.redirectsToHttps === true && facts.scheme === 'http' ? 308 : 0;
  }

  /** Decides on the current pool; false = refused with `decision.status`. Called again after a failed connect. */
  decide(): boolean {
    const { route } = this;
    if (route?.pool === undefined || this.#facts === undefined) throw new Error('decide() needs a route with a pool');
    this.affinity = route.affinity?.live;
    this.pool = route.pool.live;
    this.#ctx.env.now = this.#ctx.deadlines.exact();
    decide(this.decision, this.affinity, this.pool, this.#facts, this.#ctx.env);
    this.endpoint = this.pool.endpoints[this.decision.endpoint];
    return this.endpoint !== undefined;
  }

  /** The endpoint's answer is there: tokens and Expires tell the time of the answer, however long the endpoint took. */
  answered(): void {
    this.#ctx.env.now = this.#ctx.deadlines.exact();
  }

  /** Counts the decision, once a request, when its outcome is final. */
  countDecision(): void {
    const { route, decision } = this;
    if (route === undefined) return;
    const at = route.affinity?.rules[decision.rule + 1] ?? route.stateless;
    at.cells[at.at + decisionField(decision.outcome, decision.reason)]!++;
    if (route.affinity === undefined) return;
    const { cells, at: policy } = route.affinity.policy;
    if (decision.tokenFault === REASON.invalid_token) cells[policy + INVALID_TOKEN.invalid_token]!++;
    else if (decision.tokenFault === REASON.unknown_key) cells[policy + INVALID_TOKEN.unknown_key]!++;
  }

  /** Counts that the session has moved, for the decision's reason. */
  countMove(): void {
    const policy = this.route?.affinity?.policy;
    if (policy !== undefined) policy.cells[policy.at + movesField(this.decision.reason)]!++;
  }

  /** Counts the request when it is over. `seconds` from the end of its head to the end of the response. */
  countRequest(status: number, seconds: number): void {
    const { route } = this;
    if (route === undefined) return;
    const { requests, durations } = route;
    const digit = Math.floor(status / 100);
    requests.cells[requests.at + (digit >= 1 && digit <= 5 ? digit : 5) - 1]!++;
    let bucket = 0;
    while (bucket < DURATION_BUCKETS.length && seconds > (DURATION_BUCKETS[bucket] ?? 0)) bucket++;
    durations.cells[durations.at + bucket]!++;
    durations.cells[durations.at + DURATION_SUM]! += seconds;
  }
}
