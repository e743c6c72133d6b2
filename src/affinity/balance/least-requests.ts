/** LeastRequests: the fewest requests in flight over all workers; ties go to the least recently chosen. */
import type { Balancer } from './balancer.ts';
import { lessBusy, scale } from './compare.ts';

/** Above this many endpoints, looking at all of them costs more than an exact answer is worth. */
const EXACT_LIMIT = 128;
const SAMPLES = 16;

export const leastRequests: Balancer = (pool, candidates, count, env) => {
  if (count > EXACT_LIMIT) {
    let best = candidates[scale(env.random(), count)] ?? 0;
    for (let k = 1; k < SAMPLES; k++) {
      const other = candidates[scale(env.random(), count)] ?? 0;
      if (lessBusy(pool, env.meters, other, best)) best = other;
    }
    return best;
  }
  // A random start, so that equal endpoints that were never chosen do not get their first request in order.
  let at = scale(env.random(), count);
  let best = candidates[at] ?? 0;
  for (let k = 1; k < count; k++) {
    at = at + 1 === count ? 0 : at + 1;
    const other = candidates[at] ?? 0;
    if (lessBusy(pool, env.meters, other, best)) best = other;
  }
  return best;
};
