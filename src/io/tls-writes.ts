/**
 * Writes that go straight to the handle of a TLS connection. When the call is back OpenSSL has sealed them and the kernel,
 * nearly always, has taken them; but Node ends each in a later phase of the loop, with a request object of its own and a
 * call into JavaScript, for the queue of a stream to go on: 2,600 instructions of a small exchange.
 */
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { directIo } from './direct-io.ts';
import type { DirectIo, Handle, Handled, WriteRequest } from './direct-io.ts';
import { failWrite } from './direct-write.ts';

type Done = (error?: Error | null) => void;

/** What the queue of a stream has it do, one at a time. */
interface Doing {
  _write(chunk: unknown, encoding: BufferEncoding, done: Done): void;
  _writev(chunks: unknown, done: Done): void;
  _final(done: Done): void;
}

const WRITES = Symbol('writes past the stream');

type Gated = TLSSocket & { [WRITES]?: TlsWrites };

const ordinary = TLSSocket.prototype as unknown as Doing;

/** A handle takes one write at a time, or the process ends: so the stream of a connection waits for what was written past it. */
const GATE: Doing & ThisType<Gated> = {
  _write(chunk, encoding, done) {
    this[WRITES]?.stream((ended) => ordinary._write.call(this, chunk, encoding, ended), done);
  },
  _writev(chunks, done) {
    this[WRITES]?.stream((ended) => ordinary._writev.call(this, chunks, ended), done);
  },
  _final(done) {
    this[WRITES]?.stream((ended) => ordinary._final.call(this, ended), done);
  },
};

/**
 * Those of a connection, the same for all who ask; undefined = it is not over TLS, or not to be written to directly.
 * @param socket that nobody has written to when they are first asked for
 */
export function tlsWritesOf(socket: Duplex): TlsWrites | undefined {
  const io = directIo();
  if (io === undefined || !(socket instanceof TLSSocket)) return undefined;
  const gated: Gated = socket;
  if (gated[WRITES] === undefined) Object.assign(gated, GATE, { [WRITES]: new TlsWrites(io, socket) });
  return gated[WRITES];
}

export class TlsWrites {
  readonly #io: DirectIo;
  readonly #socket: TLSSocket & Handled;
  /** For all writes in turn: that of one that has ended is free again. */
  #request: WriteRequest | undefined;
  #underWay = false;
  /** The stream writes, or waits to. Its length does not say so of an empty write. */
  #streaming = false;
  /** What the stream waits to do. */
  #next: (() => void) | undefined;

  constructor(io: DirectIo, socket: TLSSocket) {
    this.#io = io;
    this.#socket = socket;
  }

  /**
   * Writes latin1 text; a socket that cannot be written to is destroyed.
   * @returns false = nothing was done: it has to go through the stream
   */
  text(text: string): boolean {
    const handle = this.#begin();
    if (handle === undefined) return false;
    this.#check(handle.writeLatin1String(this.#take(), text));
    return true;
  }

  /** The same; the bytes may change when it is back. */
  bytes(bytes: Uint8Array): boolean {
    const handle = this.#begin();
    if (handle === undefined) return false;
    this.#check(handle.writeBuffer(this.#take(), bytes));
    return true;
  }

  /** Lets the stream act when nothing is under way: now or later. */
  stream(act: (done: Done) => void, done: Done): void {
    const begin = (): void => {
      const ended: Done = (error) => {
        this.#streaming = false;
        done(error);
      };
      if (this.#socket.destroyed) ended(new Error('the connection is closed'));
      else act(ended);
    };
    this.#streaming = true;
    if (this.#underWay) this.#next = begin;
    else begin();
  }

  #begin(): Handle | undefined {
    const socket = this.#socket;
    const { _handle: handle } = socket;
    if (this.#underWay || this.#streaming || handle === undefined || handle === null) return undefined;
    if (socket.writableLength > 0 || socket.connecting || !socket.writable) return undefined;
    this.#underWay = true;
    return handle;
  }

  #take(): WriteRequest {
    return (this.#request ??= quietRequest(this.#io, () => this.#ended()));
  }

  /** A write that is refused has no end. */
  #check(status: number): void {
    if (status === 0) return;
    this.#underWay = false;
    this.#goOn(status);
  }

  #ended(): WriteRequest['oncomplete'] {
    this.#underWay = false;
    // Of one that failed there is something left (as there may be of a handshake).
    if (this.#next === undefined && this.#socket._handle?.writeQueueSize === 0) return undefined;
    // What is called has the request still attached, and is perhaps called within the write.
    this.#request = undefined;
    return (status) => process.nextTick(() => this.#goOn(status));
  }

  #goOn(status: number): void {
    if (status < 0) failWrite(this.#socket, status);
    const next = this.#next;
    this.#next = undefined;
    next?.();
  }
}

/**
 * Node looks for `oncomplete` when a write has ended, and calls it with all that a call from the event loop takes: as much
 * as all the rest. That it looks says enough.
 * @param ended what it finds; undefined = nothing to call
 */
function quietRequest(io: DirectIo, ended: () => WriteRequest['oncomplete']): WriteRequest {
  return Object.defineProperty(new io.WriteWrap(), 'oncomplete', { get: ended });
}
