/**
 * The memory of the session table, as all threads share it: a fixed number of entries in buckets of 8, two buckets to
 * choose from for each session. Readers never wait (sequence lock); writers hold a bucket's lock, which names them, so
 * that what a dead worker held can be given back.
 */
import { AUTHORITATIVE } from '../model/live.ts';
import type { SessionRegion } from '../model/live.ts';
import type { Block } from './cells.ts';
import { CHUNK_MASK, CHUNK_SHIFT, SESSION } from './layout.ts';

/** Int32 words of an entry. `HEAD` is a sequence (odd = being written), and in a bucket's first entry also its lock. */
const HEAD = 0;
export const HIGH = 1;
export const LOW = 2;
export const REF = 3;
/** Scope id in the upper 24 bits, flags below. */
export const SCOPE = 4;
export const LAST_SEEN = 5;
export const FIRST_SEEN = 6;
/** 0 = the entry is empty. */
export const EXPIRY = 7;
export const WORDS = 8;

const BUCKET_ENTRIES = 8;
export const BUCKET_WORDS = BUCKET_ENTRIES * WORDS;

/** The lock's owner is in the upper 10 bits of the word: the worker's row + 1; the main thread's is above all of them. */
export const OWNER_SHIFT = 22;
export const SEQUENCE_MASK = (1 << OWNER_SHIFT) - 1;
export const MAIN_THREAD = (1 << 10) - 2;

export const RETURNED = 1;

/** Times are counted from the process's epoch: 6.8 years' worth. */
export const TICK_MS = 100;
export const LAST_TICK = 0x7fffffff;

/** Of the header: per region how many entries there are; then evictions; then entries by scope and region. */
export const EVICTIONS = 2;
export const SCOPES = 4;
const SCOPE_CELLS = 2048;
export const HEADER_WORDS = SCOPES + 2 * SCOPE_CELLS;

/** A lock is held for some ten writes. Whoever does not get it in so many tries does without: its holder may be dead. */
const LOCK_TRIES = 4000;
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

/** A ref that no endpoint has, as `ABSENT`: the endpoint of a key has left. */
export const GONE = -1;

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

/** One thread's access to the entries: where they are, their locks, and the counts that every change keeps right. */
export abstract class SessionEntries {
  protected readonly words: Int32Array;
  protected readonly epoch: number;
  protected readonly counts: Block;
  readonly #seed: number;
  readonly #owner: number;
  /** Buckets of one region. */
  readonly #buckets: number;

  /** `owner`: the worker's row + 1, or `MAIN_THREAD`. `counts`: the block `session`. */
  constructor({ buffer, seed, epoch }: SessionMemory, owner: number, counts: Block) {
    this.words = new Int32Array(buffer);
    this.epoch = epoch;
    this.counts = counts;
    this.#seed = seed;
    this.#owner = owner;
    this.#buckets = Math.floor((this.words.length - HEADER_WORDS) / BUCKET_WORDS / 2);
  }

  /** Most entries that a region can hold. */
  get regionCapacity(): number {
    return this.#buckets * BUCKET_ENTRIES;
  }

  /** `now`: wall clock, ms. */
  protected tick(now: number): number {
    return Math.min(LAST_TICK - 1, Math.max(1, Math.floor((now - this.epoch) / TICK_MS) + 1));
  }

  /** Word index behind the last bucket. */
  protected endOfBuckets(): number {
    return HEADER_WORDS + 2 * this.#buckets * BUCKET_WORDS;
  }

  /** Word index of one of the two buckets of a session; `word`: its fingerprint's high one for the first choice, the low one for the second. */
  protected bucketAt(region: SessionRegion, word: number, choice: number): number {
    const seeded = word ^ this.#seed;
    const mixed = Math.imul(seeded ^ (seeded >>> 15), choice === 0 ? 0x21f0aaad : 0x735a2d97);
    const index = ((mixed ^ (mixed >>> 15)) >>> 0) % this.#buckets;
    return HEADER_WORDS + (region * this.#buckets + index) * BUCKET_WORDS;
  }

  /** Of the entry at a word index. */
  protected bucketOf(region: SessionRegion, at: number): number {
    const start = HEADER_WORDS + region * this.#buckets * BUCKET_WORDS;
    return at - ((at - start) % BUCKET_WORDS);
  }

  protected regionOf(at: number): SessionRegion {
    return at < HEADER_WORDS + this.#buckets * BUCKET_WORDS ? 0 : 1;
  }

  /** Word index of the entry with this fingerprint, expired or not; -1 = none. */
  protected locate(region: SessionRegion, high: number, low: number): number {
    const words = this.words;
    for (let choice = 0; choice < 2; choice++) {
      const bucket = this.bucketAt(region, choice === 0 ? high : low, choice);
      for (let at = bucket; at < bucket + BUCKET_WORDS; at += WORDS) {
        if (words[at + HIGH] === high && words[at + LOW] === low && words[at + EXPIRY] !== 0) return at;
      }
    }
    return -1;
  }

  /** With the bucket's lock. */
  protected erase(at: number): void {
    const words = this.words;
    const region = this.regionOf(at);
    const scope = words[at + SCOPE] ?? 0;
    const ref = words[at + REF] ?? 0;
    this.step(at);
    Atomics.store(words, at + EXPIRY, 0);
    this.step(at);
    Atomics.sub(words, region, 1);
    Atomics.sub(words, this.scopeCell(region, scope >>> 8), 1);
    this.count(ref, -1, (scope & RETURNED) === 0 ? 0 : -1);
  }

  /** An endpoint whose cells this worker has not been given yet cannot be counted down: a table on its way brings them. */
  protected mayErase(at: number): boolean {
    const ref = this.words[at + REF] ?? 0;
    return ref === GONE || this.cellsOf(slotOf(ref)) !== undefined;
  }

  protected cellsOf(slot: number): Int32Array | undefined {
    return this.counts.chunks[slot >> CHUNK_SHIFT] as Int32Array | undefined;
  }

  protected count(ref: number, live: number, active: number): void {
    const slot = slotOf(ref);
    const cells = this.cellsOf(slot);
    if (cells === undefined) return;
    const at = (slot & CHUNK_MASK) * this.counts.fields;
    if (live !== 0) Atomics.add(cells, at + SESSION.live, live);
    if (active !== 0) Atomics.add(cells, at + SESSION.active, active);
  }

  /** Several scopes may share a cell: they then share their half of the region. */
  protected scopeCell(region: number, scope: number): number {
    return SCOPES + region * SCOPE_CELLS + (scope & (SCOPE_CELLS - 1));
  }

  /** Before and after an entry is written. With the lock nobody else writes the word, so that a store is enough. */
  protected step(at: number): void {
    const head = this.words[at + HEAD] ?? 0;
    Atomics.store(this.words, at + HEAD, (head & ~SEQUENCE_MASK) | ((head + 1) & SEQUENCE_MASK));
  }

  protected lock(bucket: number): boolean {
    const words = this.words;
    const pauses = this.regionOf(bucket) === AUTHORITATIVE ? LOCK_PAUSES : 0;
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

  protected unlock(bucket: number): void {
    Atomics.store(this.words, bucket, Atomics.load(this.words, bucket) & SEQUENCE_MASK);
  }
}
