/**
 * What both sides of a connection have in common (RFC 9113): settings, flow control, the streams and how they end.
 *
 * Sans-io: `execute` takes what was read, events go to the lane, frames to its blocks. The lane calls `flush` at the end
 * of each turn, and reads no more while its socket has too much to write, so that a peer that only asks and never reads
 * fills nothing.
 */
import { Abuse } from './abuse.ts';
import { ClosedStreams, ENDED, FORGOTTEN, RESET_BY_PEER, RESET_BY_US } from './closed-streams.ts';
import { DEFAULT_WINDOW, SETTING } from './constants.ts';
import { CODE, ERRORS } from './error.ts';
import type { Http2Error } from './error.ts';
import { FrameParser } from './frame-parser.ts';
import type { FrameSink } from './frame-parser.ts';
import { FrameWriter } from './frame-writer.ts';
import type { Blocks } from './frame-writer.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import type { FieldSink } from './hpack/decoder.ts';
import { block, HpackEncoder } from './hpack/encoder.ts';
import type { Http2Limits } from './limits.ts';
import { OpenStreams } from './open-streams.ts';
import { RecvWindows } from './recv-windows.ts';
import { SendWindows } from './send-windows.ts';
import { PeerSettings } from './settings.ts';
import type { Stream } from './stream.ts';
import { NOBODY, TrailerReader } from './trailer-reader.ts';

/**
 * What happens on a connection. A stream's object is the lane's until `onReset`, or until both sides have ended it: then
 * it may be another stream at once.
 */
export interface ConnectionEvents<S extends Stream> extends Blocks {
  /** A range of the buffer that was read; tell `consumed` when it is taken. */
  onData(stream: S, buffer: Buffer, start: number, end: number): void;
  /** Lines that may be forwarded, each ending in CR LF. */
  onTrailers(stream: S, lines: string): void;
  /** The peer's message is complete. */
  onEnd(stream: S): void;
  /** The stream is over before its time. `fault`: what the peer did wrong; undefined = it reset the stream by `code`, or went away. */
  onReset(stream: S, code: number, fault: Http2Error | undefined): void;
  /** The peer did something wrong on a stream that the lane does not know, such as a malformed request. */
  onStrayFault(fault: Http2Error): void;
  /** There is room again for what `send` did not take. */
  onWritable(stream: S): void;
  /** The peer will go; of a server: streams of ours above `lastId` are reset (REFUSED_STREAM), nobody has looked at them. */
  onGoaway(lastId: number, code: number): void;
  /** The connection is over: all its streams were reset, GOAWAY is written. Flush and close; send nothing more. */
  onError(fault: Http2Error): void;
}

/** Kept for reuse; the rest is left to the collector. */
const SPARE_STREAMS = 8;

export abstract class Connection<S extends Stream> implements FrameSink {
  /** Our SETTINGS have been acknowledged; a peer that never does so may be given up (SETTINGS_TIMEOUT). */
  settingsAcked = false;
  protected readonly events: ConnectionEvents<S>;
  protected readonly limits: Http2Limits;
  protected readonly encoder = new HpackEncoder();
  protected readonly writer: FrameWriter;
  protected readonly open = new OpenStreams<S>();
  protected readonly peer = new PeerSettings();
  /** The highest stream of the peer that we have looked at. */
  protected lastTaken = 0;
  protected over = false;
  readonly #decoder = new HpackDecoder();
  readonly #parser: FrameParser;
  readonly #trailers: TrailerReader;
  readonly #abuse: Abuse;
  readonly #closed = new ClosedStreams();
  readonly #spare: S[] = [];
  readonly #side: 'client' | 'server';
  readonly #windows: SendWindows<S>;
  readonly #received: RecvWindows;
  /** The stream of the DATA frame being read; undefined = its data is thrown away. */
  #dataStream: S | undefined;
  #dataEnds = false;

  /** @param clock ms, from wherever; need not be exact */
  constructor(side: 'client' | 'server', events: ConnectionEvents<S>, limits: Http2Limits, clock: () => number) {
    this.#side = side;
    this.events = events;
    this.limits = limits;
    this.writer = new FrameWriter(events);
    this.#parser = new FrameParser(this, limits, side === 'server' ? 'client' : 'server');
    this.#trailers = new TrailerReader(limits);
    this.#abuse = new Abuse(limits.abuse, clock);
    this.#received = new RecvWindows(limits, this.writer);
    this.#windows = new SendWindows((stream) => events.onWritable(stream));
  }

  /** Streams that are not over. */
  get streams(): number {
    return this.open.size;
  }

  /** The frame, or field block, that has begun and is not complete, by its number; 0 = none, or DATA. */
  get partial(): number {
    return this.#parser.partial;
  }

