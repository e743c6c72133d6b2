/**
 * From the fields of a request to the `RequestHead` that HTTP/1 has too (RFC 9113, 8.3.1), in the pass that decodes them:
 * its text is the request as HTTP/1.1 would have it, its marks are those that `readRequestHead` would have set. So
 * `Plan.match` and `decide`, `Forwarding.lines`, `requestText` and `ownAnswer` take it as it is.
 */
import { ERRORS as HTTP1 } from '../http1/error.ts';
import type { Http1Error } from '../http1/error.ts';
import { joinValues } from '../http1/fields.ts';
import { readLength } from '../http1/framing.ts';
import { COOKIE as COOKIE_MARK, DROP as DROP_MARK } from '../http1/marks.ts';
import { RequestHead } from '../http1/request-head.ts';
import { isAuthority } from '../http1/target.ts';
import { ERRORS } from './error.ts';
import type { Http2Error } from './error.ts';
import { fieldFault } from './field-fault.ts';
import type { FieldSink } from './hpack/decoder.ts';
import type { Field } from './hpack/field.ts';
import * as kinds from './hpack/kinds.ts';
import type { Http2Limits } from './limits.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** As in HTTP/1 (`grammar.ts`): what browsers send, without `#`. */
const PATH = /^\/[!"$-~]*$/;
const SCHEME = /^https?$/i;

/** Before the first request. */
const NO_HEAD = new RequestHead();

export class RequestReader implements FieldSink {
  /** What the request is refused with although it is well-formed: the lane answers. */
  refusal: Http1Error | undefined;
  /** The value of :protocol (RFC 8441), empty = none. */
  protocol = '';
  /** Names that must not be indexed further on (RFC 7541, 6.2.3). */
  readonly never: string[] = [];
  #head = NO_HEAD;
  #limits: Http2Limits;
  #fault: Http2Error | undefined;
  #method = '';
  #scheme = '';
  #path = '';
  #authority = '';
  #seen = 0;
  #cookies = '';
  #size = 0;
  #fields = 0;
  /** The pseudo-header fields are complete, and the head's text has its beginning. */
  #open = false;

  constructor(limits: Http2Limits) {
    this.#limits = limits;
  }

  /** Readies for a request that shall fill `head`. */
  begin(head: RequestHead): void {
    head.reset();
    this.#head = head;
    this.refusal = undefined;
    this.protocol = '';
    if (this.never.length > 0) this.never.length = 0;
    this.#fault = undefined;
    this.#method = this.#scheme = this.#path = this.#authority = this.#cookies = '';
    this.#seen = this.#size = this.#fields = 0;
    this.#open = false;
  }

  onField(field: Field): void {
    this.#size += field.size;
    this.#fields++;
    if (this.#fault !== undefined) return;
    const { kind } = field;
    if (kinds.isPseudo(kind)) {
      this.#pseudo(kind, field.value);
      return;
    }
    // What is too much is decoded, since the table needs it, and judged, but not kept.
    if (this.#size > this.#limits.headerList) this.refusal = HTTP1.headTooLarge;
    else if (this.#fields > this.#limits.headers) this.refusal = HTTP1.tooManyFields;
    if (!this.#open) this.#begin();
    if (field.never) this.never.push(field.name);
    if (kind !== kinds.OTHER) this.#special(field);
    else if (this.refusal === undefined) this.#head.text += field.line;
  }

  /** The head is complete. A fault makes it malformed (8.1.1); else see `refusal`. */
  finish(endStream: boolean): Http2Error | undefined {
    if (!this.#open && this.#fault === undefined) this.#begin();
    if (this.#fault !== undefined) return this.#fault;
    const head = this.#head;
    if (!head.hasHost) return ERRORS.missingPseudo;
    if (this.#cookies !== '') this.#mark(`cookie: ${this.#cookies}\r\n`, 6, COOKIE_MARK);
    head.text += '\r\n';
    if (this.protocol !== '') head.upgrade = this.protocol.toLowerCase();
    else if (endStream) {
      if (head.contentLength > 0) return ERRORS.lengthMismatch;
    } else head.chunked = head.contentLength < 0;
    if (head.target.length > this.#limits.target) this.refusal ??= HTTP1.targetTooLong;
    return undefined;
  }

  #pseudo(kind: number, value: string): void {
    const bit = 1 << kind;
    if (this.#open || (this.#seen & bit) !== 0) {
      this.#fault = ERRORS.badPseudo;
      return;
    }
    this.#seen |= bit;
    if (kind === kinds.METHOD) this.#method = value;
    else if (kind === kinds.SCHEME) this.#scheme = value;
    else if (kind === kinds.PATH) this.#path = value;
    else if (kind === kinds.AUTHORITY) this.#authority = value;
    else if (kind === kinds.PROTOCOL && this.#limits.extendedConnect) this.protocol = value;
    else this.#fault = ERRORS.badPseudo;
  }

  #has(kind: number): boolean {
    return (this.#seen & (1 << kind)) !== 0;
  }

  /** Judges the pseudo-header fields and begins the text. */
  #begin(): void {
    this.#open = true;
    this.#fault = this.#pseudoFault();
    if (this.#fault !== undefined) return;
    const head = this.#head;
    const tunnel = this.#method === 'CONNECT' && this.protocol === '';
    if (tunnel) this.refusal = HTTP1.connectMethod;
    // RFC 8441, 5: what HTTP/1.1 writes as GET with Upgrade.
    head.method = this.protocol === '' ? this.#method : 'GET';
    head.target = tunnel ? this.#authority : this.#path;
    head.authority = this.#authority;
    head.hasHost = this.#authority !== '';
    const line = `${head.method} ${head.target} HTTP/1.1\r\n`;
    head.linesStart = line.length;
    head.text = head.hasHost ? `${line}Host: ${head.authority}\r\n` : line;
  }

  #pseudoFault(): Http2Error | undefined {
    const method = this.#method;
    if (!this.#has(kinds.METHOD)) return ERRORS.missingPseudo;
    if (method !== 'GET' && method !== 'POST' && !TOKEN.test(method)) return ERRORS.badMethod;
    if (this.#has(kinds.AUTHORITY) && !isAuthority(this.#authority)) return ERRORS.badAuthority;
    if (method === 'CONNECT') return this.#connectFault();
    if (this.#has(kinds.PROTOCOL)) return ERRORS.badConnect;
    return this.#resourceFault();
  }

  /** 8.5; RFC 8441, 4. */
  #connectFault(): Http2Error | undefined {
    if (!this.#has(kinds.AUTHORITY)) return ERRORS.badConnect;
    if (!this.#has(kinds.PROTOCOL)) {
      return this.#has(kinds.SCHEME) || this.#has(kinds.PATH) ? ERRORS.badConnect : undefined;
    }
    return TOKEN.test(this.protocol) ? this.#resourceFault() : ERRORS.badConnect;
  }

  #resourceFault(): Http2Error | undefined {
    if (!this.#has(kinds.SCHEME) || !this.#has(kinds.PATH)) return ERRORS.missingPseudo;
    const scheme = this.#scheme;
    if (scheme !== 'https' && scheme !== 'http' && !SCHEME.test(scheme)) return ERRORS.badScheme;
    if (this.#path === '*' && this.#method === 'OPTIONS') return undefined;
    return PATH.test(this.#path) ? undefined : ERRORS.badPath;
  }

  /** A field that is more than a line to pass on. */
  #special(field: Field): void {
    const head = this.#head;
    const { kind, value } = field;
    const fault = fieldFault(kind);
    if (fault !== undefined) {
      this.#fault = fault;
      return;
    }
    switch (kind) {
      case kinds.DROP:
        return;
      case kinds.HOST:
        this.#host(field);
        return;
      case kinds.CONTENT_LENGTH:
        this.#contentLength(field);
        return;
      case kinds.TE:
        // 8.2.2
        if (value.toLowerCase() !== 'trailers') this.#fault = ERRORS.badTe;
        head.teTrailers = true;
        this.#drop(field);
        return;
      case kinds.COOKIE:
        // 8.2.3
        if (this.refusal === undefined && value !== '') {
          this.#cookies = this.#cookies === '' ? value : `${this.#cookies}; ${value}`;
        }
        return;
      case kinds.EXPECT:
        if (head.expectContinue || value.toLowerCase() !== '100-continue') this.refusal ??= HTTP1.badExpectation;
        else head.expectContinue = true;
        this.#keep(field);
        return;
      default:
        this.#forwarding(field);
    }
  }

  /** What we set ourselves; what the client said of it may count. Fields that mean something in responses only pass. */
  #forwarding(field: Field): void {
    const head = this.#head;
    const { value } = field;
    if (field.kind > kinds.X_FORWARDED_OTHER) {
      this.#keep(field);
      return;
    }
    if (field.kind === kinds.FORWARDED) head.forwarded = joinValues(head.forwarded, value);
    else if (field.kind === kinds.X_FORWARDED_FOR) head.xForwardedFor = joinValues(head.xForwardedFor, value);
    else if (field.kind === kinds.X_FORWARDED_PROTO) head.xForwardedProto = joinValues(head.xForwardedProto, value);
    else if (field.kind === kinds.X_REQUEST_ID) head.xRequestId = joinValues(head.xRequestId, value);
    this.#drop(field);
  }

  /** 8.3.1: Host may stand for :authority, but not differ from it. */
  #host(field: Field): void {
    const head = this.#head;
    if (head.hasHost) {
      if (field.value.toLowerCase() !== head.authority.toLowerCase()) this.#fault = ERRORS.hostMismatch;
      return;
    }
    if (!isAuthority(field.value)) {
      this.#fault = ERRORS.badAuthority;
      return;
    }
    head.hasHost = true;
    head.authority = field.value;
    this.#keep(field);
  }

  #contentLength(field: Field): void {
    const head = this.#head;
    const length = readLength(field.value);
    if (head.contentLength >= 0 || length < 0) this.#fault = ERRORS.badContentLength;
    // A tunnel has no body.
    if (this.protocol !== '') return;
    head.contentLength = length;
    this.#keep(field);
  }

  #keep(field: Field): void {
    if (this.refusal === undefined) this.#head.text += field.line;
  }

  #drop(field: Field): void {
    if (this.refusal === undefined) this.#mark(field.line, field.name.length, DROP_MARK);
  }

  #mark(line: string, colon: number, mark: number): void {
    const head = this.#head;
    const at = head.text.length;
    head.text += line;
    head.marks.add(at, at + colon, at + line.length, mark);
  }
}
