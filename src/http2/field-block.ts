/** A field block that goes on in CONTINUATION frames (RFC 9113, 4.3 and 6.10), within bounds (10.5.1). */
import { ERRORS } from './error.ts';
import type { Http2Error } from './error.ts';
import type { Http2Limits } from './limits.ts';

export class FieldBlock {
  /** The stream whose block is being assembled; 0 = none. */
  id = 0;
  endStream = false;
  dependency = -1;
  bytes = Buffer.alloc(0);
  readonly #limits: Pick<Http2Limits, 'block' | 'continuations'>;
  #frames = 0;

  constructor(limits: Pick<Http2Limits, 'block' | 'continuations'>) {
    this.#limits = limits;
  }

  /** HEADERS without END_HEADERS; `first` is copied. */
  begin(id: number, endStream: boolean, dependency: number, first: Buffer): void {
    this.id = id;
    this.endStream = endStream;
    this.dependency = dependency;
    this.bytes = Buffer.from(first);
    this.#frames = 0;
  }

  /** `more` is copied. */
  add(more: Buffer): Http2Error | undefined {
    if (++this.#frames > this.#limits.continuations) return ERRORS.tooManyContinuations;
    if (this.bytes.length + more.length > this.#limits.block) return ERRORS.blockTooLarge;
    this.bytes = Buffer.concat([this.bytes, more]);
    return undefined;
  }

  /** Gives the whole block away. */
  take(): Buffer {
    const { bytes } = this;
    this.bytes = Buffer.alloc(0);
    this.id = 0;
    return bytes;
  }
}
