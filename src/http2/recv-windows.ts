/** How much a peer may send on a connection and on its streams, and when it may send more (RFC 9113, 5.2 and 6.9). */
import type { FrameWriter } from './frame-writer.ts';
import type { Http2Limits } from './limits.ts';
import type { Stream } from './stream.ts';

export class RecvWindows {
  readonly #limits: Pick<Http2Limits, 'streamWindow' | 'connectionWindow'>;
  readonly #writer: FrameWriter;
  #window: number;
  /** Bytes consumed that the peer has not been told of. */
  #credit = 0;

  constructor(limits: Pick<Http2Limits, 'streamWindow' | 'connectionWindow'>, writer: FrameWriter) {
    this.#limits = limits;
    this.#writer = writer;
    this.#window = limits.connectionWindow;
  }

  /** DATA has come, for whatever stream; false = more than it may be. */
  arrived(bytes: number): boolean {
    this.#window -= bytes;
    return this.#window >= 0;
  }

  /** The same for its stream. */
  arrivedOn(stream: Stream, bytes: number): boolean {
    stream.recvWindow -= bytes;
    return stream.recvWindow >= 0;
  }

  /** What came is taken: a window is told anew by halves. */
  consumed(stream: Stream, bytes: number): void {
    stream.held -= bytes;
    this.giveBack(bytes);
    stream.credit += bytes;
    if (stream.remoteEnded || stream.credit * 2 < this.#limits.streamWindow) return;
    this.#writer.windowUpdate(stream.id, stream.credit);
    stream.recvWindow += stream.credit;
    stream.credit = 0;
  }

  /** The stream is over: what of it nobody has taken the connection gets back. */
  leave(stream: Stream): void {
    this.giveBack(stream.held);
    stream.held = 0;
  }

  /** The same for what belongs to no stream. */
  giveBack(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit * 2 < this.#limits.connectionWindow) return;
    this.#writer.windowUpdate(0, this.#credit);
    this.#window += this.#credit;
    this.#credit = 0;
  }
}
