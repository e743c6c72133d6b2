/** A socket whose reads are fed in by its owner, as an ordinary stream for code that wants one. */
import { Duplex } from 'node:stream';
import type { BlockPool } from './block-pool.ts';
import { Outbox } from './outbox.ts';

/** What is beneath: a socket, or what serves as one. */
export interface Beneath extends Duplex {
  setTimeout(ms: number): unknown;
  setNoDelay(on: boolean): unknown;
  setKeepAlive(on: boolean, delay: number): unknown;
  destroySoon(): void;
}

/** As `net.Socket` has it: closes once everything is written. */
export function destroySoon(stream: Duplex): void {
  if (stream.writable) stream.end();
  if (stream.writableFinished) stream.destroy();
  else stream.once('finish', () => stream.destroy());
}

export class SocketStream extends Duplex {
  readonly #socket: Beneath;
  /** Sees all that is written in the moment it is: the first `length` bytes of `buffer`. */
  readonly #onWrite: (buffer: Buffer, length: number) => void;
  readonly #out: Outbox;
  #passesTo: SocketStream | undefined;

  constructor(socket: Beneath, blocks: BlockPool, onWrite: (buffer: Buffer, length: number) => void) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#onWrite = onWrite;
    this.#out = new Outbox(socket, blocks);
    socket.once('close', () => this.destroy());
  }

  /** `length` bytes at the start of `buffer`, which is copied. False = pause reading. */
  feed(length: number, buffer: Buffer): boolean {
    const to = this.#passesTo;
    if (to === undefined || this.readableLength > 0 || !to.#isIdle()) {
      return this.push(Buffer.from(buffer.subarray(0, length)));
    }
    if (to.#pass(length, buffer)) return true;
    to.#socket.once('drain', () => this._read());
    return false;
  }

  /**
   * This stream is piped into `other`: from now on what is fed goes straight to its socket, while nothing waits in between;
   * the streams cost several times as much. undefined = no longer.
   */
  passTo(other: SocketStream | undefined): void {
    this.#passesTo = other;
  }

  feedEnd(): void {
    this.push(null);
  }

  // What HTTP code does to sockets reaches the real one.
  setTimeout(ms: number): this {
    this.#socket.setTimeout(ms);
    return this;
  }

  setNoDelay(on: boolean): this {
    this.#socket.setNoDelay(on);
    return this;
  }

  setKeepAlive(on: boolean, delay: number): this {
    this.#socket.setKeepAlive(on, delay);
    return this;
  }

  destroySoon(): void {
    destroySoon(this);
  }

  override _read(): void {
    if (!this.#socket.destroyed) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#onWrite(chunk, chunk.length);
    this.#socket.write(chunk, done);
  }

  /** Nothing that was written to it waits. */
  #isIdle(): boolean {
    return this.writable && this.writableLength === 0;
  }

  /** False = its socket has more to write than it should. */
  #pass(length: number, buffer: Buffer): boolean {
    this.#onWrite(buffer, length);
    this.#out.range(buffer, 0, length);
    return this.#out.flush();
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroySoon();
    done(error);
  }
}
