/** Follows WebSocket frames (RFC 6455 section 5.2) far enough to know where one ends, so that a close frame can be put in between. */

/** A close frame from a server: status 1001, "going away" (RFC 6455 section 7.4.1). */
export const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9]);

/** The same from a client: masked, as a server demands; the mask hides nothing here. */
export const GOING_AWAY_MASKED = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]);

const MASKED = 0x80;
const LENGTH = 0x7f;

/** Feed it the bytes of one direction. */
export class FrameTracker {
  /** Bytes of the current frame's header seen so far. */
  readonly #header = Buffer.alloc(14);
  #seen = 0;
  /** Bytes left of the current frame's payload. */
  #left = 0;

  /** Whether the bytes so far end with a whole frame. */
  get atBoundary(): boolean {
    return this.#seen === 0 && this.#left === 0;
  }

  /** The first `length` bytes of `buffer`. */
  push(buffer: Buffer, length: number): void {
    let at = 0;
    while (at < length) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, length - at);
        this.#left -= skipped;
        at += skipped;
        continue;
      }
      this.#header[this.#seen++] = buffer[at++] ?? 0;
      if (this.#seen < this.#headerLength()) continue;
      this.#left = this.#payloadLength();
      this.#seen = 0;
    }
  }

  #headerLength(): number {
    if (this.#seen < 2) return 2;
    const second = this.#header[1] ?? 0;
    const length = second & LENGTH;
    return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + ((second & MASKED) === 0 ? 0 : 4);
  }

  #payloadLength(): number {
    const length = (this.#header[1] ?? 0) & LENGTH;
    if (length === 126) return this.#header.readUInt16BE(2);
    return length === 127 ? Number(this.#header.readBigUInt64BE(2)) : length;
  }
}
