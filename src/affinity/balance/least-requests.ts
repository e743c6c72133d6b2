/** LeastRequests: the fewest requests in flight over all workers; ties go to the least recently chosen. */
import { fewest } from './fewest.ts';

export const leastRequests = fewest((meters, slot) => meters.inFlight(slot));
