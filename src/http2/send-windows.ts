/** How much we may send on a connection and on its streams, and who goes on next when there is room (RFC 9113, 5.2 and 6.9). */
import { DEFAULT_WINDOW, MAX_31, MAX_FRAME } from './constants.ts';
import type { Stream } from './stream.ts';

export class SendWindows<S extends Stream> {
  #window = DEFAULT_WINDOW;
  /** Streams that want to send, in the order in which they may go on. */
  #waiting: S[] = [];
  #closed = false;
  readonly #onWritable: (stream: S) => void;

  constructor(onWritable: (stream: S) => void) {
    this.#onWritable = onWritable;
  }

  /** Bytes of the next DATA frame; 0 or less = none now. */
  room(stream: S): number {
    return Math.min(this.#window, stream.sendWindow, MAX_FRAME);
  }

  take(stream: S, bytes: number): void {
    this.#window -= bytes;
    stream.sendWindow -= bytes;
  }

  /** The stream has more to send than there is room. */
  wait(stream: S): void {
    if (!stream.blocked) this.#waiting.push(stream);
    stream.blocked = true;
  }

  /** The stream is over, or has nothing more to send. */
  leave(stream: S): void {
    if (!stream.blocked) return;
    stream.blocked = false;
    const at = this.#waiting.indexOf(stream);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** Nobody is woken any more. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
  }

  /** False = the window exceeds 2^31-1. */
  widen(increment: number): boolean {
    this.#window += increment;
    if (this.#window > MAX_31) return false;
    // Each once: who cannot send all stands at the end of the line again.
    const waiting = this.#waiting;
    this.#waiting = [];
    let next = 0;
    while (next < waiting.length && this.#window > 0 && !this.#closed) {
      const stream = waiting[next++]!;
      if (!stream.blocked) continue;
      if (stream.sendWindow > 0) this.#wake(stream);
      else this.#waiting.push(stream);
    }
    if (!this.#closed && next < waiting.length) this.#waiting = [...waiting.slice(next), ...this.#waiting];
    return true;
  }

  /** False = the window exceeds 2^31-1. */
  widenStream(stream: S, increment: number): boolean {
    stream.sendWindow += increment;
    if (stream.sendWindow > MAX_31) return false;
    if (stream.blocked && stream.sendWindow > 0 && this.#window > 0) {
      this.leave(stream);
      this.#wake(stream);
    }
    return true;
  }

  /** 6.9.2: a change of SETTINGS_INITIAL_WINDOW_SIZE counts for the streams that are open, too. False as above. */
  shift(streams: Iterable<S>, by: number): boolean {
    for (const stream of streams) {
      stream.sendWindow += by;
      if (stream.sendWindow > MAX_31) return false;
    }
    return this.widen(0);
  }

  #wake(stream: S): void {
    stream.blocked = false;
    this.#onWritable(stream);
  }
}
