/**
 * The sessions that are known, in memory that all workers share: a fixed number of entries in buckets of 8, two buckets
 * to choose from for each session. Readers never wait (sequence lock); writers hold a bucket's lock, which names them,
 * so that what a dead worker held can be given back.
 */
import { AUTHORITATIVE } from '../model/live.ts';
import type { SessionRegion, SessionView } from '../model/live.ts';
import type { Block } from './cells.ts';
import { CHUNK_MASK, CHUNK_SHIFT, SESSION } from './layout.ts';

/** Int32 words of an entry. `HEAD` is a sequence (odd = being written), and in a bucket's first entry also its lock. */
const HEAD = 0;
const HIGH = 1;
const LOW = 2;
const REF = 3;
/** Scope id in the upper 24 bits, flags below. */
const SCOPE = 4;
const LAST_SEEN = 5;
const FIRST_SEEN = 6;
/** 0 = the entry is empty. */
const EXPIRY = 7;
const WORDS = 8;

const BUCKET_ENTRIES = 8;
const BUCKET_WORDS = BUCKET_ENTRIES * WORDS;

/** The lock's owner is in the upper 10 bits of the word: the worker's row + 1; the main thread's is above all of them. */
const OWNER_SHIFT = 22;
const SEQUENCE_MASK = (1 << OWNER_SHIFT) - 1;
export const MAIN_THREAD = (1 << 10) - 2;

const RETURNED = 1;
/** Flags of a key that replicas share: when the session store was last asked about it, in steps, 1 to 127; 0 = it does not have it from us. */
const CHECKED = 0xfe;
const CHECK_STEP_MS = 250;
const CHECK_STEPS = 127;

/** Times are counted from the process's epoch: 6.8 years' worth. */
const TICK_MS = 100;
const LAST_TICK = 0x7fffffff;

/** Of the header: per region how many entries there are; then evictions; then entries by scope and region. */
const EVICTIONS = 2;
const SCOPES = 4;
const SCOPE_CELLS = 2048;
const HEADER_WORDS = SCOPES + 2 * SCOPE_CELLS;

/** A lock is held for some ten writes. Whoever does not get it in so many tries does without: its holder may be dead. */
const LOCK_TRIES = 4000;
const READ_TRIES = 64;
/** Without its lock a key that only the table knows would go astray: it is waited for, ms. Its holder may have lost its processor. */
const LOCK_PAUSES = 20;

const SLOT_BITS = 20;
const SLOT_MASK = (1 << SLOT_BITS) - 1;

/** An endpoint's slot and the generation of that slot in one word, so that a slot's next holder inherits no sessions. */
export function refOf(slot: number, generation: number): number {
  return slot | (generation << SLOT_BITS);
}

export function slotOf(ref: number): number {
  return ref & SLOT_MASK;
}

/** Refs that no endpoint has, as `ABSENT`: the endpoint of a key has left; whatever it is. */
const GONE = -1;
const ANY = -3;

/** What `touch`, `bind` and `learn` did. */
export const DROPPED = 0;
export const INSERTED = 1;
export const SAME = 2;
export const CHANGED = 3;
export const LOST = 4;

export interface SessionMemory {
  readonly buffer: SharedArrayBuffer;
  /** Nobody outside can choose keys that fill one bucket. */
  readonly seed: number;
  /** Wall clock ms at which times begin. */
  readonly epoch: number;
}

/** `entries` × 32 bytes, the header included. */
export function createSessionMemory(entries: number, epoch: number): SessionMemory {
  const seed = Math.floor(Math.random() * 2 ** 32) | 0;
  return { buffer: new SharedArrayBuffer(entries * WORDS * 4), seed, epoch };
}

export interface SessionTableFigures {
  readonly entries: number;
  readonly evictions: number;
}

