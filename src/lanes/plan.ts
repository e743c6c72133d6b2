/** One request's way, computed once for every lane: route, pool, affinity, decision, and what is counted about them. */
import { scale } from '../affinity/balance/compare.ts';
import { CANARY, EITHER, PRIMARY } from '../affinity/canary.ts';
import { decide } from '../affinity/decide.ts';
import { servedBy } from '../affinity/parts.ts';
import { Decision, REASON } from '../affinity/decision.ts';
import type { LiveAffinity } from '../affinity/build.ts';
import { normalizeHost } from '../match/host.ts';
import { normalizePath } from '../match/path.ts';
import type { ProxyVersion } from '../model/ends.ts';
import type { RequestFacts } from '../model/facts.ts';
import { OBSERVED } from '../model/live.ts';
import type { LiveEndpoint, LivePool } from '../model/live.ts';
import { PROTOCOLS, type BackendProtocol } from '../model/transport.ts';
import {
  bucketOf,
  decisionField,
  DURATION_BUCKETS,
  DURATION_SUM,
  INVALID_TOKEN,
  movesField,
} from '../shared/layout.ts';
import { CHANGED, INSERTED } from '../shared/session-table.ts';
import type { TlsProfile } from '../upstream/tls.ts';
import type { Unmatched } from './answer.ts';
import { certificateFault } from './client-certificate.ts';
import type { LaneContext } from './context.ts';
import type { AffinityRef, LiveCanary, LiveRoute, LiveSplit, PoolRef, RouteCells } from './live-table.ts';

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
  /** Where the request is counted, by Service; undefined = the route has only one. */
  #counted: ReadonlyMap<string, RouteCells> | undefined;
  /** The request has nothing to do with sessions, although the route has a policy: a canary without. */
  #free = false;
  #pool: PoolRef | undefined;
  #affinity: AffinityRef | undefined;
  #authority = '';
  #host = '';

  constructor(ctx: LaneContext) {
    this.#ctx = ctx;
    this.decision = new Decision(ctx.keys !== undefined);
  }

  /** The policy at the request's Services, as it is now; undefined = there is none. */
  get policy(): LiveAffinity | undefined {
    return this.#affinity?.live;
  }

  /** The endpoints that the request may go to, as they are now; undefined = the backend is broken. */
  get endpoints(): LivePool | undefined {
    return this.#pool?.live;
  }

  /** Of the header that connections to the endpoint begin with; undefined = they begin with the request. */
  get proxyProtocol(): ProxyVersion | undefined {
    return this.route?.route.sendProxyProtocol;
  }

  /** What is spoken to the endpoint. */
  get protocol(): BackendProtocol {
    const wanted = this.route?.route.transport?.protocol ?? this.endpoint?.service.protocol ?? 'HTTP';
    if (wanted !== 'AUTO_HTTP') return wanted;
    return this.#facts?.scheme === 'https' ? 'HTTPS' : 'HTTP';
  }

  /** How to reach the endpoint; undefined = in plain text. */
  get tls(): TlsProfile | undefined {
    return PROTOCOLS[this.protocol].tls ? this.route?.tls.live : undefined;
  }

  /** The endpoint is spoken to in HTTP/2. */
  get http2(): boolean {
    return PROTOCOLS[this.protocol].http2;
  }

  /** Name of the Service that serves the request, or would. */
  get service(): string {
    const { route, pool, decision } = this;
    if (this.#counted === undefined || pool === undefined) return route?.route.service ?? '';
    // Of a rule with `backends` none of which exists nobody is.
    return servedBy(pool, decision.endpoint).service || (route?.route.service ?? '');
  }

  /**
   * Finds the route of a request to `authority` (raw Host) and `target` (origin-form).
   * @returns 0, or what our own answer is about: 308 to HTTPS, 400 bad authority, 404 no route, else see `certificateFault`
   */
  match(facts: MutableFacts, authority: string, target: string): 0 | 308 | Unmatched {
    this.route = undefined;
    this.endpoint = undefined;
    this.#facts = facts;
    this.#pool = this.#affinity = undefined;
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
    this.#enter(this.route, facts);
    this.decision.begin();
    const { redirectsToHttps, clientVerification } = this.route.route;
    if (redirectsToHttps === true && facts.scheme === 'http') return 308;
    if (clientVerification === undefined) return 0;
    return certificateFault(clientVerification, facts.tls, this.#ctx.table.authoritiesOf(facts.host));
  }

  /** Which of the Services behind the route the request may go to, and by whose sessions. */
  #enter(route: LiveRoute, facts: RequestFacts): void {
    const split = route.splits && splitOf(route.splits, facts);
    this.#affinity = split === undefined ? route.affinity : split.affinity;
    this.#pool = split === undefined ? route.pool : split.affinity.joined.get(split.rule);
    this.#counted = split?.counted;
    this.#free = false;
    if (split === undefined && route.canary !== undefined) this.#enterPair(route.canary, facts);
  }

  #enterPair(canary: LiveCanary, facts: RequestFacts): void {
    let side = canary.wish(facts);
    if (side === EITHER && canary.legacy)
      side = scale(this.#ctx.env.random(), canary.total) < canary.weight ? CANARY : PRIMARY;
    const { ready, draining } = canary.own.live;
    this.#counted = canary.counted;
    if (side === PRIMARY) this.#pool = canary.toPrimary;
    else if (ready.length + draining.length === 0) this.#pool = canary.withoutCanary;
    else {
      this.#pool = side === EITHER ? canary.divided : canary.toCanary;
      this.#free = canary.legacy;
    }
  }

  /**
   * Decides on the current pool, at the clock's last reading; false = refused with `decision.status`. Called again after a
   * failed connect.
   */
  decide(): boolean {
    if (this.#pool === undefined || this.#facts === undefined) throw new Error('decide() needs a route with a pool');
    this.affinity = this.#free ? undefined : this.#affinity?.live;
    this.pool = this.#pool.live;
    this.#ctx.env.now = this.#ctx.clock.wall;
    decide(this.decision, this.affinity, this.pool, this.#facts, this.#ctx.env);
    this.endpoint = this.pool.endpoints[this.decision.endpoint];
    if (this.decision.reason === REASON.rebalance) this.#claim();
    return this.endpoint !== undefined;
  }

  /**
   * A session that moves although its endpoint is well is at its new one from here on, as the table tells the requests
   * that come with it: none of them has a turn of its own to move.
   */
  #claim(): void {
    const { decision, endpoint } = this;
    const { region, entryHigh, entryLow, entryScope, entryLife } = decision;
    if (region !== OBSERVED || endpoint === undefined) return;
    const { sessions, env } = this.#ctx;
    const done = sessions.touch(region, entryHigh, entryLow, entryScope, endpoint.ref, env.now, entryLife, true);
    decision.moveClaimed = done === CHANGED || done === INSERTED;
  }

  /** The endpoint's answer is there: tokens and Expires tell the time of the answer, however long the endpoint took. */
  answered(): void {
    this.#ctx.env.now = this.#ctx.clock.read().wall;
  }

  /** Counts the decision, once a request, when its outcome is final. */
  countDecision(): void {
    const { route, decision } = this;
    if (route === undefined) return;
    const affinity = this.#free ? undefined : this.#affinity;
    const at = affinity?.rules[decision.rule + 1] ?? route.stateless;
    at.cells[at.at + decisionField(decision.outcome, decision.reason)]!++;
    if (affinity === undefined) return;
    const { cells, at: policy } = affinity.policy;
    if (decision.tokenFault === REASON.invalid_token) cells[policy + INVALID_TOKEN.invalid_token]!++;
    else if (decision.tokenFault === REASON.unknown_key) cells[policy + INVALID_TOKEN.unknown_key]!++;
  }

  /** Counts that the session has moved, for the decision's reason. */
  countMove(): void {
    const policy = this.#affinity?.policy;
    if (policy !== undefined) policy.cells[policy.at + movesField(this.decision.reason)]!++;
  }

  /** Counts the request when it is over. `seconds` from the end of its head to the end of the response. */
  countRequest(status: number, seconds: number): void {
    const { route } = this;
    if (route === undefined) return;
    const { requests, durations } = this.#counted?.get(this.service) ?? route;
    const digit = Math.floor(status / 100);
    requests.cells[requests.at + (digit >= 1 && digit <= 5 ? digit : 5) - 1]!++;
    durations.cells[durations.at + bucketOf(DURATION_BUCKETS, seconds)]!++;
    durations.cells[durations.at + DURATION_SUM]! += seconds;
  }
}

/** The first rule with `backends` that is for the request. */
function splitOf(splits: readonly LiveSplit[], facts: RequestFacts): LiveSplit | undefined {
  for (let k = 0; k < splits.length; k++) {
    const split = splits[k];
    const holds = split?.affinity.live.rules[split.rule]?.holds;
    if (holds === undefined || holds(facts)) return split;
  }
  return undefined;
}
