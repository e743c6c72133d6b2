/**
 * What the time is, steadily and on the wall, by one reading: a reading is a tenth of a microsecond, and a request needs it
 * several times. `Date.now()` leaves compiled code for the runtime each time; `performance.now()` does not, and what lies
 * between the two changes only when somebody sets the wall clock, which is looked at now and then.
 */
import { performance } from 'node:perf_hooks';

const LOOK_AGAIN_MS = 250;

export class Clock {
  /** At the last reading: ms that never go back, with fractions. */
  steady = 0;
  /** At the last reading: ms of the wall clock, whole. */
  wall = 0;
  #offset = 0;
  #lookAt = 0;

  read(): this {
    const now = performance.now();
    if (now >= this.#lookAt) {
      this.#offset = Date.now() - now;
      this.#lookAt = now + LOOK_AGAIN_MS;
    }
    this.steady = now;
    this.wall = Math.floor(now + this.#offset);
    return this;
  }
}
