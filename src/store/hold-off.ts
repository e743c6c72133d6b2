/** Waits until events pause before acting on them, but never longer than a cap. */

/** Injected time: wall or monotonic, ms. */
export interface Clock {
  now(): number;
  setTimeout(fn: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
}

export class HoldOff {
  readonly #act: () => void;
  readonly #clock: Clock;
  readonly #pause: number;
  readonly #cap: number;
  #timer: unknown;
  #deadline: number | undefined;
  #due = 0;

  constructor(act: () => void, clock: Clock, pause: number, cap: number) {
    this.#act = act;
    this.#clock = clock;
    this.#pause = pause;
    this.#cap = cap;
  }

  /** An event: the first starts the hold-off, each further one extends it up to the cap. */
  start(): void {
    const now = this.#clock.now();
    this.#due = now + this.#pause;
    if (this.#deadline !== undefined) return;
    this.#deadline = now + this.#cap;
    this.#arm(this.#pause);
  }

  cancel(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#deadline = undefined;
  }

  /** One timer a hold-off, re-armed when it fires early: thousands of events cost no thousand timers. */
  #arm(ms: number): void {
    this.#timer = this.#clock.setTimeout(() => this.#fire(), ms);
  }

  #fire(): void {
    if (this.#deadline === undefined) return;
    const left = Math.min(this.#due, this.#deadline) - this.#clock.now();
    if (left > 0) {
      this.#arm(left);
      return;
    }
    this.#deadline = undefined;
    this.#act();
  }
}
