/** A socket whose reads are fed in by its owner, as an ordinary stream for code that wants one. */
import { Duplex } from 'node:stream';

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
  /** Sees every chunk in the moment it is written. */
  readonly #onWrite: (chunk: Buffer) => void;

  constructor(socket: Beneath, onWrite: (chunk: Buffer) => void) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#onWrite = onWrite;
    socket.once('close', () => this.destroy());
  }

  /** `length` bytes at the start of `buffer`, which is copied. False = pause reading. */
  feed(length: number, buffer: Buffer): boolean {
    return this.push(Buffer.from(buffer.subarray(0, length)));
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
    this.#onWrite(chunk);
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroySoon();
    done(error);
  }
}
