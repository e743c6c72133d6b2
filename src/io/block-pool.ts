/**
 * Recycled write buffers. A body is copied out of the shared read buffer into a block, written, and the block comes
 * back when the kernel has it: streaming 100 MB makes no garbage (64 KiB Buffers left to the collector grow the
 * process by tens of MB before it runs).
 */

/** A whole read (64 KiB) and the head or chunk framing that goes out with it. */
export const BLOCK_BYTES = 64 * 1024 + 20 * 1024;
/** Blocks kept for reuse: 5 MiB a worker. */
const KEPT = 64;

export class BlockPool {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
  }

  give(block: Buffer): void {
    if (this.#free.length < KEPT) this.#free.push(block);
  }
}
