/** Work that takes long, one piece a turn of the event loop: whoever else has something to do comes in between. */

export class OneATurn {
  readonly #waiting: (() => void)[] = [];
  /** This turn has had its piece. */
  #taken = false;
  readonly #next = (): void => {
    const work = this.#waiting.shift();
    if (work === undefined) this.#taken = false;
    else this.#do(work);
  };

  /** At once, or in its turn. */
  add(work: () => void): void {
    if (this.#taken) this.#waiting.push(work);
    else this.#do(work);
  }

  #do(work: () => void): void {
    this.#taken = true;
    setImmediate(this.#next);
    work();
  }
}
