/** Remembers how the last streams of a connection ended: what may still come on them differs (RFC 9113, 5.1). */

/** More than may be under way at once. */
const KEPT = 256;

/** Never heard of: it was skipped, or is too long ago. */
export const FORGOTTEN = 0;
/** Both sides had ended it. */
export const ENDED = 1;
export const RESET_BY_US = 2;
export const RESET_BY_PEER = 3;

export class ClosedStreams {
  /** Allocated with the first stream that is closed: an idle connection needs none. */
  #ids: Int32Array | undefined;
  #ends = new Uint8Array(0);
  #next = 0;

  add(id: number, end: number): void {
    if (this.#ids === undefined) {
      this.#ids = new Int32Array(KEPT);
      this.#ends = new Uint8Array(KEPT);
    }
    this.#ids[this.#next] = id;
    this.#ends[this.#next] = end;
    this.#next = (this.#next + 1) % KEPT;
  }

  /** The latest end counts. */
  endOf(id: number): number {
    if (this.#ids === undefined) return FORGOTTEN;
    for (let i = 1; i <= KEPT; i++) {
      const at = (this.#next - i + KEPT) % KEPT;
      if (this.#ids[at] === id) return this.#ends[at]!;
    }
    return FORGOTTEN;
  }
}
