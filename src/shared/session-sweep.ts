/** What the main thread does with the session table: drops what is over, and puts right what a worker that died has left. */
import { AUTHORITATIVE } from '../model/live.ts';
import type { Block } from './cells.ts';
import { CHUNK_MASK, SESSION } from './layout.ts';
import {
  BUCKET_WORDS,
  EVICTIONS,
  EXPIRY,
  GONE,
  HEADER_WORDS,
  MAIN_THREAD,
  OWNER_SHIFT,
  REF,
  RETURNED,
  SCOPE,
  SCOPES,
  SEQUENCE_MASK,
  SessionEntries,
  slotOf,
  WORDS,
  type SessionMemory,
} from './session-entries.ts';

export interface SessionTableFigures {
  readonly entries: number;
  readonly evictions: number;
}

export class SessionSweep extends SessionEntries {
  /** By how much the last sweep found counts to be too high, by cell. */
  #wrong: ReadonlyMap<Int32Array, ReadonlyMap<number, number>> = new Map();

  /** `counts`: the block `session`. */
  constructor(memory: SessionMemory, counts: Block) {
    super(memory, MAIN_THREAD, counts);
  }

  figures(): SessionTableFigures {
    return {
      entries: Math.max(0, this.words[0] ?? 0) + Math.max(0, this.words[1] ?? 0),
      evictions: (this.words[EVICTIONS] ?? 0) >>> 0,
    };
  }

  /** Gives back what a dead worker held; an entry that it was writing is emptied. */
  clearDead(owner: number): void {
    const words = this.words;
    for (let bucket = HEADER_WORDS; bucket + BUCKET_WORDS <= this.endOfBuckets(); bucket += BUCKET_WORDS) {
      if (Atomics.load(words, bucket) >>> OWNER_SHIFT !== owner) continue;
      for (let at = bucket; at < bucket + BUCKET_WORDS; at += WORDS) {
        const head = Atomics.load(words, at);
        if ((head & 1) === 0) continue;
        // Whether it has been counted is not known: the sweep puts the counts right.
        Atomics.store(words, at + EXPIRY, 0);
        Atomics.store(words, at, (head & ~SEQUENCE_MASK) | ((head + 1) & SEQUENCE_MASK));
      }
      this.unlock(bucket);
    }
  }

  /**
   * Drops what has expired, and the sessions of endpoints whose slot is in `leaving`; keys that the table
   * alone knows stay, without an endpoint. Corrects the counts.
   */
  sweep(now: number, leaving: ReadonlySet<number>): void {
    const tick = this.tick(now);
    const before = this.#readCounts();
    const found = new Map<Int32Array, Int32Array>();
    const header = new Int32Array(HEADER_WORDS);
    for (let bucket = HEADER_WORDS; bucket + BUCKET_WORDS <= this.endOfBuckets(); bucket += BUCKET_WORDS) {
      for (let at = bucket; at < bucket + BUCKET_WORDS; at += WORDS) {
        const expiry = this.words[at + EXPIRY] ?? 0;
        if (expiry === 0) continue;
        if (expiry <= tick || leaving.has(slotOf(this.words[at + REF] ?? 0))) this.#drop(bucket, at, tick, leaving);
        if (this.words[at + EXPIRY] !== 0) this.#recount(at, header, found);
      }
    }
    this.#correct(before, found, header);
  }

  #drop(bucket: number, at: number, tick: number, leaving: ReadonlySet<number>): void {
    if (!this.lock(bucket)) return;
    const expiry = this.words[at + EXPIRY] ?? 0;
    const gone = leaving.has(slotOf(this.words[at + REF] ?? 0));
    if (expiry !== 0 && expiry > tick && gone && this.regionOf(at) === AUTHORITATIVE) this.#orphan(at);
    else if (expiry !== 0 && (expiry <= tick || gone)) this.erase(at);
    this.unlock(bucket);
  }

  /** With the bucket's lock: whoever brings the key shall be moved, and not begin anew. */
  #orphan(at: number): void {
    const words = this.words;
    const before = words[at + REF] ?? 0;
    this.step(at);
    Atomics.store(words, at + REF, GONE);
    this.step(at);
    this.count(before, -1, ((words[at + SCOPE] ?? 0) & RETURNED) === 0 ? 0 : -1);
  }

  #recount(at: number, header: Int32Array, found: Map<Int32Array, Int32Array>): void {
    const region = this.regionOf(at);
    header[region]!++;
    header[this.scopeCell(region, (this.words[at + SCOPE] ?? 0) >>> 8)]!++;
    const slot = slotOf(this.words[at + REF] ?? 0);
    const cells = this.cellsOf(slot);
    if (cells === undefined) return;
    let sums = found.get(cells);
    if (sums === undefined) found.set(cells, (sums = new Int32Array(cells.length)));
    const cell = (slot & CHUNK_MASK) * this.counts.fields;
    sums[cell + SESSION.live]!++;
    if (((this.words[at + SCOPE] ?? 0) & RETURNED) !== 0) sums[cell + SESSION.active]!++;
  }

  #readCounts(): Map<Int32Array, Int32Array> {
    const copies = new Map([[this.words, this.words.slice(0, HEADER_WORDS)]]);
    for (const cells of this.counts.chunks)
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
      const sums = cells === this.words ? header : found.get(cells);
      const last = this.#wrong.get(cells);
      const now = new Map<number, number>();
      for (let i = 0; i < copy.length; i++) {
        if (cells === this.words && i >= EVICTIONS && i < SCOPES) continue;
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
}
