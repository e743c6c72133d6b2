/** Finds the end of a body and hands its bytes on: by length, chunked (RFC 9112, 7.1), or until the connection ends. */
import type { Collector } from './collector.ts';
import { BARE_LF, MORE, TOO_LONG } from './collector.ts';
import { ERRORS } from './error.ts';
import type { Http1Error } from './error.ts';
import { checkTrailers, TOKEN_BYTES } from './grammar.ts';
import { CHUNK_EXTENSION_LIMIT } from './limits.ts';
import type { HeadLimits } from './limits.ts';
import { filterTrailers } from './trailers.ts';

export interface BodySink {
  /** The range is valid only during the call: copy what is kept. */
  onBody(buffer: Buffer, start: number, end: number): void;
  /** Lines that may be forwarded, each ending in CR LF; never empty. */
  onTrailers(lines: string): void;
}

const BY_LENGTH = 0;
const UNTIL_CLOSE = 1;
// States of a chunked body, in the order in which they are met.
const SIZE = 2;
const EXT_NAME_START = 3;
const EXT_NAME = 4;
const EXT_VALUE_START = 5;
const EXT_TOKEN = 6;
const EXT_QUOTED = 7;
const EXT_ESCAPED = 8;
const EXT_AFTER_QUOTED = 9;
const SIZE_LF = 10;
const DATA = 11;
const DATA_CR = 12;
const DATA_LF = 13;
const TRAILERS = 14;

/** A size of more digits is an attack even when they are zeros. */
const MAX_DIGITS = 16;

export class BodyReader {
  done = true;
  error: Http1Error | undefined = undefined;
  /** Set by the parser when its owner has detached it: nothing more is read. */
  stopped = false;
  private state = BY_LENGTH;
  /** Bytes left of the body or of the current chunk; the size while it is being read. */
  private left = 0;
  private digits = 0;
  private extension = 0;
  private readonly limits: HeadLimits;
  /** Shared with the head, which is complete by now. */
  private readonly collector: Collector;

  constructor(limits: HeadLimits, collector: Collector) {
    this.limits = limits;
    this.collector = collector;
  }

  beginLength(length: number): void {
    this.begin(BY_LENGTH);
    this.left = length;
    this.done = length === 0;
  }

  beginChunked(): void {
    this.begin(SIZE);
  }

  beginUntilClose(): void {
    this.begin(UNTIL_CLOSE);
  }

  /** True when only the end of the connection ends this body. */
  get untilClose(): boolean {
    return this.state === UNTIL_CLOSE;
  }

  /** Returns the index up to which it consumed; look at `done` and `error` afterwards. */
  read(buffer: Buffer, start: number, end: number, sink: BodySink): number {
    if (this.state === BY_LENGTH) {
      const stop = Math.min(end, start + this.left);
      this.left -= stop - start;
      if (this.left === 0) this.done = true;
      if (stop > start) sink.onBody(buffer, start, stop);
      return stop;
    }
    if (this.state === UNTIL_CLOSE) {
      if (end > start) sink.onBody(buffer, start, end);
      return end;
    }
    return this.readChunked(buffer, start, end, sink);
  }

  private begin(state: number): void {
    this.state = state;
    this.done = false;
    this.error = undefined;
    this.stopped = false;
    this.left = 0;
    this.digits = 0;
    this.extension = 0;
  }

  private readChunked(buffer: Buffer, start: number, end: number, sink: BodySink): number {
    let at = start;
    while (at < end && !this.done && !this.stopped && this.error === undefined) {
      if (this.state === DATA) {
        const stop = Math.min(end, at + this.left);
        const from = at;
        this.left -= stop - at;
        if (this.left === 0) this.state = DATA_CR;
        at = stop;
        sink.onBody(buffer, from, stop);
      } else if (this.state === TRAILERS) at = this.readTrailers(buffer, at, end, sink);
      else this.step(buffer[at++] ?? 0);
    }
    return at;
  }

