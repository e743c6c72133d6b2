/** How long to wait after a failure: exponential with full jitter, or as long as the server asks for. */
import { ApiFault } from './fault.ts';

const UNAVAILABLE = 503;

export interface BackOffTiming {
  /** Upper bound of the first wait: ms. */
  readonly first: number;
  /** Upper bound of any wait when the server answers with an error: ms. */
  readonly most: number;
  /** The same when there is no answer at all: a refused connection costs the server nothing, and it shall be found soon. */
  readonly mostUnreachable: number;
  /** Longer waits that the server asks for are cut to this: ms. */
  readonly mostAsked: number;
  /** The same for 503, which a starting API server sends with a fixed 5 s, long before it is that late: ms. */
  readonly mostAskedStarting: number;
}

export class BackOff {
  readonly #timing: BackOffTiming;
  readonly #random: () => number;
  #failures = 0;
  #answered = true;

  constructor(timing: BackOffTiming, random: () => number) {
    this.#timing = timing;
    this.#random = random;
  }

  /** It works: the next failure is the first one again. */
  reset(): void {
    this.#failures = 0;
  }

  /** Milliseconds to wait after this failure. */
  next(failure: unknown): number {
    const { first, most, mostUnreachable, mostAsked, mostAskedStarting } = this.#timing;
    const answered = failure instanceof ApiFault;
    if (answered !== this.#answered) this.#failures = 0;
    this.#answered = answered;
    const bound = Math.min(answered ? most : mostUnreachable, first * 2 ** Math.min(this.#failures, 30));
    this.#failures++;
    const jitter = this.#random() * bound;
    const asked = answered ? failure.retryAfter : undefined;
    const longest = answered && failure.status === UNAVAILABLE ? mostAskedStarting : mostAsked;
    // Jitter on top: those who were all told the same must not all come back at once.
    return asked === undefined ? jitter : Math.min(asked, longest) + jitter;
  }
}
