/** The better of two different random endpoints: nearly as even as the best of all, at a fixed cost, and without a herd. */
import type { Balancer } from './balancer.ts';
import { comesBefore, scale } from './compare.ts';
import type { Load } from './compare.ts';

export function twoChoices(load: Load): Balancer {
  return (pool, candidates, count, env) => {
    const first = scale(env.random(), count);
    const one = candidates[first] ?? 0;
    if (count === 1) return one;
    const second = (first + 1 + scale(env.random(), count - 1)) % count;
    const other = candidates[second] ?? 0;
    return comesBefore(pool, env, other, one, load) ? other : one;
  };
}