  /** One byte between the data of two chunks. */
  private step(byte: number): void {
    switch (this.state) {
      case SIZE:
        return this.stepSize(byte);
      case SIZE_LF:
        if (byte !== 10) return this.fail(ERRORS.badChunkSize);
        return this.endSizeLine();
      case DATA_CR:
        if (byte !== 13) return this.fail(ERRORS.badChunkEnd);
        this.state = DATA_LF;
        return;
      case DATA_LF:
        if (byte !== 10) return this.fail(ERRORS.badChunkEnd);
        this.state = SIZE;
        return;
      default:
        if (++this.extension > CHUNK_EXTENSION_LIMIT) return this.fail(ERRORS.badChunkExtension);
        return this.stepExtension(byte);
    }
  }

  private stepSize(byte: number): void {
    const value = hexValue(byte);
    if (value >= 0) {
      this.left = this.left * 16 + value;
      if (++this.digits > MAX_DIGITS || this.left > Number.MAX_SAFE_INTEGER) this.fail(ERRORS.badChunkSize);
    } else if (this.digits === 0) this.fail(ERRORS.badChunkSize);
    else if (byte === 13) this.state = SIZE_LF;
    else if (byte === 59) this.state = EXT_NAME_START;
    else this.fail(ERRORS.badChunkSize);
  }

  private endSizeLine(): void {
    this.digits = 0;
    this.extension = 0;
    if (this.left > 0) this.state = DATA;
    else {
      this.state = TRAILERS;
      this.collector.reset('\r\n');
    }
  }

  /** chunk-ext = *( ";" token [ "=" ( token / quoted-string ) ] ), without the bad white space of RFC 9112, 7.1.1. */
  private stepExtension(byte: number): void {
    const token = TOKEN_BYTES[byte] === 1;
    switch (this.state) {
      case EXT_NAME_START:
        if (!token) return this.fail(ERRORS.badChunkExtension);
        this.state = EXT_NAME;
        return;
      case EXT_NAME:
        if (byte === 61) this.state = EXT_VALUE_START;
        else if (!token) this.endExtension(byte);
        return;
      case EXT_VALUE_START:
        if (byte === 34) this.state = EXT_QUOTED;
        else if (token) this.state = EXT_TOKEN;
        else this.fail(ERRORS.badChunkExtension);
        return;
      case EXT_TOKEN:
        if (!token) this.endExtension(byte);
        return;
      case EXT_QUOTED:
        if (byte === 34) this.state = EXT_AFTER_QUOTED;
        else if (byte === 92) this.state = EXT_ESCAPED;
        else if (!isText(byte)) this.fail(ERRORS.badChunkExtension);
        return;
      case EXT_ESCAPED:
        if (!isText(byte)) return this.fail(ERRORS.badChunkExtension);
        this.state = EXT_QUOTED;
        return;
      default:
        return this.endExtension(byte);
    }
  }

  private endExtension(byte: number): void {
    if (byte === 13) this.state = SIZE_LF;
    else if (byte === 59) this.state = EXT_NAME_START;
    else this.fail(ERRORS.badChunkExtension);
  }

  private readTrailers(buffer: Buffer, start: number, end: number, sink: BodySink): number {
    const at = this.collector.take(buffer, start, end, this.limits.head);
    if (at === MORE) return end;
    if (at === BARE_LF || at === TOO_LONG) {
      this.fail(at === BARE_LF ? ERRORS.bareLf : ERRORS.trailersTooLarge);
      return end;
    }
    const text = this.collector.text;
    this.collector.reset();
    const fault = checkTrailers(text);
    if (fault !== undefined) {
      this.fail(fault);
      return at;
    }
    const lines = filterTrailers(text, this.limits.headers);
    if (lines === undefined) this.fail(ERRORS.trailersTooLarge);
    else {
      this.done = true;
      if (lines !== '') sink.onTrailers(lines);
    }
    return at;
  }

  private fail(fault: Http1Error): void {
    this.error = fault;
  }
}

function hexValue(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** HTAB, SP, VCHAR or obs-text. */
function isText(byte: number): boolean {
  return byte === 9 || (byte >= 32 && byte !== 127);
}
