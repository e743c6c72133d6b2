/** Sans-io parser of frames (RFC 9113, 4 and 6): bytes in pieces of any size in, whole frames and ranges of DATA out. */
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  GOAWAY,
  HEADERS,
  MAX_31,
  MAX_FRAME,
  PADDED,
  PING,
  PREFACE,
  PRIORITY,
  PRIORITY_FLAG,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './constants.ts';
import { ERRORS } from './error.ts';
import type { Http2Error } from './error.ts';
import { FieldBlock } from './field-block.ts';
import { frameFault } from './frame-rules.ts';
import type { Http2Limits } from './limits.ts';

/** Ranges of a buffer are valid during the call. Stream identifiers are above 0 unless said otherwise. */
export interface FrameSink {
  /** A DATA frame begins. `length`: all that counts for flow control; `padding`: how much of it is no data. */
  onDataBegin(id: number, length: number, padding: number, endStream: boolean): void;
  /** Some of its data, at least one byte. */
  onDataRange(buffer: Buffer, start: number, end: number): void;
  onDataEnd(): void;
  /** A field block, CONTINUATIONs included. `dependency`: the stream that the PRIORITY fields name, -1 = none. */
  onFieldBlock(id: number, endStream: boolean, dependency: number, buffer: Buffer, start: number, end: number): void;
  onPriority(id: number, dependency: number): void;
  onReset(id: number, code: number): void;
  /** Entries of 6 bytes. */
  onSettings(buffer: Buffer, start: number, end: number): void;
  onSettingsAck(): void;
  /** 8 bytes at `start`. */
  onPing(buffer: Buffer, start: number): void;
  onGoaway(lastId: number, code: number): void;
  /** `id` 0 = the connection's window. */
  onWindowUpdate(id: number, increment: number): void;
  /** A frame of a type that RFC 9113 does not know. */
  onUnknown(): void;
  /** Of the connection: nothing is consumed afterwards. Of a stream: it goes on. */
  onFrameError(id: number, error: Http2Error): void;
}

const IN_PREFACE = 0;
const IN_HEADER = 1;
const IN_PAYLOAD = 2;
const IN_PAD_LENGTH = 3;
const IN_DATA = 4;
const IN_PADDING = 5;
const DEAD = 6;

export class FrameParser {
  readonly #sink: FrameSink;
  readonly #fromClient: boolean;
  #state: number;
  /** Bytes seen of the preface. */
  #preface = 0;
  #settingsSeen = false;
  // The frame being read.
  #type = 0;
  #flags = 0;
  #id = 0;
  /** Bytes of its payload, and of DATA those that are still to come, without padding. */
  #length = 0;
  #left = 0;
  #padding = 0;
  /** A frame header or payload that came in pieces. */
  #pending: Buffer | undefined;
  #pendingLength = 0;
  readonly #block: FieldBlock;
  /** Frames begun, field blocks counted once. */
  #frames = 0;

  /** @param from who sends: a client begins with the preface */
  constructor(sink: FrameSink, limits: Pick<Http2Limits, 'block' | 'continuations'>, from: 'client' | 'server') {
    this.#sink = sink;
    this.#block = new FieldBlock(limits);
    this.#fromClient = from === 'client';
    this.#state = this.#fromClient ? IN_PREFACE : IN_HEADER;
  }

  /** The number of the frame or field block that is there in part; 0 = none, or DATA. A slow sender's stays the same. */
  get partial(): number {
    return this.#pendingLength > 0 || this.#state === IN_PAYLOAD || this.#block.id !== 0 ? this.#frames : 0;
  }

  /** Nothing is consumed from now on. */
  stop(): void {
    this.#state = DEAD;
    this.#pending = undefined;
    this.#block.take();
  }

  execute(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end && this.#state !== DEAD) at = this.#step(buffer, at, end);
  }

