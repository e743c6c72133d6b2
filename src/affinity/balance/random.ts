/** Random: any endpoint with the same probability. */
import type { Balancer } from './balancer.ts';
import { scale } from './compare.ts';

export const random: Balancer = (_pool, candidates, count, env) => candidates[scale(env.random(), count)] ?? 0;
