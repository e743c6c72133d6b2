/** What is counted and logged about one request; settled once, whichever way it ends. */
import type { AnswerHead } from '../affinity/learn.ts';
import type { RequestFacts } from '../model/facts.ts';
import { ENDPOINT } from '../shared/layout.ts';
import type { LaneContext } from './context.ts';
import type { Plan } from './plan.ts';
import { SessionUse } from './session-use.ts';

/** Reused for all requests of a connection. */
export class Record {
  status = 0;
  /** Bytes of the request's body. */
  bytesIn = 0;
  readonly #ctx: LaneContext;
  readonly #plan: Plan;
  readonly #use: SessionUse;
  #facts: RequestFacts | undefined;
  #requestId = '';
  #startedAt = 0;
  #outBefore = 0;
  #settled = false;
  #connect = -1;
  #headSeconds = -1;

  constructor(ctx: LaneContext, plan: Plan) {
    this.#ctx = ctx;
    this.#plan = plan;
    this.#use = new SessionUse(ctx, plan);
  }

  /** `outBefore`: bytes the client had been sent before. */
  begin(facts: RequestFacts, requestId: string, outBefore: number): void {
    this.#facts = facts;
    this.#requestId = requestId;
    this.#outBefore = outBefore;
    this.#startedAt = this.#ctx.clock.read().steady;
    this.#settled = false;
    this.#connect = this.#headSeconds = -1;
    this.#use.begin();
    this.status = 0;
    this.bytesIn = 0;
    this.#plan.route = undefined;
    this.#plan.affinity = undefined;
    this.#plan.endpoint = undefined;
    this.#plan.pool = undefined;
  }

  /** The decision is final. `reached`: the request was sent to its endpoint and not known to have missed it. */
  settle(reached: boolean): void {
    const { endpoint, pool } = this.#plan;
    if (this.#settled || pool === undefined) return;
    this.#settled = true;
    this.#plan.countDecision();
    if (reached && endpoint !== undefined) this.#ctx.counters.endpoint(endpoint.slot, ENDPOINT.requests, 1);
  }

  /** A connection to the endpoint is there. False = nothing shall be sent: the session has meanwhile got another endpoint. */
  connected(): boolean {
    this.#ctx.env.now = this.#ctx.clock.read().wall;
    this.#connect = this.#seconds();
    return this.#use.reached();
  }

  /** The response's head has come, by the clock's last reading. `issued`: it carries a new token, so a session has begun. */
  answered(issued: boolean, head: AnswerHead): void {
    if (this.#facts !== undefined) this.#use.answered(this.#facts, head);
    this.settle(true);
    const { affinity, endpoint } = this.#plan;
    if (endpoint === undefined) return;
    this.#headSeconds = this.#seconds();
    const { counters } = this.#ctx;
    counters.endpoint(endpoint.slot, ENDPOINT.responses, 1);
    counters.endpoint(endpoint.slot, ENDPOINT.responseSeconds, this.#headSeconds);
    if (affinity?.policy.algorithm === 'PeakEwma') {
      const milliseconds = (this.#headSeconds - this.#connect) * 1000;
      counters.latency(endpoint.slot, milliseconds, this.#ctx.clock.wall);
    }
    if (issued) this.#use.issued();
  }

  /** From time to time while the request or the stream that it became is open. `now`: wall clock, ms. */
  during(now: number): void {
    this.#use.during(now);
  }

  /** The stream that the request became is over. */
  streamEnded(): void {
    this.#use.over(this.#ctx.deadlines.exact());
  }

  end(outNow: number): void {
    const { wall } = this.#ctx.clock.read();
    const seconds = this.#seconds();
    this.settle(false);
    this.#use.over(wall);
    this.#plan.countRequest(this.status, seconds);
    this.#ctx.counters.bytesOut(outNow - this.#outBefore);
    if (this.#ctx.wantsAccessRecord()) this.#log(seconds, outNow);
  }

  /** From the beginning to the clock's last reading. */
  #seconds(): number {
    return (this.#ctx.clock.steady - this.#startedAt) / 1000;
  }

  #log(duration: number, outNow: number): void {
    const { route, decision, endpoint, affinity } = this.#plan;
    const facts = this.#facts;
    if (facts === undefined) return;
    this.#ctx.access({
      at: this.#ctx.clock.wall,
      client: facts.clientAddress,
      method: facts.method,
      host: facts.host,
      path: facts.path,
      status: this.status,
      bytesIn: this.bytesIn,
      bytesOut: outNow - this.#outBefore,
      duration,
      connect: this.#connect,
      head: this.#headSeconds,
      namespace: route?.route.namespace ?? '-',
      ingress: route?.route.ingress ?? '-',
      service: route === undefined ? '-' : this.#plan.service,
      policy: affinity?.policy.name ?? '-',
      rule: affinity?.rules[decision.rule] === undefined ? '-' : (affinity.policy.rules[decision.rule]?.name ?? '-'),
      outcome: this.#settled ? decision.outcomeName : '-',
      reason: this.#settled ? decision.reasonName : '-',
      endpoint: endpoint?.pod ?? '-',
      requestId: this.#requestId,
    });
  }
}
