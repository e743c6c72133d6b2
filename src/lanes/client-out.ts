/** Where responses go, as far as what makes them knows: an HTTP/1 connection, or a stream of HTTP/2. */
import { CHUNK_END, chunkHeader, lastChunk } from '../http1/chunks.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { framingFor } from '../http1/serialize.ts';
import type { Framing } from '../http1/serialize.ts';
import type { Outbox } from '../io/outbox.ts';
import type { Turn } from '../io/turn.ts';

export interface ClientOut {
  /** Bytes that it was given so far, its own framing included. */
  readonly bytes: number;
  /** How a response has to be framed for a client of HTTP/1.`minor`; `stream` = not at all. */
  framing(head: ResponseHead, minor: number): Framing;
  /** A 1xx, as text. */
  interim(text: string): void;
  /** The final head as text. `empty`: of a body nothing will come. */
  head(text: string, framing: Framing, empty: boolean): void;
  /** A range of a buffer that may change after `flush`. */
  body(buffer: Buffer, start: number, end: number): void;
  /** `trailers`: lines that each end in CR LF. */
  end(trailers: string): void;
  /** An answer of our own: head and body as text. */
  answer(text: string): void;
  /**
   * Sends what the turn has brought. False = there is more to send than there should be: wait for the drain.
   * @param now for whoever ends the connection next, or gives it to somebody else who writes to it
   */
  flush(now?: boolean): boolean;
}

export class Http1Out implements ClientOut {
  readonly #outbox: Outbox;
  readonly #writes: Turn;
  #chunked = false;

  constructor(outbox: Outbox, writes: Turn) {
    this.#outbox = outbox;
    this.#writes = writes;
  }

  get bytes(): number {
    return this.#outbox.bytes;
  }

  framing(head: ResponseHead, minor: number): Framing {
    return framingFor(head, minor);
  }

  interim(text: string): void {
    this.#outbox.text(text);
  }

  head(text: string, framing: Framing, empty: boolean): void {
    this.#chunked = !empty && framing === 'chunked';
    this.#outbox.text(text);
  }

  body(buffer: Buffer, start: number, end: number): void {
    if (this.#chunked) this.#outbox.text(chunkHeader(end - start));
    this.#outbox.range(buffer, start, end);
    if (this.#chunked) this.#outbox.text(CHUNK_END);
  }

  end(trailers: string): void {
    if (this.#chunked) this.#outbox.text(lastChunk(trailers));
  }

  answer(text: string): void {
    this.#outbox.text(text);
  }

  flush(now = false): boolean {
    return now ? this.#outbox.flush() : this.#outbox.flushIn(this.#writes);
  }
}
