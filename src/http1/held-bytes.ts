/**
 * Copies of bytes that have to wait. Small pieces share blocks: each in a buffer of its own, a peer that sends byte by byte
 * would make us hold 250 times what it sends.
 */

const BLOCK = 4096;

export class HeldBytes {
  /** In order. */
  pieces: Buffer[] = [];
  length = 0;
  /** What is free behind the last piece, in its block. */
  #room: Buffer | undefined;
  /** The first block outlives `clear`: memory outside of V8's heap for each of many small bodies keeps its collector busy. */
  #block: Buffer | undefined;
  #blockUsed = false;

  get isEmpty(): boolean {
    return this.length === 0;
  }

  add(buffer: Buffer, start: number, end: number): void {
    const size = end - start;
    if (size === 0) return;
    this.length += size;
    const last = this.pieces.length - 1;
    const piece = this.pieces[last];
    if (piece !== undefined && this.#room !== undefined && this.#room.length >= size) {
      buffer.copy(this.#room, 0, start, end);
      this.pieces[last] = Buffer.from(piece.buffer, piece.byteOffset, piece.length + size);
      this.#room = this.#room.subarray(size);
      return;
    }
    const block = this.#blockFor(size);
    buffer.copy(block, 0, start, end);
    this.pieces.push(block.subarray(0, size));
    this.#room = block.subarray(size);
  }

  /** Takes bytes off the first piece, as many as it has at most. */
  consume(bytes: number): void {
    const [first] = this.pieces;
    if (first === undefined) return;
    this.length -= bytes;
    if (bytes < first.length) this.pieces[0] = first.subarray(bytes);
    else this.pieces.shift();
  }

  /** What was in `pieces` may be overwritten by the next `add`. */
  clear(): void {
    if (this.pieces.length > 0) this.pieces = [];
    this.length = 0;
    this.#room = undefined;
    this.#blockUsed = false;
  }

  #blockFor(size: number): Buffer {
    if (this.#blockUsed || size > BLOCK) return Buffer.allocUnsafeSlow(Math.max(size, BLOCK));
    this.#blockUsed = true;
    return (this.#block ??= Buffer.allocUnsafeSlow(BLOCK));
  }
}
