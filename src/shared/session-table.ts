/** The sessions that are known, as a worker looks them up and records them. */
import { AUTHORITATIVE } from '../model/live.ts';
import type { SessionRegion, SessionView } from '../model/live.ts';
import {
  BUCKET_WORDS,
  EVICTIONS,
  EXPIRY,
  FIRST_SEEN,
  HEADER_WORDS,
  HIGH,
  LAST_SEEN,
  LAST_TICK,
  LOW,
  REF,
  RETURNED,
  SCOPE,
  SEQUENCE_MASK,
  SessionEntries,
  TICK_MS,
  WORDS,
} from './session-entries.ts';

/** Flags of a key that replicas share: when the session store was last asked about it, in steps, 1 to 127; 0 = it does not have it from us. */
const CHECKED = 0xfe;
const CHECK_STEP_MS = 250;
const CHECK_STEPS = 127;

const READ_TRIES = 64;
/** As a ref that is expected: whatever endpoint it is. */
const ANY = -3;

/** What `touch`, `bind` and `learn` did. */
export const DROPPED = 0;
export const INSERTED = 1;
export const SAME = 2;
export const CHANGED = 3;
export const LOST = 4;

/** Ranks of a place for a new entry, best first. */
const EMPTY = 0;
const EXPIRED = 1;
const NEVER_RETURNED = 2;
const OWN_OLDEST = 3;
const NOWHERE = 9;

/** A session as a listing shows it. */
export interface ListedSession extends SessionView {
  region: SessionRegion;
  high: number;
  low: number;
  /** `EntryScope.id` of whose it is. */
  scope: number;
  /** Its token or key has come back. */
  active: boolean;
}

const NO_SESSION: ListedSession = {
  region: AUTHORITATIVE,
  high: 0,
  low: 0,
  scope: 0,
  active: false,
  ref: 0,
  lastSeen: 0,
  firstSeen: 0,
};

export class SessionTable extends SessionEntries {
  /** Ref of the endpoint before the last `touch` that answered `CHANGED`. */
  previous = 0;
  /** Where the last look-up found its session. */
  #found = HEADER_WORDS;

  /** Looks a live session up; false = there is none. Times are wall clock ms. */
  find(region: SessionRegion, high: number, low: number, now: number, view: SessionView): boolean {
    const tick = this.tick(now);
    for (let choice = 0; choice < 2; choice++) {
      const bucket = this.bucketAt(region, choice === 0 ? high : low, choice);
      for (let at = bucket; at < bucket + BUCKET_WORDS; at += WORDS) {
        if (this.words[at + HIGH] === high && this.words[at + LOW] === low && this.#read(at, high, low, tick, view)) {
          this.#found = at;
          return true;
        }
      }
    }
    return false;
  }

  /**
   * Records a use of a session at an endpoint (`ref`), for `ttl` ms from now. `returning`: its token or key has come back.
   * What comes of it: `INSERTED`, `SAME` (endpoint as before), `CHANGED` (`previous` is the endpoint before; exactly one
   * of several concurrent callers hears it), or `DROPPED` (there is no room, or a lock was not to be had).
   */
  touch(
    region: SessionRegion,
    high: number,
    low: number,
    scope: number,
    ref: number,
    now: number,
    ttl: number,
    returning: boolean,
  ): number {
    return this.#put(region, high, low, scope, ANY, ref, now, ttl, returning, 0);
  }

  /**
   * Gives a key to an endpoint, of several that try at once to one: only when the table still has it where the caller saw
   * it (`expected`: a ref or `ABSENT`), or there already; else `LOST`, and what the table has holds. An entry that began
   * before `born` (wall clock, ms) is over, and another one begins. Else as `touch`.
   */
  bind(
    high: number,
    low: number,
    scope: number,
    expected: number,
    ref: number,
    now: number,
    ttl: number,
    returning: boolean,
    born: number,
  ): number {
    return this.#put(AUTHORITATIVE, high, low, scope, expected, ref, now, ttl, returning, born);
  }

