/** RoundRobin: each endpoint in turn, exact over all workers. */
import type { Balancer } from './balancer.ts';

export const roundRobin: Balancer = (pool, candidates, count, env) =>
  candidates[(env.meters.nextTurn(pool.slot) >>> 0) % count] ?? 0;
