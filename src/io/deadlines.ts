/**
 * Coarse timers: one tick for all connections of a worker instead of a timer a request. A connection keeps its own
 * deadline as a number (setting it costs a store) and is asked at every tick; time-outs are late by a tick at most.
 */

/** Something with deadlines of its own. */
export interface Timed {
  /** Called at every tick with the wall clock, ms. */
  checkDeadline(now: number): void;
}

const TICK_MS = 250;

export class Deadlines {
  /** Wall clock at the last tick, ms: good enough for deadlines of seconds, and free. */
  now: number;
  readonly #clock: () => number;
  readonly #members = new Set<Timed>();
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: () => number) {
    this.#clock = clock;
    this.now = clock();
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.tick();
    }, TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** The wall clock itself, ms. */
  exact(): number {
    return this.#clock();
  }

  tick(): void {
    this.now = this.#clock();
    for (const member of this.#members) member.checkDeadline(this.now);
  }

  add(member: Timed): void {
    this.#members.add(member);
  }

  delete(member: Timed): void {
    this.#members.delete(member);
  }
}