  /** An answer says that a key is at the endpoint it came from, wherever the table has had it. Else as `bind`. */
  learn(high: number, low: number, scope: number, ref: number, now: number, ttl: number, born: number): number {
    return this.#put(AUTHORITATIVE, high, low, scope, ANY, ref, now, ttl, false, born);
  }

  /**
   * Takes over what another replica has made of a key, since `began` (wall clock, ms): only when the table still has it
   * where the caller saw it. Else as `bind`.
   */
  adopt(
    high: number,
    low: number,
    scope: number,
    expected: number,
    ref: number,
    now: number,
    ttl: number,
    born: number,
    began: number,
  ): number {
    const done = this.#put(AUTHORITATIVE, high, low, scope, expected, ref, now, ttl, true, born);
    const at = this.locate(AUTHORITATIVE, high, low);
    if (at < 0 || (done !== INSERTED && done !== CHANGED)) return done;
    const bucket = this.bucketOf(AUTHORITATIVE, at);
    if (!this.lock(bucket)) return done;
    if (this.#isLive(at, high, low, this.tick(now), 0)) {
      this.step(at);
      // Before this process began, perhaps.
      Atomics.store(this.words, at + FIRST_SEEN, Math.floor((began - this.epoch) / TICK_MS));
      this.step(at);
    }
    this.unlock(bucket);
    this.noteCheck(high, low, now);
    return done;
  }

  /**
   * For a key that replicas share: how long ago the session store was asked about it, ms, when that is `every` or more
   * (Infinity = never); it then counts as asked, so of several callers at once one hears it. Else -1.
   */
  takeCheck(high: number, low: number, now: number, every: number): number {
    const words = this.words;
    // Nearly always the request's own look-up was the last one.
    const at = this.#isKeyAt(this.#found, high, low) ? this.#found : this.locate(AUTHORITATIVE, high, low);
    if (at < 0) return -1;
    const word = Atomics.load(words, at + SCOPE);
    const age = this.#sinceCheck(at, (word & CHECKED) >>> 1, now);
    if (age < every) return -1;
    const noted = (word & ~CHECKED) | (this.#checkStep(now) << 1);
    return Atomics.compareExchange(words, at + SCOPE, word, noted) === word ? age : -1;
  }

  /** The session store has the key as this table has it, as of `now`, which is when it was last used; 0 = it does not. */
  noteCheck(high: number, low: number, now: number): void {
    const words = this.words;
    const at = this.locate(AUTHORITATIVE, high, low);
    if (at < 0) return;
    const word = Atomics.load(words, at + SCOPE);
    const step = now === 0 ? 0 : this.#checkStep(now);
    // Not a try again: whoever changes the word meanwhile knows more, or asks once too often.
    Atomics.compareExchange(words, at + SCOPE, word, (word & ~CHECKED) | (step << 1));
  }

  #isKeyAt(at: number, high: number, low: number): boolean {
    const words = this.words;
    const same = words[at + HIGH] === high && words[at + LOW] === low && words[at + EXPIRY] !== 0;
    return same && this.regionOf(at) === AUTHORITATIVE;
  }

  /** The steps go round in half a minute; but no key is used for longer than between two checks without one. */
  #sinceCheck(at: number, step: number, now: number): number {
    if (step === 0) return Infinity;
    const lastSeen = this.epoch + (this.words[at + LAST_SEEN] ?? 0) * TICK_MS;
    const steps = (this.#checkStep(lastSeen) - step + CHECK_STEPS) % CHECK_STEPS;
    return Math.max(0, now - lastSeen) + steps * CHECK_STEP_MS;
  }