/** One thread's access to the table. */
export class SessionTable {
  /** Ref of the endpoint before the last `touch` that answered `CHANGED`. */
  previous = 0;
  readonly #words: Int32Array;
  readonly #epoch: number;
  readonly #seed: number;
  readonly #owner: number;
  readonly #counts: Block;
  /** Buckets of one region. */
  readonly #buckets: number;
  /** Where the last look-up found its session. */
  #found = HEADER_WORDS;
  /** By how much the last sweep found counts to be too high, by cell. */
  #wrong: ReadonlyMap<Int32Array, ReadonlyMap<number, number>> = new Map();

  /** `owner`: the worker's row + 1, or `MAIN_THREAD`. `counts`: the block `session`. */
  constructor({ buffer, seed, epoch }: SessionMemory, owner: number, counts: Block) {
    this.#words = new Int32Array(buffer);
    this.#epoch = epoch;
    this.#seed = seed;
    this.#owner = owner;
    this.#counts = counts;
    this.#buckets = Math.floor((this.#words.length - HEADER_WORDS) / BUCKET_WORDS / 2);
  }

  /** Most entries that a region can hold. */
  get regionCapacity(): number {
    return this.#buckets * BUCKET_ENTRIES;
  }

  /** Looks a live session up; false = there is none. Times are wall clock ms. */
  find(region: SessionRegion, high: number, low: number, now: number, view: SessionView): boolean {
    const tick = this.#tick(now);
    for (let choice = 0; choice < 2; choice++) {
      const bucket = this.#bucket(region, choice === 0 ? high : low, choice);
      for (let at = bucket; at < bucket + BUCKET_WORDS; at += WORDS) {
        if (this.#words[at + HIGH] === high && this.#words[at + LOW] === low && this.#read(at, high, low, tick, view)) {
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
    const at = this.#locate(AUTHORITATIVE, high, low);
    if (at < 0 || (done !== INSERTED && done !== CHANGED)) return done;
    const bucket = this.#bucketOf(AUTHORITATIVE, at);
    if (!this.#lock(bucket)) return done;
    if (this.#isLive(at, high, low, this.#tick(now), 0)) {
      this.#step(at);
      // Before this process began, perhaps.
      Atomics.store(this.#words, at + FIRST_SEEN, Math.floor((began - this.#epoch) / TICK_MS));
      this.#step(at);
    }
    this.#unlock(bucket);
    this.noteCheck(high, low, now);
    return done;
  }

  /**
   * For a key that replicas share: how long ago the session store was asked about it, ms, when that is `every` or more
   * (Infinity = never); it then counts as asked, so of several callers at once one hears it. Else -1.
   */
  takeCheck(high: number, low: number, now: number, every: number): number {
    const words = this.#words;
    // Nearly always the request's own look-up was the last one.
    const at = this.#isKeyAt(this.#found, high, low) ? this.#found : this.#locate(AUTHORITATIVE, high, low);
    if (at < 0) return -1;
    const word = Atomics.load(words, at + SCOPE);
    const age = this.#sinceCheck(at, (word & CHECKED) >>> 1, now);
    if (age < every) return -1;
    const noted = (word & ~CHECKED) | (this.#checkStep(now) << 1);
    return Atomics.compareExchange(words, at + SCOPE, word, noted) === word ? age : -1;
  }

  /** The session store has the key as this table has it, as of `now`, which is when it was last used; 0 = it does not. */
  noteCheck(high: number, low: number, now: number): void {
    const words = this.#words;
    const at = this.#locate(AUTHORITATIVE, high, low);
    if (at < 0) return;
    const word = Atomics.load(words, at + SCOPE);
    const step = now === 0 ? 0 : this.#checkStep(now);
    // Not a try again: whoever changes the word meanwhile knows more, or asks once too often.
    Atomics.compareExchange(words, at + SCOPE, word, (word & ~CHECKED) | (step << 1));
  }

  #isKeyAt(at: number, high: number, low: number): boolean {
    const words = this.#words;
    const same = words[at + HIGH] === high && words[at + LOW] === low && words[at + EXPIRY] !== 0;
    return same && this.#regionOf(at) === AUTHORITATIVE;
  }

  /** The steps go round in half a minute; but no key is used for longer than between two checks without one. */
  #sinceCheck(at: number, step: number, now: number): number {
    if (step === 0) return Infinity;
    const lastSeen = this.#epoch + (this.#words[at + LAST_SEEN] ?? 0) * TICK_MS;
    const steps = (this.#checkStep(lastSeen) - step + CHECK_STEPS) % CHECK_STEPS;
    return Math.max(0, now - lastSeen) + steps * CHECK_STEP_MS;
  }

  #checkStep(now: number): number {
    return 1 + (Math.max(0, Math.floor((now - this.#epoch) / CHECK_STEP_MS)) % CHECK_STEPS);
  }

  /** Ends a key's entry. */
  end(high: number, low: number): void {
    const at = this.#locate(AUTHORITATIVE, high, low);
    if (at < 0) return;
    const bucket = this.#bucketOf(AUTHORITATIVE, at);
    if (!this.#lock(bucket)) return;
    if (this.#isLive(at, high, low, 0, 0) && this.#mayErase(at)) this.#erase(at);
    this.#unlock(bucket);
  }

  /** A key whose time is up within `soon` ms gets `more` ms: something that uses it is still open. */
  extend(high: number, low: number, now: number, soon: number, more: number): void {
    const words = this.#words;
    const tick = this.#tick(now);
    const at = this.#locate(AUTHORITATIVE, high, low);
    if (at < 0 || (words[at + EXPIRY] ?? 0) > later(tick, soon)) return;
    const bucket = this.#bucketOf(AUTHORITATIVE, at);
    if (!this.#lock(bucket)) return;
    const expiry = words[at + EXPIRY] ?? 0;
    if (this.#isLive(at, high, low, tick, 0) && expiry <= later(tick, soon)) {
      Atomics.store(words, at + LAST_SEEN, tick);
      Atomics.store(words, at + EXPIRY, later(expiry, more));
    }
    this.#unlock(bucket);
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
    const tick = this.#tick(now);
    const until = later(tick, ttl);
    const at = this.#locate(region, high, low);
    if (at >= 0 && this.#isFresh(at, high, low, ref, tick, until, returning, born)) return SAME;
    if (at >= 0) {
      const bucket = this.#bucketOf(region, at);
      if (!this.#lock(bucket)) return DROPPED;
      const live = this.#isLive(at, high, low, tick, born);
      const done = live ? this.#update(at, expected, ref, tick, until, returning) : -1;
      this.#unlock(bucket);
      if (done >= 0) return done;
    }
    return this.#insert(region, high, low, scope, expected, ref, tick, until, returning, born);
  }

  /** A request or stream of a session goes on or ends: its time is renewed, its endpoint stays whatever it is now. */
  seen(region: SessionRegion, high: number, low: number, now: number, ttl: number): void {
    const tick = this.#tick(now);
    const at = this.#locate(region, high, low);
    if (at < 0 || this.#words[at + LAST_SEEN] === tick) return;
    const bucket = this.#bucketOf(region, at);
    if (!this.#lock(bucket)) return;
    if (this.#isLive(at, high, low, tick, 0)) {
      Atomics.store(this.#words, at + LAST_SEEN, tick);
      Atomics.store(this.#words, at + EXPIRY, Math.max(this.#words[at + EXPIRY] ?? 0, later(tick, ttl)));
    }
    this.#unlock(bucket);
  }

  figures(): SessionTableFigures {
    return {
      entries: Math.max(0, this.#words[0] ?? 0) + Math.max(0, this.#words[1] ?? 0),
      evictions: (this.#words[EVICTIONS] ?? 0) >>> 0,
    };
  }

  /** Main thread: gives back what a dead worker held; an entry that it was writing is emptied. */
  clearDead(owner: number): void {
    const words = this.#words;
    for (let bucket = HEADER_WORDS; bucket + BUCKET_WORDS <= this.#end(); bucket += BUCKET_WORDS) {
      if (Atomics.load(words, bucket) >>> OWNER_SHIFT !== owner) continue;
      for (let at = bucket; at < bucket + BUCKET_WORDS; at += WORDS) {
        const head = Atomics.load(words, at);
        if ((head & 1) === 0) continue;
        // Whether it has been counted is not known: the sweep puts the counts right.
        Atomics.store(words, at + EXPIRY, 0);
        Atomics.store(words, at, (head & ~SEQUENCE_MASK) | ((head + 1) & SEQUENCE_MASK));
      }
      this.#unlock(bucket);
    }
  }

  /**
   * Main thread: drops what has expired, and the sessions of endpoints whose slot is in `leaving`; keys that the table
   * alone knows stay, without an endpoint. Corrects the counts.
   */
  sweep(now: number, leaving: ReadonlySet<number>): void {
    const tick = this.#tick(now);
    const before = this.#readCounts();
    const found = new Map<Int32Array, Int32Array>();
    const header = new Int32Array(HEADER_WORDS);
    for (let bucket = HEADER_WORDS; bucket + BUCKET_WORDS <= this.#end(); bucket += BUCKET_WORDS) {
      for (let at = bucket; at < bucket + BUCKET_WORDS; at += WORDS) {
        const expiry = this.#words[at + EXPIRY] ?? 0;
        if (expiry === 0) continue;
        if (expiry <= tick || leaving.has((this.#words[at + REF] ?? 0) & SLOT_MASK))
          this.#drop(bucket, at, tick, leaving);
        if (this.#words[at + EXPIRY] !== 0) this.#recount(at, header, found);
      }
    }
    this.#correct(before, found, header);
  }

  #drop(bucket: number, at: number, tick: number, leaving: ReadonlySet<number>): void {
    if (!this.#lock(bucket)) return;
    const expiry = this.#words[at + EXPIRY] ?? 0;
    const gone = leaving.has((this.#words[at + REF] ?? 0) & SLOT_MASK);
    if (expiry !== 0 && expiry > tick && gone && this.#regionOf(at) === AUTHORITATIVE) this.#orphan(at);
    else if (expiry !== 0 && (expiry <= tick || gone)) this.#erase(at);
    this.#unlock(bucket);
  }

  /** With the bucket's lock: whoever brings the key shall be moved, and not begin anew. */
  #orphan(at: number): void {
    const words = this.#words;
    const before = words[at + REF] ?? 0;
    this.#step(at);
    Atomics.store(words, at + REF, GONE);
    this.#step(at);
    this.#count(before, -1, ((words[at + SCOPE] ?? 0) & RETURNED) === 0 ? 0 : -1);
  }

  #recount(at: number, header: Int32Array, found: Map<Int32Array, Int32Array>): void {
    const region = this.#regionOf(at);
    header[region]!++;
    header[this.#scopeCell(region, (this.#words[at + SCOPE] ?? 0) >>> 8)]!++;
    const slot = (this.#words[at + REF] ?? 0) & SLOT_MASK;
    const cells = this.#cellsOf(slot);
    if (cells === undefined) return;
    let sums = found.get(cells);
    if (sums === undefined) found.set(cells, (sums = new Int32Array(cells.length)));
    const cell = (slot & CHUNK_MASK) * this.#counts.fields;
    sums[cell + SESSION.live]!++;
    if (((this.#words[at + SCOPE] ?? 0) & RETURNED) !== 0) sums[cell + SESSION.active]!++;
  }

  #readCounts(): Map<Int32Array, Int32Array> {
    const copies = new Map([[this.#words, this.#words.slice(0, HEADER_WORDS)]]);
    for (const cells of this.#counts.chunks)
      if (cells !== undefined) copies.set(cells as Int32Array, (cells as Int32Array).slice());
    return copies;
  }

  /**
   * A worker that died between a write and its count leaves the count wrong: it is put right where nothing changes
   * meanwhile. A worker that lives is between the two as well when the sweep comes by; so only what the last sweep
   * found wrong by as much is taken for wrong.
   */
  #correct(before: Map<Int32Array, Int32Array>, found: Map<Int32Array, Int32Array>, header: Int32Array): void {
    const wrong = new Map<Int32Array, Map<number, number>>();
    for (const [cells, copy] of before) {
      const sums = cells === this.#words ? header : found.get(cells);
      const last = this.#wrong.get(cells);
      const now = new Map<number, number>();
      for (let i = 0; i < copy.length; i++) {
        if (cells === this.#words && i >= EVICTIONS && i < SCOPES) continue;
        const count = copy[i] ?? 0;
        const sum = sums?.[i] ?? 0;
        if (count === sum || cells[i] !== count) continue;
        if (last?.get(i) === count - sum) Atomics.compareExchange(cells, i, count, sum);
        else now.set(i, count - sum);
      }
      if (now.size > 0) wrong.set(cells, now);
    }
    this.#wrong = wrong;
  }

  #tick(now: number): number {
    return Math.min(LAST_TICK - 1, Math.max(1, Math.floor((now - this.#epoch) / TICK_MS) + 1));
  }

  #end(): number {
    return HEADER_WORDS + 2 * this.#buckets * BUCKET_WORDS;
  }

  #bucket(region: SessionRegion, word: number, choice: number): number {
    const seeded = word ^ this.#seed;
    const mixed = Math.imul(seeded ^ (seeded >>> 15), choice === 0 ? 0x21f0aaad : 0x735a2d97);
    const index = ((mixed ^ (mixed >>> 15)) >>> 0) % this.#buckets;
    return HEADER_WORDS + (region * this.#buckets + index) * BUCKET_WORDS;
  }

  #bucketOf(region: SessionRegion, at: number): number {
    const start = HEADER_WORDS + region * this.#buckets * BUCKET_WORDS;
    return at - ((at - start) % BUCKET_WORDS);
  }

  #regionOf(at: number): SessionRegion {
    return at < HEADER_WORDS + this.#buckets * BUCKET_WORDS ? 0 : 1;
  }

  /** Word index of the entry with this fingerprint, expired or not; -1 = none. */
  #locate(region: SessionRegion, high: number, low: number): number {
    const words = this.#words;
    for (let choice = 0; choice < 2; choice++) {
      const bucket = this.#bucket(region, choice === 0 ? high : low, choice);
      for (let at = bucket; at < bucket + BUCKET_WORDS; at += WORDS) {
        if (words[at + HIGH] === high && words[at + LOW] === low && words[at + EXPIRY] !== 0) return at;
      }
    }
    return -1;
  }

  /** A consistent copy of the entry, if it is live and still that of the fingerprint. All loads are atomic: none may move past the second look at the sequence. */
  #read(at: number, high: number, low: number, tick: number, view: SessionView): boolean {
    const words = this.#words;
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
      view.lastSeen = this.#epoch + lastSeen * TICK_MS;
      view.firstSeen = this.#epoch + firstSeen * TICK_MS;
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
    const words = this.#words;
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
    const words = this.#words;
    const same = words[at + HIGH] === high && words[at + LOW] === low;
    return same && (words[at + EXPIRY] ?? 0) > tick && this.#began(at) >= born;
  }

  /** Wall clock, ms. */
  #began(at: number): number {
    return this.#epoch + (this.#words[at + FIRST_SEEN] ?? 0) * TICK_MS;
  }

  /** With the bucket's lock. */
  #update(at: number, expected: number, ref: number, tick: number, until: number, returning: boolean): number {
    const words = this.#words;
    const before = words[at + REF] ?? 0;
    if (expected !== ANY && expected !== before && ref !== before) return LOST;
    const flags = words[at + SCOPE] ?? 0;
    const returned = (flags & RETURNED) !== 0;
    this.#step(at);
    Atomics.store(words, at + REF, ref);
    Atomics.store(words, at + LAST_SEEN, tick);
    Atomics.store(words, at + EXPIRY, until);
    if (returning && !returned) Atomics.store(words, at + SCOPE, flags | RETURNED);
    this.#step(at);
    if (before !== ref) {
      this.#count(before, -1, returned ? -1 : 0);
      this.#count(ref, 1, returned || returning ? 1 : 0);
      this.previous = before;
      return CHANGED;
    }
    if (returning && !returned) this.#count(ref, 0, 1);
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
    const one = this.#bucket(region, high, 0);
    const other = this.#bucket(region, low, 1);
    const first = Math.min(one, other);
    const second = Math.max(one, other);
    if (!this.#lock(first)) return DROPPED;
    if (second !== first && !this.#lock(second)) {
      this.#unlock(first);
      return DROPPED;
    }
    const known = this.#locate(region, high, low);
    let done = DROPPED;
    if (known >= 0 && this.#isLive(known, high, low, tick, born))
      done = this.#update(known, expected, ref, tick, until, returning);
    else {
      const at = known < 0 ? this.#room(region, one, other, scope, tick) : this.#mayErase(known) ? known : -1;
      if (at >= 0) {
        this.#write(at, high, low, scope, ref, tick, until, returning);
        done = INSERTED;
      }
    }
    if (second !== first) this.#unlock(second);
    this.#unlock(first);
    return done;
  }

  /**
   * Where a new entry may go: an empty place in the emptier bucket, else that of an expired entry, else of one that never
   * came back (cookie-less crawlers), else of the same scope's oldest. A scope that has half the region gets only its own.
   * -1 = nowhere.
   */
  #room(region: SessionRegion, one: number, other: number, scope: number, tick: number): number {
    const full = (this.#words[this.#scopeCell(region, scope)] ?? 0) >= this.regionCapacity / 2;
    let best = -1;
    let bestRank = NOWHERE;
    let bestSeen = 0;
    const start = this.#used(other, tick) < this.#used(one, tick) ? other : one;
    for (const bucket of start === one ? [one, other] : [other, one]) {
      for (let at = bucket; at < bucket + BUCKET_WORDS; at += WORDS) {
        const rank = this.#rank(at, scope, tick, full);
        const lastSeen = this.#words[at + LAST_SEEN] ?? 0;
        if (rank > bestRank || (rank === bestRank && (rank <= EXPIRED || lastSeen >= bestSeen))) continue;
        best = at;
        bestRank = rank;
        bestSeen = lastSeen;
      }
    }
    if (bestRank === NOWHERE) return -1;
    if (bestRank > EXPIRED) Atomics.add(this.#words, EVICTIONS, 1);
    if (bestRank > EMPTY) this.#erase(best);
    return best;
  }

  #used(bucket: number, tick: number): number {
    let used = 0;
    for (let at = bucket; at < bucket + BUCKET_WORDS; at += WORDS) if ((this.#words[at + EXPIRY] ?? 0) > tick) used++;
    return used;
  }

  #rank(at: number, scope: number, tick: number, full: boolean): number {
    const expiry = this.#words[at + EXPIRY] ?? 0;
    const word = this.#words[at + SCOPE] ?? 0;
    const own = word >>> 8 === scope;
    if (expiry === 0) return full ? NOWHERE : EMPTY;
    if (!this.#mayErase(at) || (full && !own)) return NOWHERE;
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
    const words = this.#words;
    if (words[at + EXPIRY] !== 0) this.#erase(at);
    const region = this.#regionOf(at);
    this.#step(at);
    Atomics.store(words, at + HIGH, high);
    Atomics.store(words, at + LOW, low);
    Atomics.store(words, at + REF, ref);
    Atomics.store(words, at + SCOPE, (scope << 8) | (returning ? RETURNED : 0));
    Atomics.store(words, at + LAST_SEEN, tick);
    Atomics.store(words, at + FIRST_SEEN, tick);
    Atomics.store(words, at + EXPIRY, until);
    this.#step(at);
    Atomics.add(words, region, 1);
    Atomics.add(words, this.#scopeCell(region, scope), 1);
    this.#count(ref, 1, returning ? 1 : 0);
  }

  /** With the bucket's lock. */
  #erase(at: number): void {
    const words = this.#words;
    const region = this.#regionOf(at);
    const scope = words[at + SCOPE] ?? 0;
    const ref = words[at + REF] ?? 0;
    this.#step(at);
    Atomics.store(words, at + EXPIRY, 0);
    this.#step(at);
    Atomics.sub(words, region, 1);
    Atomics.sub(words, this.#scopeCell(region, scope >>> 8), 1);
    this.#count(ref, -1, (scope & RETURNED) === 0 ? 0 : -1);
  }

  /** An endpoint whose cells this worker has not been given yet cannot be counted down: a table on its way brings them. */
  #mayErase(at: number): boolean {
    const ref = this.#words[at + REF] ?? 0;
    return ref === GONE || this.#cellsOf(ref & SLOT_MASK) !== undefined;
  }

  #cellsOf(slot: number): Int32Array | undefined {
    return this.#counts.chunks[slot >> CHUNK_SHIFT] as Int32Array | undefined;
  }

  #count(ref: number, live: number, active: number): void {
    const slot = ref & SLOT_MASK;
    const cells = this.#cellsOf(slot);
    if (cells === undefined) return;
    const at = (slot & CHUNK_MASK) * this.#counts.fields;
    if (live !== 0) Atomics.add(cells, at + SESSION.live, live);
    if (active !== 0) Atomics.add(cells, at + SESSION.active, active);
  }

  /** Several scopes may share a cell: they then share their half of the region. */
  #scopeCell(region: number, scope: number): number {
    return SCOPES + region * SCOPE_CELLS + (scope & (SCOPE_CELLS - 1));
  }

  /** Before and after an entry is written. With the lock nobody else writes the word, so that a store is enough. */
  #step(at: number): void {
    const head = this.#words[at + HEAD] ?? 0;
    Atomics.store(this.#words, at + HEAD, (head & ~SEQUENCE_MASK) | ((head + 1) & SEQUENCE_MASK));
  }

  #lock(bucket: number): boolean {
    const words = this.#words;
    const pauses = this.#regionOf(bucket) === AUTHORITATIVE ? LOCK_PAUSES : 0;
    for (let pause = 0; ; pause++) {
      for (let tries = 0; tries < LOCK_TRIES; tries++) {
        const head = Atomics.load(words, bucket);
        if (head >>> OWNER_SHIFT !== 0) continue;
        if (Atomics.compareExchange(words, bucket, head, head | (this.#owner << OWNER_SHIFT)) === head) return true;
      }
      if (pause === pauses) return false;
      Atomics.wait(words, bucket, Atomics.load(words, bucket), 1);
    }
  }

  #unlock(bucket: number): void {
    Atomics.store(this.#words, bucket, Atomics.load(this.#words, bucket) & SEQUENCE_MASK);
  }
}

/** Ranks of a place for a new entry, best first. */
const EMPTY = 0;
const EXPIRED = 1;
const NEVER_RETURNED = 2;
const OWN_OLDEST = 3;
const NOWHERE = 9;

function later(tick: number, ttl: number): number {
  return Math.min(LAST_TICK, tick + Math.max(1, Math.ceil(ttl / TICK_MS)));
}