  /** After `onError`. */
  get dead(): boolean {
    return this.over;
  }

  /** Takes what was read; the bytes may change afterwards. */
  execute(buffer: Buffer, start: number, end: number): void {
    this.#parser.execute(buffer, start, end);
  }

  /** Gives what was written to `onWrite`. */
  flush(): void {
    this.writer.flush();
  }

  /**
   * Sends as much data as the windows let through; returns how many bytes that was. When it was not all, `onWritable`
   * follows. `last`: nothing comes behind it.
   */
  send(stream: S, buffer: Buffer, start: number, end: number, last: boolean): number {
    let at = start;
    while (at < end) {
      const room = Math.min(end - at, this.#windows.room(stream));
      if (room <= 0) {
        this.#windows.wait(stream);
        return at - start;
      }
      this.writer.data(stream.id, buffer, at, at + room, last && at + room === end);
      this.#windows.take(stream, room);
      this.#abuse.sentData();
      at += room;
    }
    if (last) {
      if (start === end) this.writer.data(stream.id, buffer, start, end, true);
      this.endLocal(stream);
    }
    return end - start;
  }

  /** Ends our message without more data. `trailers`: lines that each end in CR LF, empty = none. */
  end(stream: S, trailers: string): void {
    if (trailers === '') this.writer.data(stream.id, block.bytes, 0, 0, true);
    else {
      this.encoder.trailers(trailers, stream.never);
      this.writer.fieldBlock(stream.id, block.bytes, block.length, true);
    }
    this.endLocal(stream);
  }

  /** `bytes` of what `onData` gave have been taken: as many may follow. */
  consumed(stream: S, bytes: number): void {
    // What a stream held when it ended the connection has back already.
    if (!this.over && bytes <= stream.held) this.#received.consumed(stream, bytes);
  }

  /** Gives the stream up, if it is not over yet; there is no `onReset`. */
  reset(stream: S, code: number): void {
    if (this.open.get(stream.id) !== stream) return;
    this.writer.reset(stream.id, code);
    this.#drop(stream, RESET_BY_US);
  }

  /** Says goodbye for a reason of the lane's: SETTINGS_TIMEOUT, a shutdown that takes too long. There is no `onError`. */
  abort(code: number): void {
    if (this.over) return;
    this.writer.goaway(this.lastTaken, code, '');
    this.#stop(code, undefined);
  }

  onDataBegin(id: number, length: number, padding: number, endStream: boolean): void {
    this.#dataStream = undefined;
    this.#dataEnds = endStream;
    if (!this.#received.arrived(length)) return this.fail(ERRORS.windowExceeded);
    if (length === padding && !endStream) this.#blame(this.#abuse.emptyData());
    if (this.over) return;
    const stream = this.open.get(id);
    const fault = stream === undefined ? this.#closedFault(id) : this.#dataFault(stream, length, length - padding);
    if (fault !== undefined) this.onFrameError(id, fault);
    if (this.over) return;
    if (stream === undefined || fault !== undefined) {
      this.#received.giveBack(padding);
      return;
    }
    this.#dataStream = stream;
    if (padding === 0) return;
    stream.held += padding;
    this.consumed(stream, padding);
  }

  onDataRange(buffer: Buffer, start: number, end: number): void {
    const stream = this.#dataStream;
    if (stream === undefined) {
      this.#received.giveBack(end - start);
      return;
    }
    stream.held += end - start;
    if (stream.deaf) this.consumed(stream, end - start);
    else this.events.onData(stream, buffer, start, end);
  }

  onDataEnd(): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if (stream !== undefined && this.#dataEnds) this.endRemote(stream);
  }

  onFieldBlock(id: number, endStream: boolean, dependency: number, buffer: Buffer, start: number, end: number): void {
    if (dependency === id) return this.fail(ERRORS.selfDependency);
    const stream = this.open.get(id);
    if (stream === undefined) this.onOtherBlock(id, endStream, buffer, start, end);
    else if (stream.remoteEnded) this.#refuseBlock(id, ERRORS.halfClosed, buffer, start, end);
    else this.onStreamBlock(stream, endStream, buffer, start, end);
  }

  onPriority(id: number, dependency: number): void {
    if (dependency === id) this.fail(ERRORS.selfDependency);
    else this.onUnknown();
  }

  onReset(id: number, code: number): void {
    const stream = this.open.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) this.fail(ERRORS.idleStream);
      else this.onUnknown();
      return;
    }
    // What we have answered completely has cost us nothing in vain.
    const vain = this.#side === 'server' && !stream.localEnded;
    this.giveUp(stream, code);
    if (vain) this.#blame(this.#abuse.reset());
  }

