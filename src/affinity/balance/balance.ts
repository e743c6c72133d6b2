/** The registry of algorithms that give a client without a session its endpoint. */
import type { LivePool } from '../../model/live.ts';
import type { Algorithm } from '../../model/sticky-policy.ts';
import type { BalanceEnv, Balancer } from './balancer.ts';
import { leastRequests } from './least-requests.ts';
import { leastSessions } from './least-sessions.ts';
import { powerOfTwo } from './power-of-two.ts';
import { random } from './random.ts';
import { roundRobin } from './round-robin.ts';

const balancers: Readonly<Record<Algorithm, Balancer>> = {
  LeastRequests: leastRequests,
  LeastSessions: leastSessions,
  RoundRobin: roundRobin,
  Random: random,
  PowerOfTwo: powerOfTwo,
};

/** Chooses and records the choice, so that the next tie goes to another endpoint. */
export function balance(
  algorithm: Algorithm,
  pool: LivePool,
  candidates: Int32Array,
  count: number,
  env: BalanceEnv,
): number {
  const index = balancers[algorithm](pool, candidates, count, env);
  env.meters.markChosen(pool.endpoints[index]?.slot ?? 0);
  return index;
}
