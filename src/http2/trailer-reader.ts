/** The field section at the end of a message (RFC 9113, 8.1), as the lines that HTTP/1 forwards. */
import { filterTrailers } from '../http1/trailers.ts';
import { ERRORS } from './error.ts';
import type { Http2Error } from './error.ts';
import { fieldFault } from './field-fault.ts';
import type { FieldSink } from './hpack/decoder.ts';
import type { Field } from './hpack/field.ts';
import * as kinds from './hpack/kinds.ts';
import type { Http2Limits } from './limits.ts';

export class TrailerReader implements FieldSink {
  readonly #limits: Http2Limits;
  #fault: Http2Error | undefined;
  #text = '';
  #size = 0;

  constructor(limits: Http2Limits) {
    this.#limits = limits;
  }

  begin(): void {
    this.#fault = undefined;
    this.#text = '';
    this.#size = 0;
  }

  onField(field: Field): void {
    this.#size += field.size;
    if (this.#fault !== undefined) return;
    const { kind } = field;
    this.#fault = kinds.isPseudo(kind) ? ERRORS.badPseudo : fieldFault(kind);
    if (this.#fault !== undefined) return;
    if (this.#size > this.#limits.headerList) this.#fault = ERRORS.listTooLarge;
    else this.#text += field.line;
  }

  /** Lines that may be forwarded, each ending in CR LF, or the fault. */
  finish(): string | Http2Error {
    return this.#fault ?? filterTrailers(`${this.#text}\r\n`, this.#limits.headers) ?? ERRORS.listTooLarge;
  }
}

/** For field blocks that are decoded only because the tables of both sides must stay the same. */
export const NOBODY: FieldSink = { onField: () => undefined };
