/**
 * A plain TCP connection that has been accepted, on its handle and nothing else. A `net.Socket` is a stream in both
 * directions: of what a connection costs Node, from accepting to closing, that is most, and so it is of its memory.
 */
import { Socket } from 'node:net';
import { UV_EOF } from './direct-io.ts';
import type { Address, DirectIo, Handle, TcpHandle, WriteRequest } from './direct-io.ts';
import { WRITE_HIGH_WATER } from './high-water.ts';
import type { ReadHandler } from './take-reads.ts';

/** Who serves a connection hears what becomes of it. */
export interface SocketOwner {
  /** All is written, after there was more to write than there should be. */
  onDrain(): void;
  /** The peer has finished sending. */
  onEnd(): void;
  /** So have we, and the kernel has it all. */
  onFinish(): void;
  onClose(): void;
}

/** For the next write of whatever connection: one that was over at once has left no trace in it. */
let spare: WriteRequest | undefined;

const nothing = (): void => undefined;

const SOCKET = Symbol('socket');

interface Owned {
  [SOCKET]?: TcpSocket;
}

/** Half-open as long as one side has not finished; when both have it closes by itself. */
export class TcpSocket {
  /** It is closed, or about to be. */
  destroyed = false;
  owner: SocketOwner | undefined;
  readonly #io: DirectIo;
  readonly #handle: TcpHandle & Owned;
  /** Reads go into it, and to `#onRead`. */
  #buffer: Buffer | undefined;
  #onRead: ReadHandler | undefined;
  /** Bytes that the kernel has not taken yet. */
  #waiting = 0;
  /** More of them than there should be, and some still. */
  #full = false;
  #reading = false;
  #readEnded = false;
  #ended = false;
  #finished = false;
  #onClose: (() => void)[] | undefined;
  /** What it has become. */
  #stream: Socket | undefined;

  constructor(io: DirectIo, handle: TcpHandle) {
    this.#io = io;
    this.#handle = handle;
    handle.setNoDelay(true);
  }

  get writableNeedDrain(): boolean {
    return this.#full && !this.destroyed && !this.#ended;
  }

  get remoteAddress(): string | undefined {
    return this.#address('getpeername').address;
  }

  get remotePort(): number | undefined {
    return this.#address('getpeername').port;
  }

  get localAddress(): string | undefined {
    return this.#address('getsockname').address;
  }

  get localPort(): number | undefined {
    return this.#address('getsockname').port;
  }

