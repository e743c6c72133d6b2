/** The sessions that are known, as a worker looks them up and records them. */
import { AUTHORITATIVE } from '../model/live.ts';
import type { SessionRegion, SessionView } from '../model/live.ts';
import { sinceCheck, withCheck, withoutCheck } from './session-check.ts';
import {
  BUCKET_WORDS,
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
  TICK_MS,
  WORDS,
} from './session-entries.ts';
import { SessionPlaces } from './session-places.ts';

const READ_TRIES = 64;
/** As a ref that is expected: whatever endpoint it is. */
const ANY = -3;

/** What `touch`, `bind` and `learn` did. */
export const DROPPED = 0;
export const INSERTED = 1;
export const SAME = 2;
export const CHANGED = 3;
export const LOST = 4;

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

export class SessionTable extends SessionPlaces {
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
    if (!this.#hold(at, high, low, this.tick(now))) return done;
    this.step(at);
    // Before this process began, perhaps.
    Atomics.store(this.words, at + FIRST_SEEN, Math.floor((began - this.epoch) / TICK_MS));
    this.step(at);
    this.#release(at);
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
    const age = sinceCheck(word, (words[at + LAST_SEEN] ?? 0) * TICK_MS, now - this.epoch);
    if (age < every) return -1;
    return Atomics.compareExchange(words, at + SCOPE, word, withCheck(word, now - this.epoch)) === word ? age : -1;
  }

  /** The session store has the key as this table has it, as of `now`, which is when it was last used; 0 = it does not. */
  noteCheck(high: number, low: number, now: number): void {
    const words = this.words;
    const at = this.locate(AUTHORITATIVE, high, low);
    if (at < 0) return;
    const word = Atomics.load(words, at + SCOPE);
    const noted = now === 0 ? withoutCheck(word) : withCheck(word, now - this.epoch);
    // Not a try again: whoever changes the word meanwhile knows more, or asks once too often.
    Atomics.compareExchange(words, at + SCOPE, word, noted);
  }

  #isKeyAt(at: number, high: number, low: number): boolean {
    const words = this.words;
    const same = words[at + HIGH] === high && words[at + LOW] === low && words[at + EXPIRY] !== 0;
    return same && this.regionOf(at) === AUTHORITATIVE;
  }

  /** Ends a session's entry. */
  end(region: SessionRegion, high: number, low: number): void {
    const at = this.locate(region, high, low);
    if (at < 0 || !this.#hold(at, high, low, 0)) return;
    if (this.mayErase(at)) this.erase(at);
    this.#release(at);
  }

  /** A key whose time is up within `soon` ms gets `more` ms: something that uses it is still open. */
  extend(high: number, low: number, now: number, soon: number, more: number): void {
    const words = this.words;
    const tick = this.tick(now);
    const at = this.locate(AUTHORITATIVE, high, low);
    if (at < 0 || (words[at + EXPIRY] ?? 0) > later(tick, soon) || !this.#hold(at, high, low, tick)) return;
    const expiry = words[at + EXPIRY] ?? 0;
    if (expiry <= later(tick, soon)) {
      Atomics.store(words, at + LAST_SEEN, tick);
      Atomics.store(words, at + EXPIRY, later(expiry, more));
    }
    this.#release(at);
  }

  /** A request or stream of a session goes on or ends: its time is renewed, its endpoint stays whatever it is now. */
  seen(region: SessionRegion, high: number, low: number, now: number, ttl: number): void {
    const words = this.words;
    const tick = this.tick(now);
    const at = this.locate(region, high, low);
    if (at < 0 || words[at + LAST_SEEN] === tick || !this.#hold(at, high, low, tick)) return;
    Atomics.store(words, at + LAST_SEEN, tick);
    Atomics.store(words, at + EXPIRY, Math.max(words[at + EXPIRY] ?? 0, later(tick, ttl)));
    this.#release(at);
  }

  /** Gives a key that the table alone knows to another endpoint; false = it has no such key, or has it there already. */
  move(high: number, low: number, ref: number, now: number): boolean {
    const words = this.words;
    const at = this.locate(AUTHORITATIVE, high, low);
    if (at < 0 || !this.#hold(at, high, low, this.tick(now))) return false;
    const done = this.#update(at, ANY, ref, words[at + LAST_SEEN] ?? 0, words[at + EXPIRY] ?? 0, false);
    this.#release(at);
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

  /** Locks the bucket of an entry, until `#release`; false = no lock was to be had, or it is not this session's, alive. */
  #hold(at: number, high: number, low: number, tick: number): boolean {
    const bucket = this.bucketOf(this.regionOf(at), at);
    if (!this.lock(bucket)) return false;
    if (this.#isLive(at, high, low, tick, 0)) return true;
    this.unlock(bucket);
    return false;
  }

  #release(at: number): void {
    this.unlock(this.bucketOf(this.regionOf(at), at));
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
      const at = known < 0 ? this.room(region, one, other, scope, tick) : this.mayErase(known) ? known : -1;
      if (at >= 0) {
        this.write(at, high, low, scope, ref, tick, until, returning);
        done = INSERTED;
      }
    }
    if (second !== first) this.unlock(second);
    this.unlock(first);
    return done;
  }
}

function later(tick: number, ttl: number): number {
  return Math.min(LAST_TICK, tick + Math.max(1, Math.ceil(ttl / TICK_MS)));
}
