/** One answer for all who ask the same within a moment, so that many questions cost no more than one. */

export class Fresh<T> {
  readonly #ms: number;
  readonly #clock: () => number;
  /** In the order asked, which is the order in which they go stale. */
  readonly #known = new Map<string, { readonly asked: number; readonly answer: Promise<T> }>();

  /** @param ms how long an answer counts, from when it was asked for */
  constructor(ms: number, clock: () => number) {
    this.#ms = ms;
    this.#clock = clock;
  }

  /** A failure is an answer, too: it is shared and kept as long. */
  async get(key: string, find: () => Promise<T>): Promise<T> {
    const now = this.#clock();
    for (const [old, { asked }] of this.#known) {
      if (this.#isFresh(asked, now)) break;
      this.#known.delete(old);
    }
    const known = this.#known.get(key);
    if (known !== undefined && this.#isFresh(known.asked, now)) return await known.answer;
    const answer = find();
    this.#known.delete(key);
    this.#known.set(key, { asked: now, answer });
    return await answer;
  }

  /** A clock that was set back makes everything stale. */
  #isFresh(asked: number, now: number): boolean {
    return now >= asked && now - asked < this.#ms;
  }
}