  once(event: 'close', listener: () => void): void {
    if (this.#stream === undefined) (this.#onClose ??= []).push(listener);
    else this.#stream.once(event, listener);
  }

  /** From now on reads go into `buffer`, and to `onRead`; see `TakeReads`. */
  read(buffer: Buffer, onRead: ReadHandler): () => void {
    this.#buffer = buffer;
    this.#onRead = onRead;
    this.#handle.useUserBuffer(buffer);
    this.#handle[SOCKET] = this;
    this.#handle.onread = TcpSocket.#onreadOfAll;
    this.resume();
    return () => {
      if (this.#onRead === onRead) this.#onRead = undefined;
    };
  }

  /** A function of its own would be 150 bytes more of each connection. */
  static #onreadOfAll(this: Handle & Owned): void {
    const socket = this[SOCKET];
    if (socket !== undefined) socket.#onReadable();
  }

  #onReadable(): void {
    const length = this.#io.streamBaseState[this.#io.kReadBytesOrError] ?? 0;
    if (length > 0) {
      if (this.#buffer !== undefined && this.#onRead?.(length, this.#buffer) === false) this.pause();
    } else if (length === UV_EOF) this.#onEnd();
    else if (length < 0) this.destroy();
  }

  pause(): void {
    if (this.destroyed || !this.#reading) return;
    this.#reading = false;
    this.#handle.readStop();
  }

  /** Asked for after each request, when it nearly always reads already. */
  resume(): void {
    if (this.destroyed || this.#reading || this.#readEnded) return;
    this.#reading = true;
    if (this.#handle.readStart() !== 0) this.destroy();
  }

  /**
   * Writes text, a byte for each character, or bytes.
   * @param written the bytes may change again: called before `write` is back where the kernel takes everything at once, and
   *   in the order of writes. Never where the connection has ended, or fails at once
   */
  write(data: string | Uint8Array, written?: () => void): void {
    if (this.destroyed || this.#ended) return;
    const request = (spare ??= new this.#io.WriteWrap());
    const text = typeof data === 'string';
    const status = text ? this.#handle.writeLatin1String(request, data) : this.#handle.writeBuffer(request, data);
    if (status !== 0) return this.destroy();
    if (this.#io.streamBaseState[this.#io.kLastWriteWasAsync] === 0) return void written?.();
    spare = undefined;
    if (!text) request.buffer = data;
    this.#waiting += data.length;
    if (this.#waiting >= WRITE_HIGH_WATER) this.#full = true;
    request.oncomplete = (outcome) => {
      written?.();
      this.#onWritten(outcome, data.length);
    };
  }

  /** Sends what is written, and a FIN. */
  end(): void {
    if (this.destroyed || this.#ended) return;
    this.#ended = true;
    const request = new this.#io.ShutdownWrap();
    request.oncomplete = () => {
      this.#onFinish();
    };
    if (this.#handle.shutdown(request) !== 0) this.destroy();
  }

  destroy(): void {
    if (!this.#leave()) return;
    this.#handle.close(() => {
      this.#onGone();
    });
  }

  /** With an RST, so that the peer sees that something is missing; not in the middle of our FIN, where it cannot be. */
  resetAndDestroy(): void {
    if (this.#ended && !this.#finished) return this.destroy();
    if (!this.#leave()) return;
    this.#handle.reset(() => {
      this.#onGone();
    });
  }

  /** The connection, which must not be destroyed, as an ordinary socket: its owner is told nothing more. */
  toStream(): Socket {
    const handle = this.#handle;
    const options: object = { handle, pauseOnCreate: true, allowHalfOpen: true, highWaterMark: WRITE_HIGH_WATER };
    this.destroyed = true;
    this.owner = undefined;
    this.#stream = new Socket(options);
    for (const listener of this.#onClose ?? []) this.#stream.once('close', listener);
    return this.#stream;
  }

  #leave(): boolean {
    if (this.destroyed) return false;
    this.destroyed = true;
    this.#handle.onread = nothing;
    return true;
  }

  #onWritten(outcome: number, length: number): void {
    this.#waiting -= length;
    if (outcome < 0) (this.#stream ?? this).destroy();
    else if (this.#full && this.#waiting === 0) {
      const awaited = this.writableNeedDrain;
      this.#full = false;
      if (awaited) this.owner?.onDrain();
    }
  }

  #onEnd(): void {
    this.#readEnded = true;
    this.owner?.onEnd();
    if (this.#finished) this.destroy();
  }

  #onFinish(): void {
    if (this.destroyed) return;
    this.#finished = true;
    this.owner?.onFinish();
    if (this.#readEnded) this.destroy();
  }

  #onGone(): void {
    this.owner?.onClose();
    for (const listener of this.#onClose ?? []) listener();
  }

  #address(of: 'getpeername' | 'getsockname'): Address {
    // With its properties there already it takes half as long to fill in.
    const address: Address = { address: undefined, family: undefined, port: undefined };
    this.#handle[of](address);
    return address;
  }
}

/** Has an owner hear what becomes of a connection. */
export function tellOwner(socket: Socket | TcpSocket, owner: SocketOwner): void {
  if (socket instanceof TcpSocket) {
    socket.owner = owner;
    return;
  }
  socket.on('drain', () => {
    owner.onDrain();
  });
  socket.on('end', () => {
    owner.onEnd();
  });
  socket.on('finish', () => {
    owner.onFinish();
  });
  // A reset or a broken pipe: 'close' follows and does the rest.
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    owner.onClose();
  });
}
