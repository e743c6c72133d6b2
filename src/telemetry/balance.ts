/** How evenly a pool's Ready endpoints are used: requests over the last minute, requests in flight now, and active sessions. */
import { READY } from '../model/live.ts';
import type { Counted } from '../shared/counted.ts';
import { ENDPOINT, GAUGE, SESSION } from '../shared/layout.ts';
import type { PoolData } from '../shared/messages.ts';

export const SAMPLE_MS = 5000;
const SAMPLES = 13;

export interface Balance {
  readonly of: 'sessions' | 'requests' | 'inflight';
  /** Maximum ÷ mean. */
  readonly ratio: number;
  /** Standard deviation ÷ mean. */
  readonly cv: number;
}

export class BalanceFigures {
  readonly #counted: Counted;
  /** Requests by endpoint slot, modulo 2^32, oldest sample first; the first one is about a minute old. */
  readonly #samples: Uint32Array[] = [];

  constructor(counted: Counted) {
    this.#counted = counted;
  }

  /** To be called every SAMPLE_MS. */
  sample(pools: Iterable<PoolData>): void {
    const { endpoint } = this.#counted.blocks;
    const sums = endpoint.sums(ENDPOINT.requests);
    const oldest = this.#samples.length < SAMPLES ? undefined : this.#samples.shift();
    const now = oldest?.length === sums.length ? oldest.fill(0) : new Uint32Array(sums.length);
    // Only of endpoints in a pool: a slot may be another one's by the time the sample is looked at.
    for (const pool of pools) for (const { slot } of pool.endpoints) now[slot] = sums[slot] ?? 0;
    this.#samples.push(now);
  }

  /** Empty where the mean is 0. */
  of(pool: PoolData): Balance[] {
    const { endpoint, gauge, session } = this.#counted.blocks;
    const before = this.#samples[0];
    const slots = pool.endpoints.filter(({ state }) => state === READY).map(({ slot }) => slot);
    const requests = slots.map((slot) => (endpoint.sum(slot, ENDPOINT.requests) - (before?.[slot] ?? 0)) >>> 0);
    const inflight = slots.map((slot) => gauge.sum(slot, GAUGE.inFlight));
    const sessions = slots.map((slot) => Math.max(0, session.sum(slot, SESSION.active)));
    return [...figures('sessions', sessions), ...figures('requests', requests), ...figures('inflight', inflight)];
  }
}

function figures(of: Balance['of'], values: readonly number[]): Balance[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length === 0 || mean <= 0) return [];
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return [{ of, ratio: Math.max(...values) / mean, cv: Math.sqrt(variance) / mean }];
}
