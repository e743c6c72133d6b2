/** Writes frames into blocks of memory that are reused: nothing is allocated for a frame, and all frames of a turn go out together. */
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  GOAWAY,
  HEADERS,
  MAX_FRAME,
  PING,
  PREFACE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './constants.ts';

/** Where blocks come from and go to. */
export interface Blocks {
  /** A block of at least 17 KiB, ours until it is written. */
  take(): Buffer;
  /** `length` bytes at the start of a block are to be sent; the block is the receiver's now. */
  onWrite(block: Buffer, length: number): void;
}

export class FrameWriter {
  readonly #blocks: Blocks;
  #block: Buffer | undefined;
  #length = 0;

  constructor(blocks: Blocks) {
    this.#blocks = blocks;
  }

  /** Gives away what has been written. */
  flush(): void {
    const block = this.#block;
    if (block === undefined) return;
    this.#block = undefined;
    const length = this.#length;
    this.#length = 0;
    this.#blocks.onWrite(block, length);
  }

  preface(): void {
    const block = this.#room(PREFACE.length);
    this.#length += PREFACE.copy(block, this.#length);
  }

  /** Pairs of identifier and value. */
  settings(pairs: readonly (readonly [number, number])[]): void {
    const block = this.#begin(pairs.length * 6, SETTINGS, 0, 0);
    for (const [setting, value] of pairs) {
      block.writeUInt16BE(setting, this.#length);
      this.#length = block.writeUInt32BE(value, this.#length + 2);
    }
  }

  settingsAck(): void {
    this.#begin(0, SETTINGS, ACK, 0);
  }

  /** Gives the 8 bytes at `start` back. */
  pingAck(buffer: Buffer, start: number): void {
    const block = this.#begin(8, PING, ACK, 0);
    this.#length += buffer.copy(block, this.#length, start, start + 8);
  }

  /** `debug`: short ASCII text. */
  goaway(lastId: number, code: number, debug: string): void {
    const block = this.#begin(8 + debug.length, GOAWAY, 0, 0);
    block.writeUInt32BE(lastId, this.#length);
    block.writeUInt32BE(code, this.#length + 4);
    this.#length += 8 + block.write(debug, this.#length + 8, 'latin1');
  }

  windowUpdate(id: number, increment: number): void {
    const block = this.#begin(4, WINDOW_UPDATE, 0, id);
    this.#length = block.writeUInt32BE(increment, this.#length);
  }

  reset(id: number, code: number): void {
    const block = this.#begin(4, RST_STREAM, 0, id);
    this.#length = block.writeUInt32BE(code, this.#length);
  }

  /** A field block of `length` bytes, in as many frames as it takes. */
  fieldBlock(id: number, bytes: Buffer, length: number, endStream: boolean): void {
    let type = HEADERS;
    let flags = endStream ? END_STREAM : 0;
    let at = 0;
    do {
      const stop = Math.min(length, at + MAX_FRAME);
      const block = this.#begin(stop - at, type, stop === length ? flags | END_HEADERS : flags, id);
      this.#length += bytes.copy(block, this.#length, at, stop);
      type = CONTINUATION;
      flags = 0;
      at = stop;
    } while (at < length);
  }

  /** One DATA frame, at most `MAX_FRAME` bytes. */
  data(id: number, buffer: Buffer, start: number, end: number, endStream: boolean): void {
    const block = this.#begin(end - start, DATA, endStream ? END_STREAM : 0, id);
    if (end > start) this.#length += buffer.copy(block, this.#length, start, end);
  }

  /** Writes a frame's header; there is room for its payload behind it. */
  #begin(length: number, type: number, flags: number, id: number): Buffer {
    const block = this.#room(FRAME_HEADER + length);
    const at = this.#length;
    block[at] = length >>> 16;
    block[at + 1] = length >>> 8;
    block[at + 2] = length;
    block[at + 3] = type;
    block[at + 4] = flags;
    block[at + 5] = id >>> 24;
    block[at + 6] = id >>> 16;
    block[at + 7] = id >>> 8;
    block[at + 8] = id;
    this.#length = at + FRAME_HEADER;
    return block;
  }

  #room(bytes: number): Buffer {
    if (this.#block !== undefined && this.#length + bytes > this.#block.length) this.flush();
    this.#block ??= this.#blocks.take();
    return this.#block;
  }
}
