/** Where the entry of a new session goes, and who has to go when there is no room. */
import type { SessionRegion } from '../model/live.ts';
import {
  BUCKET_WORDS,
  EVICTIONS,
  EXPIRY,
  FIRST_SEEN,
  HIGH,
  LAST_SEEN,
  LOW,
  REF,
  RETURNED,
  SCOPE,
  SessionEntries,
  WORDS,
} from './session-entries.ts';

/** Ranks of a place for a new entry, best first. */
const EMPTY = 0;
const EXPIRED = 1;
const NEVER_RETURNED = 2;
const OWN_OLDEST = 3;
const NOWHERE = 9;

export abstract class SessionPlaces extends SessionEntries {
  /**
   * Where a new entry may go: an empty place in the emptier bucket, else that of an expired entry, else of one that never
   * came back (cookie-less crawlers), else of the same scope's oldest. A scope that has half the region gets only its own.
   * -1 = nowhere.
   */
  protected room(region: SessionRegion, one: number, other: number, scope: number, tick: number): number {
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

  /** With both buckets' locks: fills the place that `room` gave, or that of an entry that is over. */
  protected write(
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