  onSettings(buffer: Buffer, start: number, end: number): void {
    const before = this.peer.initialWindow;
    const fault = this.peer.read(buffer, start, end, this.#side === 'server' ? 'client' : 'server');
    if (fault !== undefined) return this.fail(fault);
    this.#blame(this.#abuse.settings());
    if (this.over) return;
    this.encoder.setMaxSize(this.peer.headerTableSize);
    this.writer.settingsAck();
    const shifted = this.peer.initialWindow - before;
    if (shifted !== 0 && !this.#windows.shift(this.open.values(), shifted)) this.fail(ERRORS.windowOverflow);
  }

  onSettingsAck(): void {
    if (this.settingsAcked) this.fail(ERRORS.strayAck);
    this.settingsAcked = true;
  }

  onPing(buffer: Buffer, start: number): void {
    this.#blame(this.#abuse.ping());
    if (!this.over) this.writer.pingAck(buffer, start);
  }

  onGoaway(lastId: number, code: number): void {
    this.events.onGoaway(lastId, code);
  }

  onWindowUpdate(id: number, increment: number): void {
    this.#blame(this.#abuse.windowUpdate());
    if (this.over) return;
    if (id === 0) {
      if (increment === 0) this.fail(ERRORS.zeroIncrement);
      else if (!this.#windows.widen(increment)) this.fail(ERRORS.windowOverflow);
      return;
    }
    const stream = this.open.get(id);
    if (stream === undefined) {
      // It may have been sent before the peer knew of the end (5.1).
      if (this.isIdle(id)) this.fail(ERRORS.idleStream);
      return;
    }
    if (increment === 0) this.onFrameError(id, ERRORS.zeroStreamIncrement);
    else if (!this.#windows.widenStream(stream, increment)) this.onFrameError(id, ERRORS.streamWindowOverflow);
  }

  onUnknown(): void {
    this.#blame(this.#abuse.idleFrame());
  }

  onFrameError(id: number, fault: Http2Error): void {
    if (fault.level === 'connection') return this.fail(fault);
    // RST_STREAM may not name a stream that does not exist yet (6.4).
    if (!this.open.has(id) && this.isIdle(id)) return this.fail({ ...fault, level: 'connection' });
    this.#blame(this.#abuse.reset());
    if (this.over) return;
    this.writer.reset(id, CODE[fault.code]);
    const stream = this.open.get(id);
    if (stream === undefined) {
      this.#closed.add(id, RESET_BY_US);
      this.events.onStrayFault(fault);
      return;
    }
    this.#drop(stream, RESET_BY_US);
    this.events.onReset(stream, CODE[fault.code], fault);
    this.recycle(stream);
  }

  /** Nobody has opened this stream. */
  protected abstract isIdle(id: number): boolean;
  /** A new object, when there is none to be used again. */
  protected abstract newStream(): S;
  /** A field block for a stream that is not open. */
  protected abstract onOtherBlock(id: number, endStream: boolean, buffer: Buffer, start: number, end: number): void;
  /** A field block for a stream that the peer has not ended. */
  protected abstract onStreamBlock(stream: S, endStream: boolean, buffer: Buffer, start: number, end: number): void;

  /** The first frames that we send. */
  protected hello(settings: readonly (readonly [number, number])[]): void {
    const { limits, writer } = this;
    writer.settings([
      [SETTING.initialWindowSize, limits.streamWindow],
      [SETTING.maxHeaderListSize, limits.headerList],
      ...settings,
    ]);
    if (limits.connectionWindow > DEFAULT_WINDOW) writer.windowUpdate(0, limits.connectionWindow - DEFAULT_WINDOW);
  }

  /** A stream that is not open yet: of a malformed request the lane never hears. */
  protected takeStream(id: number): S {
    const stream = this.#spare.pop() ?? this.newStream();
    stream.begin(id, this.peer.initialWindow, this.limits.streamWindow);
    return stream;
  }

  protected recycle(stream: S): void {
    stream.id = 0;
    stream.owner = undefined;
    if (this.#spare.length < SPARE_STREAMS) this.#spare.push(stream);
  }

  /** Writes the block that the encoder has made; returns its bytes. */
  protected writeBlock(stream: S, endStream: boolean): number {
    this.writer.fieldBlock(stream.id, block.bytes, block.length, endStream);
    if (endStream) this.endLocal(stream);
    return block.length;
  }

  /** False = the connection has failed. */
  protected decode(buffer: Buffer, start: number, end: number, sink: FieldSink): boolean {
    if (this.#decoder.decode(buffer, start, end, sink)) return true;
    this.fail(ERRORS.badBlock);
    return false;
  }

  /** The second field section of a message (8.1). `allowed`: its stream may have one. */
  protected readTrailers(
    stream: S,
    allowed: boolean,
    endStream: boolean,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const reader = this.#trailers;
    reader.begin();
    if (!this.decode(buffer, start, end, reader)) return;
    const lines = reader.finish();
    const { id } = stream;
    if (typeof lines !== 'string') this.onFrameError(id, lines);
    else if (!allowed || !endStream) this.onFrameError(id, ERRORS.badTrailers);
    else {
      if (lines !== '' && !stream.deaf) this.events.onTrailers(stream, lines);
      if (this.open.get(id) === stream) this.endRemote(stream);
    }
  }

  /** A stream of the peer that we do not take: whatever comes on it is ignored. */
  protected ignore(id: number): void {
    this.#closed.add(id, RESET_BY_US);
  }

  /** A field block on a stream that is over: it is decoded for the sake of the table. */
  protected onLateBlock(id: number, buffer: Buffer, start: number, end: number): void {
    const fault = this.#closed.endOf(id) === FORGOTTEN ? ERRORS.badStreamId : this.#closedFault(id);
    if (fault !== undefined) this.#refuseBlock(id, fault, buffer, start, end);
    else if (this.decode(buffer, start, end, NOBODY)) this.onUnknown();
  }

  /** The peer's message is complete. */
  protected endRemote(stream: S): void {
    if (stream.expected > 0) return this.onFrameError(stream.id, ERRORS.lengthMismatch);
    // The lane may end the stream and open another one with its object.
    const { id } = stream;
    stream.remoteEnded = true;
    if (!stream.deaf) this.events.onEnd(stream);
    if (this.open.get(id) === stream && stream.localEnded) this.#finish(stream);
  }

  /** Our message is complete. */
  protected endLocal(stream: S): void {
    stream.localEnded = true;
    this.#windows.leave(stream);
    if (stream.remoteEnded) this.#finish(stream);
    // Nobody wants the rest of a request that was refused (8.1).
    else if (stream.deaf) this.reset(stream, CODE.NO_ERROR);
  }

  /** The peer has reset the stream, or will never look at it. */
  protected giveUp(stream: S, code: number): void {
    this.#drop(stream, RESET_BY_PEER);
    this.events.onReset(stream, code, undefined);
    this.recycle(stream);
  }

  protected fail(fault: Http2Error): void {
    if (this.over) return;
    this.writer.goaway(this.lastTaken, CODE[fault.code], fault.name);
    this.#stop(CODE[fault.code], fault);
    this.events.onError(fault);
  }

  #stop(code: number, fault: Http2Error | undefined): void {
    this.over = true;
    this.#parser.stop();
    this.#windows.close();
    this.#dataStream = undefined;
    const streams = this.open.values();
    this.open.clear();
    for (const stream of streams) this.events.onReset(stream, code, fault);
  }

  #blame(fault: Http2Error | undefined): void {
    if (fault !== undefined) this.fail(fault);
  }

  #refuseBlock(id: number, fault: Http2Error, buffer: Buffer, start: number, end: number): void {
    if (this.decode(buffer, start, end, NOBODY)) this.onFrameError(id, fault);
  }

  /** What is wrong with DATA or a field block on a stream that is not open (5.1); undefined = it may be late. */
  #closedFault(id: number): Http2Error | undefined {
    if (this.isIdle(id)) return ERRORS.idleStream;
    const end = this.#closed.endOf(id);
    if (end === RESET_BY_US) return undefined;
    // Too long ago to know: told so, and nothing worse.
    return end === ENDED ? ERRORS.closedStream : ERRORS.resetStream;
  }

  /** `length`: what flow control counts; `data`: what Content-Length counts. */
  #dataFault(stream: S, length: number, data: number): Http2Error | undefined {
    if (stream.remoteEnded) return ERRORS.halfClosed;
    if (!stream.headSeen) return ERRORS.dataBeforeHead;
    if (!this.#received.arrivedOn(stream, length)) return ERRORS.streamWindowExceeded;
    if (stream.expected < 0) return undefined;
    stream.expected -= data;
    return stream.expected < 0 ? ERRORS.lengthMismatch : undefined;
  }

  #finish(stream: S): void {
    this.#drop(stream, ENDED);
    this.recycle(stream);
  }

  /** The stream is not open any more; what of it nobody has consumed the connection gets back. */
  #drop(stream: S, end: number): void {
    this.open.delete(stream.id);
    this.#closed.add(stream.id, end);
    this.#windows.leave(stream);
    if (this.#dataStream === stream) this.#dataStream = undefined;
    this.#received.leave(stream);
  }
}
