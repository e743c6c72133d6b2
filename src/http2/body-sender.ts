/** Sends the body of one message on its stream: what the peer's windows do not let through yet waits here. */
import { HeldBytes } from '../http1/held-bytes.ts';
import type { Connection } from './connection.ts';
import type { Stream } from './stream.ts';

const NOTHING: Buffer = Buffer.alloc(0);

/** Reused for message after message. */
export class BodySender<S extends Stream> {
  /** Bytes of data so far, those that wait included. */
  bytes = 0;
  #codec: Connection<S> | undefined;
  #stream: S | undefined;
  /** The last part, not sent yet, so that END_STREAM may go with it; valid until `flush`. */
  #part = NOTHING;
  #start = 0;
  #stop = 0;
  readonly #waiting = new HeldBytes();
  #trailers = '';
  #ended = false;

  open(codec: Connection<S>, stream: S): void {
    this.#codec = codec;
    this.#stream = stream;
    this.bytes = 0;
    this.#trailers = '';
    this.#ended = false;
  }

  /** The stream is over, or shall be. */
  close(): void {
    this.#codec = undefined;
    this.#stream = undefined;
    this.#part = NOTHING;
    this.#start = this.#stop = 0;
    this.#waiting.clear();
  }

  /** There are bytes that the windows hold back. */
  get blocked(): boolean {
    return !this.#waiting.isEmpty;
  }

  /** Nothing more will come, and everything is on its way. */
  get done(): boolean {
    return this.#ended && !this.blocked;
  }

  /** The head of the message has ended the stream. */
  skip(): void {
    this.#ended = true;
  }

  /** A range of a buffer that may change after `flush`. */
  add(buffer: Buffer, start: number, end: number): void {
    this.#sendPart(false);
    this.bytes += end - start;
    this.#part = buffer;
    this.#start = start;
    this.#stop = end;
  }

  /** `trailers`: lines that each end in CR LF. */
  end(trailers: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#trailers = trailers;
    if (trailers === '' && this.#start < this.#stop) return this.#sendPart(true);
    this.#sendPart(false);
    if (!this.blocked) this.#sendEnd();
  }

  flush(): void {
    this.#sendPart(false);
  }

  /** There is room in the windows again. */
  drain(): void {
    const waiting = this.#waiting;
    for (let [bytes] = waiting.pieces; bytes !== undefined; [bytes] = waiting.pieces) {
      const last = this.#ended && this.#trailers === '' && bytes.length === waiting.length;
      const sent = this.#send(bytes, 0, bytes.length, last);
      waiting.consume(sent);
      if (sent < bytes.length || last) return;
      if (this.#ended && waiting.isEmpty) this.#sendEnd();
    }
  }

  #sendPart(last: boolean): void {
    const [part, start, stop] = [this.#part, this.#start, this.#stop];
    if (start === stop) return;
    this.#part = NOTHING;
    this.#start = this.#stop = 0;
    const sent = this.blocked ? 0 : this.#send(part, start, stop, last);
    this.#waiting.add(part, start + sent, stop);
  }

  #send(buffer: Buffer, start: number, stop: number, last: boolean): number {
    if (this.#codec === undefined || this.#stream === undefined) return stop - start;
    return this.#codec.send(this.#stream, buffer, start, stop, last);
  }

  #sendEnd(): void {
    if (this.#codec === undefined || this.#stream === undefined) return;
    this.#codec.end(this.#stream, this.#trailers);
  }
}
