/** The endpoint with the least of something over all workers; ties go to the least recently chosen. */
import type { Balancer } from './balancer.ts';
import { comesBefore, scale } from './compare.ts';
import type { Load } from './compare.ts';

export function fewest(load: Load): Balancer {
  return (pool, candidates, count, env) => {
    // A random start, so that equal endpoints that were never chosen do not get their first request in order.
    let at = scale(env.random(), count);
    let best = candidates[at] ?? 0;
    for (let k = 1; k < count; k++) {
      at = at + 1 === count ? 0 : at + 1;
      const other = candidates[at] ?? 0;
      if (comesBefore(pool, env, other, best, load)) best = other;
    }
    return best;
  };
}
