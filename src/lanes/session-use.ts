/** Tells the session table that a request uses its session: when it reaches its endpoint, while a stream is open, and at the end. */
import { OUTCOME } from '../affinity/decision.ts';
import { indexOfRef } from '../affinity/entry.ts';
import { findKey } from '../affinity/key-entry.ts';
import type { KeyEntry } from '../affinity/key-entry.ts';
import { readLearned } from '../affinity/learn.ts';
import type { AnswerHead, Learned } from '../affinity/learn.ts';
import { hashText } from '../affinity/rendezvous.ts';
import type { RequestFacts } from '../model/facts.ts';
import { ABSENT, AUTHORITATIVE, OBSERVED } from '../model/live.ts';
import { ENDPOINT } from '../shared/layout.ts';
import { CHANGED, INSERTED, LOST } from '../shared/session-table.ts';
import type { LaneContext } from './context.ts';
import type { Plan } from './plan.ts';

/** A stream's session is renewed at an eighth of its life, and at least this often. */
const RENEW_MS = 60_000;
/** Several times what passes between two looks at a stream. */
const MARGIN_MS = 1000;

const words = { 0: 0, 1: 0 };
/** A key that an answer brings. */
const minted: KeyEntry = {
  key: '',
  scope: undefined,
  region: -1,
  entryHigh: 0,
  entryLow: 0,
  entryScope: 0,
  entryLife: 0,
  expected: ABSENT,
  lastSeen: 0,
  born: 0,
  began: 0,
  extend: 0,
};

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

  /** The endpoint would take the request. False = the table has meanwhile given its key to another one. */
  reached(): boolean {
    return this.#plan.decision.onIssue || this.#touch() !== LOST;
  }

  /** The answer starts a session: it counts from now on. */
  issued(): void {
    if (this.#plan.decision.onIssue) this.#touch();
  }

  /** The answer may say that a key of mode Learn begins or ends. */
  answered(facts: RequestFacts, head: AnswerHead): void {
    const { affinity } = this.#plan;
    if (affinity === undefined || affinity.learners.length === 0) return;
    for (const learned of readLearned(affinity.learners, facts, head, this.#ctx.env.now)) this.#learn(learned);
  }

  /** From time to time while the request or its stream is open. `now`: wall clock, ms. */
  during(now: number): void {
    if (now < this.#next) return;
    const { region, entryHigh, entryLow, extend } = this.#plan.decision;
    if (region !== AUTHORITATIVE) return this.over(now);
    const step = this.#step();
    this.#ctx.keys?.stays(this.#plan, now, step);
    this.#ctx.sessions.extend(entryHigh, entryLow, now, 2 * step + MARGIN_MS, extend);
    this.#next = now + step;
  }

  /** The idle time runs from here. */
  over(now: number): void {
    const { region, entryHigh, entryLow, entryLife } = this.#plan.decision;
    if (region === -1 || this.#next === Infinity) return;
    this.#ctx.sessions.seen(region, entryHigh, entryLow, now, entryLife);
    this.#next = now + this.#step();
  }

  /** What the table did, or -1: the request has no entry. */
  #touch(): number {
    const { decision, endpoint } = this.#plan;
    const { region, entryHigh, entryLow, entryScope, entryLife, expected, born } = decision;
    if (region === -1 || endpoint === undefined) return -1;
    const { sessions, env, keys } = this.#ctx;
    const shares = keys !== undefined && region === AUTHORITATIVE;
    if (shares && keys.up) keys.check(this.#plan);
    const back = decision.outcome !== OUTCOME.new;
    // Balanced among several, the key stays at the one it has.
    const ref = decision.stays ? expected : endpoint.ref;
    const done =
      region === OBSERVED
        ? sessions.touch(region, entryHigh, entryLow, entryScope, endpoint.ref, env.now, entryLife, back)
        : sessions.bind(entryHigh, entryLow, entryScope, expected, ref, env.now, entryLife, back, born);
    if (shares) keys.bound(this.#plan, done);
    this.#next = env.now + this.#step();
    if (decision.outcome === OUTCOME.moved) this.#moved(done);
    else if (decision.outcome === OUTCOME.new && (decision.onIssue || done === INSERTED)) {
      // A session that is issued is one even when the table has no room for it; of a key only the table knows.
      this.#ctx.counters.endpoint(endpoint.slot, ENDPOINT.newSessions, 1);
    }
    return done;
  }

  /** Of several requests of a session that moves, the table lets one count. Another port of the same endpoint is no move. */
  #moved(done: number): void {
    const { affinity, pool, decision } = this.#plan;
    const { sessions, env } = this.#ctx;
    if (decision.moveClaimed) return this.#plan.countMove();
    if ((done !== INSERTED && done !== CHANGED) || affinity === undefined || pool === undefined) return;
    if (done === CHANGED && indexOfRef(sessions.previous, affinity.policy, pool, env) === decision.endpoint) return;
    this.#plan.countMove();
  }

  #learn({ key, use, ends }: Learned): void {
    const { affinity, pool, endpoint, decision } = this.#plan;
    if (affinity === undefined || pool === undefined || endpoint === undefined) return;
    const { sessions, env, counters, keys } = this.#ctx;
    hashText(key, words);
    minted.key = key;
    findKey(minted, affinity, use, words[0], words[1], pool, env);
    const { entryHigh, entryLow, entryScope, entryLife, born } = minted;
    if (ends) {
      keys?.ended(minted);
      return sessions.end(AUTHORITATIVE, entryHigh, entryLow);
    }
    const done = sessions.learn(entryHigh, entryLow, entryScope, endpoint.ref, env.now, entryLife, born);
    if (done === INSERTED || done === CHANGED) keys?.learned(minted, this.#plan);
    if (done === INSERTED) counters.endpoint(endpoint.slot, ENDPOINT.newSessions, 1);
    if (decision.region !== -1) return;
    // The request that brought the session uses it, until it is over.
    Object.assign(decision, minted);
    this.#next = env.now + this.#step();
    const chose = affinity.rules[decision.rule];
    if (done === INSERTED && decision.outcome === OUTCOME.stateless && chose?.isNone !== true)
      decision.outcome = OUTCOME.new;
  }

  /** ms until an open stream tells again. */
  #step(): number {
    const { region, entryLife, extend } = this.#plan.decision;
    return Math.min((region === AUTHORITATIVE ? Math.min(entryLife, extend) : entryLife) / 8, RENEW_MS);
  }
}
