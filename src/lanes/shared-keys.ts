/** Keys of modes Table and Learn that replicas share: what the session store says of them goes into this replica's session table, and back. */
import type { LiveAffinity } from '../affinity/build.ts';
import { ANSWERED, NOT_ASKED, OUTCOME, UNREACHABLE } from '../affinity/decision.ts';
import { indexOfRef, prefixOfRef } from '../affinity/entry.ts';
import type { DecideEnv } from '../affinity/env.ts';
import type { KeyEntry } from '../affinity/key-entry.ts';
import { formatShared, parseShared, tagAt } from '../affinity/shared-key.ts';
import type { SharedKey } from '../affinity/shared-key.ts';
import { ABSENT, AUTHORITATIVE } from '../model/live.ts';
import type { LivePool } from '../model/live.ts';
import { detached } from '../session-store/detached.ts';
import type { SessionStore } from '../session-store/store.ts';
import { CHANGED, INSERTED } from '../shared/session-table.ts';
import type { SessionTable } from '../shared/session-table.ts';
import type { Plan } from './plan.ts';

/** A key in use is compared with the store this often. */
const CHECK_MS = 5000;
/** Shorter idle times are not told apart. */
const MIN_STEP_MS = 250;

/** One key at one endpoint, as it is told to the store; a copy, as the plan may be another request's when the answer comes. */
interface Claim extends SharedKey {
  readonly name: string;
  /** ms that the store keeps it. */
  readonly ttl: number;
  readonly affinity: LiveAffinity;
  readonly pool: LivePool;
}

export class SharedKeys {
  readonly #store: SessionStore;
  readonly #sessions: SessionTable;
  readonly #env: DecideEnv;

  constructor(store: SessionStore, sessions: SessionTable, env: DecideEnv) {
    this.#store = store;
    this.#sessions = sessions;
    this.#env = env;
  }

  /** The store is asked at all. */
  get up(): boolean {
    return this.#store.up;
  }

  /** Asks about the key of a decision that cannot be made without; the answer is for `found`. */
  find({ decision }: Plan): Promise<string | undefined> {
    return this.#store.find(this.#nameOf(decision));
  }

