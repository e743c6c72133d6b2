/** The shape of an algorithm that chooses an endpoint. */
import type { LivePool, Meters } from '../../model/live.ts';

export interface BalanceEnv {
  readonly meters: Meters;
  /** Wall clock, ms. */
  readonly now: number;
  /** A uniform unsigned 32-bit integer. */
  random(): number;
}

/** Chooses among `candidates[0..count)`, indices into `pool.endpoints`; count >= 1. */
export type Balancer = (pool: LivePool, candidates: Int32Array, count: number, env: BalanceEnv) => number;
