/**
 * From the fields of a response to the `ResponseHead` that HTTP/1 has too (RFC 9113, 8.3.2), in the pass that decodes
 * them, so that `responseText`, `issueToken` and the response writer take it as it is.
 */
import { joinValues } from '../http1/fields.ts';
import { readLength } from '../http1/framing.ts';
import { COOKIE as COOKIE_MARK } from '../http1/marks.ts';
import { ResponseHead } from '../http1/response-head.ts';
import { ERRORS } from './error.ts';
import type { Http2Error } from './error.ts';
import { fieldFault } from './field-fault.ts';
import type { FieldSink } from './hpack/decoder.ts';
import type { Field } from './hpack/field.ts';
import * as kinds from './hpack/kinds.ts';
import type { Http2Limits } from './limits.ts';

const STATUS = /^[1-9][0-9][0-9]$/;

/** Before the first response. */
const NO_HEAD = new ResponseHead();

export class ResponseReader implements FieldSink {
  /** Names that must not be indexed further on (RFC 7541, 6.2.3). */
  readonly never: string[] = [];
  #head = NO_HEAD;
  readonly #limits: Http2Limits;
  #fault: Http2Error | undefined;
  #size = 0;
  #fields = 0;
  #open = false;

  constructor(limits: Http2Limits) {
    this.#limits = limits;
  }

  begin(head: ResponseHead): void {
    head.reset();
    this.#head = head;
    this.#fault = undefined;
    if (this.never.length > 0) this.never.length = 0;
    this.#size = this.#fields = 0;
    this.#open = false;
  }

  onField(field: Field): void {
    this.#size += field.size;
    if (this.#fault !== undefined) return;
    if (kinds.isPseudo(field.kind)) {
      this.#status(field);
      return;
    }
    if (field.never) this.never.push(field.name);
    if (!this.#open) this.#fault = ERRORS.missingPseudo;
    else if (this.#size > this.#limits.headerList || ++this.#fields > this.#limits.headers) {
      this.#fault = ERRORS.listTooLarge;
    } else if (field.kind === kinds.OTHER) this.#head.text += field.line;
    else this.#special(field);
  }

  /** The head is complete. `method`: the request's, since answers to HEAD have no body. */
  finish(endStream: boolean, method: string): Http2Error | undefined {
    if (this.#fault !== undefined) return this.#fault;
    if (!this.#open) return ERRORS.missingPseudo;
    const head = this.#head;
    head.text += '\r\n';
    // 8.1: an interim response ends nothing. 8.6: there is no 101.
    if (head.status < 200 && (endStream || head.status === 101)) return ERRORS.badStatus;
    head.bodyless = method === 'HEAD' || head.status < 200 || head.status === 204 || head.status === 304;
    if (endStream && !head.bodyless) {
      if (head.contentLength > 0) return ERRORS.lengthMismatch;
      if (head.contentLength < 0) this.#empty(head);
    }
    head.last = endStream;
    head.chunked = !endStream && !head.bodyless && head.contentLength < 0;
    return undefined;
  }

  /** HTTP/1 has to say that there is no body. */
  #empty(head: ResponseHead): void {
    head.contentLength = 0;
    head.text = `${head.text.slice(0, -2)}content-length: 0\r\n\r\n`;
  }

  #status(field: Field): void {
    if (this.#open || field.kind !== kinds.STATUS) {
      this.#fault = ERRORS.badPseudo;
      return;
    }
    if (!STATUS.test(field.value)) {
      this.#fault = ERRORS.badStatus;
      return;
    }
    this.#open = true;
    const head = this.#head;
    head.status = Number(field.value);
    head.text = `HTTP/1.1 ${field.value} \r\n`;
    head.linesStart = head.text.length;
  }

  #special(field: Field): void {
    const head = this.#head;
    const { kind, value } = field;
    this.#fault = fieldFault(kind);
    if (this.#fault !== undefined) return;
    switch (kind) {
      case kinds.DROP:
      case kinds.TE:
        return;
      case kinds.CONTENT_LENGTH:
        if (head.contentLength >= 0 || readLength(value) < 0) this.#fault = ERRORS.badContentLength;
        // RFC 9110, 8.6: must not be sent in 1xx and 204, so it is left out.
        else if (head.status >= 200 && head.status !== 204) {
          head.contentLength = readLength(value);
          break;
        }
        return;
      case kinds.SET_COOKIE: {
        const at = head.text.length;
        head.marks.add(at, at + field.name.length, at + field.line.length, COOKIE_MARK);
        break;
      }
      case kinds.SERVER:
        head.hasServer = true;
        break;
      case kinds.DATE:
        head.hasDate = true;
        break;
      case kinds.EXPIRES:
        head.hasExpires = true;
        break;
      case kinds.CACHE_CONTROL:
        head.cacheControl = joinValues(head.cacheControl, value);
        break;
      case kinds.LOCATION:
        head.location = value;
        break;
    }
    head.text += field.line;
  }
}