  /** Takes what `find` answered; undefined also where it was not asked. */
  found({ decision, affinity, pool }: Plan, value: string | undefined): void {
    if (value === undefined) return decision.told(UNREACHABLE, '', 0);
    const shared = parseShared(value);
    if (shared === undefined || affinity === undefined || pool === undefined || this.#isOver(shared, affinity))
      return decision.told(ANSWERED, '', 0);
    decision.told(ANSWERED, shared.tag, shared.began);
    const ref = this.#refOf(shared.tag, affinity, pool);
    if (ref !== undefined) this.#adopt(decision, ABSENT, ref, shared.began, this.#env.now);
  }

  /** Whether the store has to agree before the request is sent to the endpoint that was chosen for its key. */
  claims({ decision, endpoint, affinity, pool }: Plan): boolean {
    if (decision.region !== AUTHORITATIVE || decision.claimed !== NOT_ASKED) return false;
    if (decision.stays || endpoint?.ref === decision.expected) return false;
    if (affinity === undefined || pool === undefined || decision.asked === UNREACHABLE || !this.up) return false;
    const tag = tagAt(pool, affinity.policy, decision.endpoint);
    if (tag === undefined) return false;
    if (tag !== this.#formerTag(decision, affinity)) return true;
    // The store has it there already: a key found, or another port of its endpoint.
    if (decision.expected === ABSENT) decision.claimed = ANSWERED;
    return false;
  }

  /** Tells the store where the key is to be; what it has then is for `claimed`. */
  async claim({ decision, affinity, pool }: Plan): Promise<string | undefined> {
    if (affinity === undefined || pool === undefined) return undefined;
    const claim = this.#claimOf(decision, decision.endpoint, affinity, pool);
    return claim && (await this.#agree(claim, this.#formerTag(decision, affinity)));
  }

  /** False = another replica has the key elsewhere: decide again. */
  claimed({ decision, affinity, pool }: Plan, value: string | undefined): boolean {
    const there = value === undefined ? undefined : parseShared(value);
    decision.claimed = there === undefined ? UNREACHABLE : ANSWERED;
    if (there === undefined || affinity === undefined || pool === undefined) return true;
    if (there.tag === tagAt(pool, affinity.policy, decision.endpoint)) return true;
    const ref = this.#refOf(there.tag, affinity, pool);
    if (ref === undefined) {
      decision.claimed = UNREACHABLE;
      return true;
    }
    decision.told(ANSWERED, there.tag, there.began);
    this.#adopt(decision, decision.expected, ref, there.began, this.#env.now);
    return false;
  }

  /** A key that is where it was: compared with the store in the background, when that is due. Before its use is noted. */
  check({ decision, affinity, pool }: Plan): void {
    if (decision.expected === ABSENT || decision.claimed !== NOT_ASKED || decision.outcome !== OUTCOME.kept) return;
    const { entryHigh, entryLow, entryLife } = decision;
    const { now } = this.#env;
    const step = stepOf(entryLife);
    const age = this.#sessions.takeCheck(entryHigh, entryLow, now, Math.min(CHECK_MS, step));
    if (age < 0 || affinity === undefined || pool === undefined) return;
    const claim = this.#claimOf(decision, this.#homeOf(decision, affinity, pool), affinity, pool);
    // Once in each eighth of its idle time the store hears that the key is in use.
    const touches = age === Infinity || Math.floor(now / step) !== Math.floor((now - age) / step);
    if (claim !== undefined) detached(this.#compare(claim, { ...decision }, touches, now));
  }

  /** A stream uses its key, and has said so `before` ms ago: the store hears of it as of requests. `now`: wall clock, ms. */
  stays({ decision, endpoint, affinity, pool }: Plan, now: number, before: number): void {
    const step = stepOf(decision.entryLife);
    if (!this.up || Math.floor(now / step) === Math.floor((now - before) / step)) return;
    if (endpoint === undefined || affinity === undefined || pool === undefined) return;
    const claim = this.#claimOf(decision, this.#homeOf(decision, affinity, pool), affinity, pool);
    const expected = decision.stays ? decision.expected : endpoint.ref;
    if (claim !== undefined) detached(this.#compare(claim, { ...decision, expected }, true, now));
  }

  /** `done`: what the session table made of the decision's key and endpoint. */
  bound({ decision }: Plan, done: number): void {
    if (done !== INSERTED && done !== CHANGED) return;
    const { claimed, outcome, entryHigh, entryLow } = decision;
    if (claimed === NOT_ASKED && outcome === OUTCOME.kept) return;
    // What the store has not heard is compared with it at the next use.
    this.#sessions.noteCheck(entryHigh, entryLow, claimed === ANSWERED ? this.#env.now : 0);
  }

  /** An endpoint's answer says that the key is there. */
  learned(entry: KeyEntry, { decision, affinity, pool }: Plan): void {
    if (!this.up || affinity === undefined || pool === undefined) return;
    const claim = this.#claimOf(entry, decision.endpoint, affinity, pool);
    if (claim === undefined) return;
    detached(this.#tell(claim, entry.entryHigh, entry.entryLow, this.#env.now));
  }

  /** An endpoint's answer ends the key. */
  ended(entry: KeyEntry): void {
    if (this.up) detached(this.#store.remove(this.#nameOf(entry)));
  }

  async #tell(claim: Claim, high: number, low: number, now: number): Promise<void> {
    if (await this.#store.put(claim.name, formatShared(claim), claim.ttl)) this.#sessions.noteCheck(high, low, now);
  }

  async #compare(claim: Claim, entry: KeyEntry, touches: boolean, now: number): Promise<void> {
    const { tag, affinity, pool } = claim;
    let value = touches ? '' : await this.#store.find(claim.name);
    if (value === '') value = await this.#agree(claim, '');
    const { entryHigh, entryLow, expected } = entry;
    if (value === undefined) return this.#sessions.noteCheck(entryHigh, entryLow, 0);
    const there = parseShared(value);
    if (there === undefined || there.tag === tag) return;
    const ref = this.#refOf(there.tag, affinity, pool);
    // An endpoint that this replica has not heard of may be on its way; one that stays away is replaced when the key is renewed.
    if (ref !== undefined) this.#adopt(entry, expected, ref, there.began, now);
  }

  /** A compare-and-set that takes the place of `replaces`, and of what names no endpoint of this replica. */
  async #agree(claim: Claim, replaces: string): Promise<string | undefined> {
    const { name, ttl, tag, affinity, pool } = claim;
    const text = formatShared(claim);
    const value = await this.#store.claim(name, text, ttl, replaces);
    const there = value === undefined ? undefined : parseShared(value);
    if (there === undefined || there.tag === tag) return value;
    if (!this.#isOver(there, affinity) && this.#refOf(there.tag, affinity, pool) !== undefined) return value;
    return await this.#store.claim(name, text, ttl, there.tag);
  }

  /** Index of the endpoint that the key is at, which a request that is balanced near it (`stickTo`) need not be sent to. */
  #homeOf(decision: Plan['decision'], { policy }: LiveAffinity, pool: LivePool): number {
    return decision.stays ? indexOfRef(decision.expected, policy, pool, this.#env) : decision.endpoint;
  }

  /** Where this replica has the endpoint, in the pool or another one of the group; undefined = nowhere. */
  #refOf(tag: string, { policy, affinity }: LiveAffinity, pool: LivePool): number | undefined {
    for (const one of [pool, ...affinity.groupPools.map((key) => this.#env.poolOf(key))]) {
      const index = one?.identity[policy.identity].byPrefix.get(tag);
      if (index !== undefined) return one?.endpoints[index]?.ref;
    }
    return undefined;
  }

  #isOver({ began }: SharedKey, { policy }: LiveAffinity): boolean {
    return policy.absoluteTimeout > 0 && this.#env.now > began + policy.absoluteTimeout;
  }

  #adopt(entry: KeyEntry, expected: number, ref: number, began: number, now: number): void {
    const { entryHigh, entryLow, entryScope, entryLife, born } = entry;
    this.#sessions.adopt(entryHigh, entryLow, entryScope, expected, ref, now, entryLife, born, began);
  }

  #claimOf(entry: KeyEntry, endpoint: number, affinity: LiveAffinity, pool: LivePool): Claim | undefined {
    const tag = tagAt(pool, affinity.policy, endpoint);
    if (tag === undefined) return undefined;
    const { began, entryLife } = entry;
    const { absoluteTimeout } = affinity.policy;
    const life = entryLife + stepOf(entryLife);
    const left = absoluteTimeout > 0 ? began + absoluteTimeout - this.#env.now : Infinity;
    const ttl = Math.max(1, Math.ceil(Math.min(life, left)));
    return { name: this.#nameOf(entry), tag, began, ttl, affinity, pool };
  }

  #nameOf({ scope, key }: KeyEntry): string {
    return this.#env.keys.storeName(scope?.text ?? '', key);
  }

  /** What the store calls the endpoint that the key has had until now; empty = it had none that is known. */
  #formerTag(decision: Plan['decision'], { policy }: LiveAffinity): string {
    const { expected, foundTag } = decision;
    return expected === ABSENT ? foundTag : (prefixOfRef(expected, policy, this.#env) ?? '');
  }
}

/** The store is told of a use once in so many ms, and keeps the key for so much longer than this replica. */
function stepOf(life: number): number {
  return Math.max(MIN_STEP_MS, life / 8);
}
