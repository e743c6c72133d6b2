/** PowerOfTwo: the less busy of two different random endpoints. */
import type { Balancer } from './balancer.ts';
import { lessBusy, scale } from './compare.ts';

export const powerOfTwo: Balancer = (pool, candidates, count, env) => {
  const first = scale(env.random(), count);
  const one = candidates[first] ?? 0;
  if (count === 1) return one;
  const second = (first + 1 + scale(env.random(), count - 1)) % count;
  const other = candidates[second] ?? 0;
  return lessBusy(pool, env.meters, other, one) ? other : one;
};
