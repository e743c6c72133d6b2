/**
 * The open streams of a connection by their numbers: a table that is searched from the place of a number on (linear
 * probing). Numbers come one after another, so nearly all streams are at their places, and streams that come and go leave
 * nothing behind: a `Map` is rebuilt again and again, which took 3 % of a short request.
 */

const FIRST_SLOTS = 8;

export class OpenStreams<S extends { readonly id: number }> {
  size = 0;
  /** A power of two of them, at least half of them empty. */
  #slots = emptySlots<S>(FIRST_SLOTS);

  get(id: number): S | undefined {
    return this.#slots[this.#placeOf(id)];
  }

  has(id: number): boolean {
    return this.get(id) !== undefined;
  }

  /** @param stream whose number is not in the table, and stays what it is */
  add(stream: S): void {
    this.size++;
    if (2 * this.size > this.#slots.length) this.#grow();
    this.#slots[this.#placeOf(stream.id)] = stream;
  }

  delete(id: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = this.#placeOf(id);
    if (slots[hole] === undefined) return;
    this.size--;
    // Whoever could not have its own place for the one that goes, or for one behind it, moves up.
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at];
      if (stream === undefined) break;
      const distance = (at - (stream.id >>> 1)) & mask;
      if (distance < ((at - hole) & mask)) continue;
      slots[hole] = stream;
      hole = at;
    }
    slots[hole] = undefined;
  }

  /** As they are now. */
  values(): S[] {
    return this.#slots.filter((stream) => stream !== undefined);
  }

  clear(): void {
    this.size = 0;
    this.#slots = emptySlots(FIRST_SLOTS);
  }

  /** Where the stream is, or would be. */
  #placeOf(id: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    // Numbers of one side are all odd, or all even.
    let at = (id >>> 1) & mask;
    for (let stream = slots[at]; stream !== undefined && stream.id !== id; stream = slots[at]) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const streams = this.values();
    this.#slots = emptySlots(2 * this.#slots.length);
    for (const stream of streams) this.#slots[this.#placeOf(stream.id)] = stream;
  }
}

function emptySlots<S>(count: number): (S | undefined)[] {
  return new Array<S | undefined>(count).fill(undefined);
}