  #step(buffer: Buffer, at: number, end: number): number {
    switch (this.#state) {
      case IN_HEADER:
        return this.#readHeader(buffer, at, end);
      case IN_PAYLOAD:
        return this.#readPayload(buffer, at, end);
      case IN_DATA:
        return this.#readData(buffer, at, end);
      case IN_PADDING:
        return this.#skipPadding(at, end);
      case IN_PAD_LENGTH:
        this.#beginData(buffer[at]! + 1);
        return at + 1;
      default:
        return this.#readPreface(buffer, at, end);
    }
  }

  #readPreface(buffer: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && this.#preface < PREFACE.length) {
      if (buffer[at++] !== PREFACE[this.#preface++]) return this.#fail(ERRORS.badPreface, end);
    }
    if (this.#preface === PREFACE.length) this.#state = IN_HEADER;
    return at;
  }

  #readHeader(buffer: Buffer, at: number, end: number): number {
    if (this.#pending === undefined && end - at >= FRAME_HEADER) {
      this.#begin(buffer, at);
      return at + FRAME_HEADER;
    }
    const stop = this.#collect(buffer, at, end, FRAME_HEADER);
    if (this.#pendingLength === FRAME_HEADER) this.#begin(this.#takePending(), 0);
    return stop;
  }

  #collect(buffer: Buffer, at: number, end: number, wanted: number): number {
    this.#pending ??= Buffer.allocUnsafe(wanted);
    const copied = buffer.copy(
      this.#pending,
      this.#pendingLength,
      at,
      Math.min(end, at + wanted - this.#pendingLength),
    );
    this.#pendingLength += copied;
    return at + copied;
  }

  #takePending(): Buffer {
    const pending = this.#pending!;
    this.#pending = undefined;
    this.#pendingLength = 0;
    return pending;
  }

  /** A frame's header is there. */
  #begin(buffer: Buffer, at: number): void {
    this.#length = (buffer[at]! << 16) | (buffer[at + 1]! << 8) | buffer[at + 2]!;
    this.#type = buffer[at + 3]!;
    this.#flags = buffer[at + 4]!;
    this.#id = buffer.readUInt32BE(at + 5) & MAX_31;
    if (this.#block.id === 0) this.#frames++;
    const fault = this.#headerFault();
    if (fault !== undefined) this.#fail(fault, 0);
    else if (this.#type === DATA) {
      if ((this.#flags & PADDED) !== 0) this.#state = IN_PAD_LENGTH;
      else this.#beginData(0);
    } else if (this.#type > CONTINUATION) {
      this.#left = 0;
      this.#padding = this.#length;
      this.#state = this.#length === 0 ? IN_HEADER : IN_PADDING;
      this.#sink.onUnknown();
    } else if (this.#length === 0) {
      this.#state = IN_HEADER;
      this.#dispatch(buffer, 0, 0);
    } else this.#state = IN_PAYLOAD;
  }

  #headerFault(): Http2Error | undefined {
    const type = this.#type;
    const id = this.#id;
    if (!this.#settingsSeen) {
      if (type !== SETTINGS || (this.#flags & ACK) !== 0) return ERRORS.settingsFirst;
      this.#settingsSeen = true;
    }
    const block = this.#block.id;
    if (block !== 0 && (type !== CONTINUATION || id !== block) && this.#length <= MAX_FRAME) {
      return ERRORS.expectsContinuation;
    }
    const fault = frameFault(type, this.#flags, id, this.#length, this.#fromClient);
    return fault === undefined && type === CONTINUATION && block === 0 ? ERRORS.strayContinuation : fault;
  }

  /** `padding`: the padding and the byte that says how long it is. */
  #beginData(padding: number): void {
    if (padding > this.#length) {
      this.#fail(ERRORS.badPadding, 0);
      return;
    }
    this.#left = this.#length - padding;
    this.#padding = Math.max(padding - 1, 0);
    this.#state = this.#left > 0 ? IN_DATA : IN_PADDING;
    this.#sink.onDataBegin(this.#id, this.#length, padding, (this.#flags & END_STREAM) !== 0);
    if (this.#left === 0 && this.#padding === 0) this.#endData();
  }

  #readData(buffer: Buffer, at: number, end: number): number {
    const stop = Math.min(end, at + this.#left);
    this.#left -= stop - at;
    if (this.#left === 0) this.#state = IN_PADDING;
    this.#sink.onDataRange(buffer, at, stop);
    if (this.#left === 0 && this.#padding === 0) this.#endData();
    return stop;
  }

  /** The rest of DATA, or of a frame of unknown type. */
  #skipPadding(at: number, end: number): number {
    const stop = Math.min(end, at + this.#padding);
    this.#padding -= stop - at;
    if (this.#padding === 0) this.#endData();
    return stop;
  }

  #endData(): void {
    if (this.#state === DEAD) return;
    this.#state = IN_HEADER;
    if (this.#type === DATA) this.#sink.onDataEnd();
  }

  #readPayload(buffer: Buffer, at: number, end: number): number {
    if (this.#pending === undefined && end - at >= this.#length) {
      this.#state = IN_HEADER;
      this.#dispatch(buffer, at, at + this.#length);
      return at + this.#length;
    }
    const stop = this.#collect(buffer, at, end, this.#length);
    if (this.#pendingLength === this.#length) {
      const payload = this.#takePending();
      this.#state = IN_HEADER;
      this.#dispatch(payload, 0, payload.length);
    }
    return stop;
  }

  #dispatch(buffer: Buffer, start: number, end: number): void {
    const id = this.#id;
    switch (this.#type) {
      case HEADERS:
        this.#headers(buffer, start, end);
        break;
      case CONTINUATION:
        this.#continue(buffer, start, end);
        break;
      case PRIORITY:
        if (end - start === 5) this.#sink.onPriority(id, buffer.readUInt32BE(start) & MAX_31);
        else this.#sink.onFrameError(id, ERRORS.badPrioritySize);
        break;
      case RST_STREAM:
        this.#sink.onReset(id, buffer.readUInt32BE(start));
        break;
      case SETTINGS:
        if ((this.#flags & ACK) !== 0) this.#sink.onSettingsAck();
        else this.#sink.onSettings(buffer, start, end);
        break;
      case PING:
        // We send none, so there is nothing that an ACK could say.
        if ((this.#flags & ACK) === 0) this.#sink.onPing(buffer, start);
        else this.#sink.onUnknown();
        break;
      case GOAWAY:
        this.#sink.onGoaway(buffer.readUInt32BE(start) & MAX_31, buffer.readUInt32BE(start + 4));
        break;
      case WINDOW_UPDATE:
        this.#sink.onWindowUpdate(id, buffer.readUInt32BE(start) & MAX_31);
        break;
    }
  }

  #headers(buffer: Buffer, start: number, end: number): void {
    const flags = this.#flags;
    let at = start;
    let stop = end;
    if ((flags & PADDED) !== 0) stop -= buffer[at++]!;
    let dependency = -1;
    if ((flags & PRIORITY_FLAG) !== 0) {
      dependency = buffer.readUInt32BE(at) & MAX_31;
      at += 5;
    }
    if (stop < at) {
      this.#fail(ERRORS.badPadding, 0);
      return;
    }
    const endStream = (flags & END_STREAM) !== 0;
    if ((flags & END_HEADERS) !== 0) {
      this.#sink.onFieldBlock(this.#id, endStream, dependency, buffer, at, stop);
      return;
    }
    this.#block.begin(this.#id, endStream, dependency, buffer.subarray(at, stop));
  }

  #continue(buffer: Buffer, start: number, end: number): void {
    const block = this.#block;
    const fault = block.add(buffer.subarray(start, end));
    if (fault !== undefined) {
      this.#fail(fault, 0);
      return;
    }
    if ((this.#flags & END_HEADERS) === 0) return;
    const { id, endStream, dependency } = block;
    const bytes = block.take();
    this.#sink.onFieldBlock(id, endStream, dependency, bytes, 0, bytes.length);
  }

  #fail(error: Http2Error, at: number): number {
    const id = this.#id;
    this.stop();
    this.#sink.onFrameError(id, error);
    return at;
  }
}
