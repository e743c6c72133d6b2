/** The registry of algorithms that give a client without a session its endpoint. */
import type { LivePool } from '../../model/live.ts';
import type { Algorithm } from '../../model/sticky-policy.ts';
import type { BalanceEnv, Balancer } from './balancer.ts';
import { leastRequests } from './least-requests.ts';
import { leastSessions } from './least-sessions.ts';
import { peakEwma } from './peak-ewma.ts';
import { powerOfTwo } from './power-of-two.ts';
import { random } from './random.ts';
import { roundRobin } from './round-robin.ts';
import { hasSlow, slowStart } from './slow-start.ts';

const balancers: Readonly<Record<Algorithm, Balancer>> = {
  LeastRequests: leastRequests,
  LeastSessions: leastSessions,
  RoundRobin: roundRobin,
  Random: random,
  PowerOfTwo: powerOfTwo,
  PeakEwma: peakEwma,
};

/**
 * Whether the algorithm may choose among a few endpoints that were drawn at random as if they were all. Not where each
 * has its turn, nor where slow ones have a share of their own. `slow`: as `balance` has it.
 */
export function someWillDo(algorithm: Algorithm, pool: LivePool, slow: number, now: number): boolean {
  return algorithm !== 'RoundRobin' && (slow === 0 || !hasSlow(pool, slow, now));
}

/**
 * Chooses and records the choice, so that the next tie goes to another endpoint. `slow`: ms over which the share of new
 * endpoints grows, 0 = off; uses `candidates` up.
 */
export function balance(
  algorithm: Algorithm,
  pool: LivePool,
  candidates: Int32Array,
  count: number,
  env: BalanceEnv,
  slow: number,
): number {
  const left = slow > 0 && count > 1 ? slowStart(pool, candidates, count, slow, env) : count;
  const index = left === 1 ? (candidates[0] ?? 0) : balancers[algorithm](pool, candidates, left, env);
  env.meters.markChosen(pool.endpoints[index]?.slot ?? 0);
  return index;
}
