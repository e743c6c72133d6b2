/** Gathers what one turn has to say to a socket and writes it in as few writes as possible. */
import type { Duplex } from 'node:stream';
import { latin1 } from '../http1/latin1.ts';
import { BLOCK_BYTES } from './block-pool.ts';
import type { BlockPool } from './block-pool.ts';
import { NOT_TRIED, UNDER_WAY, writeDirectly } from './direct-write.ts';
import type { DirectWriter } from './direct-write.ts';
import { TcpSocket } from './tcp-socket.ts';
import { tlsWritesOf } from './tls-writes.ts';
import type { TlsWrites } from './tls-writes.ts';
import type { Flushable, Turn } from './turn.ts';

/** Up to here bytes travel as a latin1 string, which libuv writes without an intermediate buffer; above, a copy into a block is cheaper. */
const TEXT_LIMIT = 4096;

export class Outbox implements DirectWriter, Flushable {
  /** For `Turn`. */
  queued = false;
  readonly #socket: Duplex | TcpSocket;
  readonly #blocks: BlockPool;
  /** Blocks handed to the socket and not written yet, oldest first: a socket finishes its writes in order. */
  #underway: Buffer[] | undefined;
  /** With them, when the first is: most connections never have one. */
  #onWritten: (() => void) | undefined;
  #text = '';
  readonly #tls: TlsWrites | undefined;
  /** Text has to wait in the stream: some that was written directly is under way. */
  #throughStream = false;
  /** Bytes handed to the socket. */
  #written = 0;

  constructor(socket: Duplex | TcpSocket, blocks: BlockPool) {
    this.#socket = socket;
    this.#blocks = blocks;
    this.#tls = socket instanceof TcpSocket ? undefined : tlsWritesOf(socket);
  }

  /** Bytes accepted so far. */
  get bytes(): number {
    return this.#written + this.#text.length;
  }

  /** Nothing waits for a flush. */
  get isEmpty(): boolean {
    return this.#text === '';
  }

  /** Adds latin1 text. */
  text(text: string): void {
    this.#text += text;
  }

  /** Adds bytes of a shared buffer; they are copied before this returns. */
  range(buffer: Buffer, start: number, end: number): void {
    if (end - start <= TEXT_LIMIT) {
      this.#text += latin1(buffer, start, end);
      return;
    }
    while (start < end) {
      if (this.#text.length > TEXT_LIMIT * 4) this.#writeText();
      const block = this.#blocks.take();
      let length = this.#text.length === 0 ? 0 : block.write(this.#text, 0, 'latin1');
      this.#text = '';
      const copied = buffer.copy(block, length, start, Math.min(end, start + BLOCK_BYTES - length));
      start += copied;
      length += copied;
      this.block(block, length);
    }
  }

  /** Writes the first `length` bytes of a block that was taken from the pool, behind what has been written. */
  block(block: Buffer, length: number): void {
    this.#written += length;
    const bytes = block.subarray(0, length);
    if (this.#tls?.bytes(bytes) === true) this.#blocks.give(block);
    else {
      (this.#underway ??= []).push(block);
      this.#socket.write(
        bytes,
        (this.#onWritten ??= () => {
          const written = this.#underway?.shift();
          if (written !== undefined) this.#blocks.give(written);
        }),
      );
    }
  }

  /** Writes what is left. False = the socket has more to write than it should: wait for `drain`. */
  flush(): boolean {
    if (this.#text !== '') this.#writeText();
    return !this.#socket.writableNeedDrain;
  }

  /** The same with others of the turn. Until then nobody else may write to the socket, nor end it: `flush` comes first. */
  flushIn(turn: Turn): boolean {
    // Of whoever pipelines without reading no more waits here.
    if (this.#text.length > TEXT_LIMIT) return this.flush();
    if (this.#text !== '') turn.add(this);
    return !this.#socket.writableNeedDrain;
  }

  /** For `writeDirectly`. */
  onTextWritten(): void {
    this.#throughStream = false;
  }

  #writeText(): void {
    const text = this.#text;
    this.#text = '';
    this.#written += text.length;
    const socket = this.#socket;
    if (socket instanceof TcpSocket) return socket.write(text);
    const written = this.#tls === undefined ? this.#writeTcp(socket, text) : this.#tls.text(text);
    if (!written) socket.write(text, 'latin1');
  }

  /** False = it has to go through the stream. */
  #writeTcp(socket: Duplex, text: string): boolean {
    if (this.#throughStream) return false;
    const outcome = writeDirectly(socket, text, this);
    this.#throughStream = outcome === UNDER_WAY;
    return outcome !== NOT_TRIED;
  }
}
