/**
 * The wall clock, ms, as whole numbers. `Date.now()` leaves compiled code for the runtime each time; `performance.now()`
 * does not, and what lies between the two changes only when somebody sets the clock, which is looked at now and then.
 */
import { performance } from 'node:perf_hooks';

const LOOK_AGAIN_MS = 250;

let offset = 0;
let lookAt = 0;

export function wallClock(): number {
  const now = performance.now();
  if (now >= lookAt) {
    offset = Date.now() - now;
    lookAt = now + LOOK_AGAIN_MS;
  }
  return Math.floor(now + offset);
}
