/** What requests of a worker borrow while they are under way, kept for those to come: each is the objects of a whole exchange. */

const KEPT = 256;

export class Spares<T> {
  readonly #make: () => T;
  readonly #spare: T[] = [];

  constructor(make: () => T) {
    this.#make = make;
  }

  take(): T {
    return this.#spare.pop() ?? this.#make();
  }

  /** One that has let go of its request. */
  give(spare: T): void {
    if (this.#spare.length < KEPT) this.#spare.push(spare);
  }
}