  #checkStep(now: number): number {
    return 1 + (Math.max(0, Math.floor((now - this.epoch) / CHECK_STEP_MS)) % CHECK_STEPS);
  }

  /** Ends a session's entry. */
  end(region: SessionRegion, high: number, low: number): void {
    const at = this.locate(region, high, low);
    if (at < 0) return;
    const bucket = this.bucketOf(region, at);
    if (!this.lock(bucket)) return;
    if (this.#isLive(at, high, low, 0, 0) && this.mayErase(at)) this.erase(at);
    this.unlock(bucket);
  }

  /** A key whose time is up within `soon` ms gets `more` ms: something that uses it is still open. */
  extend(high: number, low: number, now: number, soon: number, more: number): void {
    const words = this.words;
    const tick = this.tick(now);
    const at = this.locate(AUTHORITATIVE, high, low);
    if (at < 0 || (words[at + EXPIRY] ?? 0) > later(tick, soon)) return;
    const bucket = this.bucketOf(AUTHORITATIVE, at);
    if (!this.lock(bucket)) return;
    const expiry = words[at + EXPIRY] ?? 0;
    if (this.#isLive(at, high, low, tick, 0) && expiry <= later(tick, soon)) {
      Atomics.store(words, at + LAST_SEEN, tick);
      Atomics.store(words, at + EXPIRY, later(expiry, more));
    }
    this.unlock(bucket);
  }

  /** A request or stream of a session goes on or ends: its time is renewed, its endpoint stays whatever it is now. */
  seen(region: SessionRegion, high: number, low: number, now: number, ttl: number): void {
    const tick = this.tick(now);
    const at = this.locate(region, high, low);
    if (at < 0 || this.words[at + LAST_SEEN] === tick) return;
    const bucket = this.bucketOf(region, at);
    if (!this.lock(bucket)) return;
    if (this.#isLive(at, high, low, tick, 0)) {
      Atomics.store(this.words, at + LAST_SEEN, tick);
      Atomics.store(this.words, at + EXPIRY, Math.max(this.words[at + EXPIRY] ?? 0, later(tick, ttl)));
    }
    this.unlock(bucket);
  }

  #put(
    region: SessionRegion,
    high: number,
    low: number,
    scope: number,
    expected: number,
    ref: number,
    now: number,
    ttl: number,
    returning: boolean,
    born: number,
  ): number {
    const tick = this.tick(now);
    const until = later(tick, ttl);
    const at = this.locate(region, high, low);
    if (at >= 0 && this.#isFresh(at, high, low, ref, tick, until, returning, born)) return SAME;
    if (at >= 0) {
      const bucket = this.bucketOf(region, at);
      if (!this.lock(bucket)) return DROPPED;
      const live = this.#isLive(at, high, low, tick, born);
      const done = live ? this.#update(at, expected, ref, tick, until, returning) : -1;
      this.unlock(bucket);
      if (done >= 0) return done;
    }
    return this.#insert(region, high, low, scope, expected, ref, tick, until, returning, born);
  }

  /** Gives a key that the table alone knows to another endpoint; false = it has no such key, or has it there already. */
  move(high: number, low: number, ref: number, now: number): boolean {
    const words = this.words;
    const tick = this.tick(now);
    const at = this.locate(AUTHORITATIVE, high, low);
    if (at < 0) return false;
    const bucket = this.bucketOf(AUTHORITATIVE, at);
    if (!this.lock(bucket)) return false;
    const live = this.#isLive(at, high, low, tick, 0);
    const done = live ? this.#update(at, ANY, ref, words[at + LAST_SEEN] ?? 0, words[at + EXPIRY] ?? 0, false) : SAME;
    this.unlock(bucket);
    return done === CHANGED;
  }

  /** Shows every live session, one after the other in the same object. Times are wall clock ms. */
  each(now: number, visit: (session: Readonly<ListedSession>) => void): void {
    const tick = this.tick(now);
    const words = this.words;
    const listed: ListedSession = { ...NO_SESSION };
    for (let at = HEADER_WORDS; at + WORDS <= this.endOfBuckets(); at += WORDS) {
      if ((words[at + EXPIRY] ?? 0) <= tick) continue;
      listed.region = this.regionOf(at);
      listed.high = words[at + HIGH] ?? 0;
      listed.low = words[at + LOW] ?? 0;
      const flags = words[at + SCOPE] ?? 0;
      listed.scope = flags >>> 8;
      listed.active = (flags & RETURNED) !== 0;
      if (this.#read(at, listed.high, listed.low, tick, listed)) visit(listed);
    }
  }

  /** A consistent copy of the entry, if it is live and still that of the fingerprint. All loads are atomic: none may move past the second look at the sequence. */
  #read(at: number, high: number, low: number, tick: number, view: SessionView): boolean {
    const words = this.words;
    for (let tries = 0; tries < READ_TRIES; tries++) {
      const sequence = Atomics.load(words, at) & SEQUENCE_MASK;
      if ((sequence & 1) !== 0) continue;
      const same = Atomics.load(words, at + HIGH) === high && Atomics.load(words, at + LOW) === low;
      const expiry = Atomics.load(words, at + EXPIRY);
      const ref = Atomics.load(words, at + REF);
      const lastSeen = Atomics.load(words, at + LAST_SEEN);
      const firstSeen = Atomics.load(words, at + FIRST_SEEN);
      if ((Atomics.load(words, at) & SEQUENCE_MASK) !== sequence) continue;
      if (!same || expiry <= tick) return false;
      view.ref = ref;
      view.lastSeen = this.epoch + lastSeen * TICK_MS;
      view.firstSeen = this.epoch + firstSeen * TICK_MS;
      return true;
    }
    return false;
  }

  /** The entry says already what a touch would write: most touches end here. */
  #isFresh(
    at: number,
    high: number,
    low: number,
    ref: number,
    tick: number,
    until: number,
    returning: boolean,
    born: number,
  ): boolean {
    const words = this.words;
    return (
      words[at + LAST_SEEN] === tick &&
      words[at + REF] === ref &&
      (words[at + EXPIRY] ?? 0) >= until &&
      (!returning || ((words[at + SCOPE] ?? 0) & RETURNED) !== 0) &&
      this.#began(at) >= born &&
      words[at + HIGH] === high &&
      words[at + LOW] === low
    );
  }

  #isLive(at: number, high: number, low: number, tick: number, born: number): boolean {
    const words = this.words;
    const same = words[at + HIGH] === high && words[at + LOW] === low;
    return same && (words[at + EXPIRY] ?? 0) > tick && this.#began(at) >= born;
  }

  /** Wall clock, ms. */
  #began(at: number): number {
    return this.epoch + (this.words[at + FIRST_SEEN] ?? 0) * TICK_MS;
  }

  /** With the bucket's lock. */
  #update(at: number, expected: number, ref: number, tick: number, until: number, returning: boolean): number {
    const words = this.words;
    const before = words[at + REF] ?? 0;
    if (expected !== ANY && expected !== before && ref !== before) return LOST;
    const flags = words[at + SCOPE] ?? 0;
    const returned = (flags & RETURNED) !== 0;
    this.step(at);
    Atomics.store(words, at + REF, ref);
    Atomics.store(words, at + LAST_SEEN, tick);
    Atomics.store(words, at + EXPIRY, until);
    if (returning && !returned) Atomics.store(words, at + SCOPE, flags | RETURNED);
    this.step(at);
    if (before !== ref) {
      this.count(before, -1, returned ? -1 : 0);
      this.count(ref, 1, returned || returning ? 1 : 0);
      this.previous = before;
      return CHANGED;
    }
    if (returning && !returned) this.count(ref, 0, 1);
    return SAME;
  }

  /** Both buckets are locked, so that one session never gets two entries. */
  #insert(
    region: SessionRegion,
    high: number,
    low: number,
    scope: number,
    expected: number,
    ref: number,
    tick: number,
    until: number,
    returning: boolean,
    born: number,
  ): number {
    const one = this.bucketAt(region, high, 0);
    const other = this.bucketAt(region, low, 1);
    const first = Math.min(one, other);
    const second = Math.max(one, other);
    if (!this.lock(first)) return DROPPED;
    if (second !== first && !this.lock(second)) {
      this.unlock(first);
      return DROPPED;
    }
    const known = this.locate(region, high, low);
    let done = DROPPED;
    if (known >= 0 && this.#isLive(known, high, low, tick, born))
      done = this.#update(known, expected, ref, tick, until, returning);
    else {
      const at = known < 0 ? this.#room(region, one, other, scope, tick) : this.mayErase(known) ? known : -1;
      if (at >= 0) {
        this.#write(at, high, low, scope, ref, tick, until, returning);
        done = INSERTED;
      }
    }
    if (second !== first) this.unlock(second);
    this.unlock(first);
    return done;
  }

  /**
   * Where a new entry may go: an empty place in the emptier bucket, else that of an expired entry, else of one that never
   * came back (cookie-less crawlers), else of the same scope's oldest. A scope that has half the region gets only its own.
   * -1 = nowhere.
   */
  #room(region: SessionRegion, one: number, other: number, scope: number, tick: number): number {
    const full = (this.words[this.scopeCell(region, scope)] ?? 0) >= this.regionCapacity / 2;
    let best = -1;
    let bestRank = NOWHERE;
    let bestSeen = 0;
    const start = this.#used(other, tick) < this.#used(one, tick) ? other : one;
    for (const bucket of start === one ? [one, other] : [other, one]) {
      for (let at = bucket; at < bucket + BUCKET_WORDS; at += WORDS) {
        const rank = this.#rank(at, scope, tick, full);
        const lastSeen = this.words[at + LAST_SEEN] ?? 0;
        if (rank > bestRank || (rank === bestRank && (rank <= EXPIRED || lastSeen >= bestSeen))) continue;
        best = at;
        bestRank = rank;
        bestSeen = lastSeen;
      }
    }
    if (bestRank === NOWHERE) return -1;
    if (bestRank > EXPIRED) Atomics.add(this.words, EVICTIONS, 1);
    if (bestRank > EMPTY) this.erase(best);
    return best;
  }

  #used(bucket: number, tick: number): number {
    let used = 0;
    for (let at = bucket; at < bucket + BUCKET_WORDS; at += WORDS) if ((this.words[at + EXPIRY] ?? 0) > tick) used++;
    return used;
  }

  #rank(at: number, scope: number, tick: number, full: boolean): number {
    const expiry = this.words[at + EXPIRY] ?? 0;
    const word = this.words[at + SCOPE] ?? 0;
    const own = word >>> 8 === scope;
    if (expiry === 0) return full ? NOWHERE : EMPTY;
    if (!this.mayErase(at) || (full && !own)) return NOWHERE;
    if (expiry <= tick) return EXPIRED;
    if ((word & RETURNED) === 0) return NEVER_RETURNED;
    return own ? OWN_OLDEST : NOWHERE;
  }

  #write(
    at: number,
    high: number,
    low: number,
    scope: number,
    ref: number,
    tick: number,
    until: number,
    returning: boolean,
  ): void {
    const words = this.words;
    if (words[at + EXPIRY] !== 0) this.erase(at);
    const region = this.regionOf(at);
    this.step(at);
    Atomics.store(words, at + HIGH, high);
    Atomics.store(words, at + LOW, low);
    Atomics.store(words, at + REF, ref);
    Atomics.store(words, at + SCOPE, (scope << 8) | (returning ? RETURNED : 0));
    Atomics.store(words, at + LAST_SEEN, tick);
    Atomics.store(words, at + FIRST_SEEN, tick);
    Atomics.store(words, at + EXPIRY, until);
    this.step(at);
    Atomics.add(words, region, 1);
    Atomics.add(words, this.scopeCell(region, scope), 1);
    this.count(ref, 1, returning ? 1 : 0);
  }
}

function later(tick: number, ttl: number): number {
  return Math.min(LAST_TICK, tick + Math.max(1, Math.ceil(ttl / TICK_MS)));
}
