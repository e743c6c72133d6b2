/**
 * Encodes heads that the HTTP/1 serializer has written as field blocks (RFC 7541). A line that was sent before on the
 * connection is found by its text and becomes one byte or two; lines mostly follow each other as they did the last time, so
 * the one that came behind is tried first, which takes a sixth of the instructions. What enters the table is Huffman-coded,
 * once; other literals go out as they are, which costs a few bytes more and less time.
 */
import { findField, standsAt, valueOf } from '../../http1/fields.ts';
import { TABLE_SIZE } from './decoder.ts';
import { huffmanEncode, huffmanLength } from './huffman.ts';
import { writeInteger } from './integer.ts';
import { nameOf } from './names.ts';
import type { Name } from './names.ts';

/** Where lines begin, or one of them. */
interface Place {
  /** What came behind it the last time. */
  next: Entry | undefined;
}

/** A field of the dynamic table. */
interface Entry extends Place {
  readonly line: string;
  readonly name: Name;
  /** How many were inserted before it. */
  readonly number: number;
  /** RFC 7541, 4.1 */
  readonly size: number;
}

/** The block being written; one for all, since nothing here is async. */
export const block = { bytes: Buffer.allocUnsafeSlow(8192), length: 0 };

const STATUS_NAME = 8;
/** Indices of status codes in the static table (Appendix A); 0 = it has none. */
const STATUSES = new Uint8Array(1000);
for (const [i, status] of [200, 204, 206, 304, 400, 404, 500].entries()) STATUSES[status] = STATUS_NAME + i;
/** Larger values would push out all others. */
const MAX_VALUE = TABLE_SIZE / 8;
/** Lines of a block that are as long as the one tried first and still another: each may have cost a look through all of it. */
const MAX_MISSES = 4;
const NONE: readonly string[] = [];
/** The first byte of each kind of literal, and the mask of its index (6.2). */
const INSERTED = [0x40, 63] as const;
const PLAIN = [0x00, 15] as const;
const NEVER = [0x10, 15] as const;

export class HpackEncoder {
  readonly #byLine = new Map<string, Entry>();
  /** Oldest first. */
  readonly #entries: Entry[] = [];
  readonly #start: Place = { next: undefined };
  #inserted = 0;
  #size = 0;
  #maxSize = TABLE_SIZE;
  /** The smallest size since the last block; -1 = nothing to be told. */
  #smallest = -1;

  /** Bytes in the dynamic table, as the RFC counts them. */
  get tableSize(): number {
    return this.#size;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE; more than the default is not used. */
  setMaxSize(size: number): void {
    const next = Math.min(size, TABLE_SIZE);
    if (next === this.#maxSize) return;
    this.#maxSize = next;
    this.#smallest = this.#smallest < 0 ? next : Math.min(this.#smallest, next);
    this.#evict(0);
  }

  /** The head of a response, as `responseText` gives it, to `block`. `never`: names that nobody may index (RFC 7541, 6.2.3). */
  response(text: string, never: readonly string[] = NONE): void {
    this.#begin(text.length);
    const status = (text.charCodeAt(9) - 48) * 100 + (text.charCodeAt(10) - 48) * 10 + text.charCodeAt(11) - 48;
    const index = STATUSES[status]!;
    if (index === 0) this.#literal(PLAIN, STATUS_NAME, ':status', text.slice(9, 12), false);
    else this.#index(index);
    this.#lines(text, text.indexOf('\r\n') + 2, never);
  }

  /**
   * The head of a request, as `requestText` gives it, to `block`.
   * @param protocol of an extended CONNECT (RFC 8441), empty = none
   */
  request(text: string, scheme: 'http' | 'https', protocol = '', never: readonly string[] = NONE): void {
    this.#begin(text.length);
    const methodEnd = text.indexOf(' ');
    const lineEnd = text.indexOf('\r', methodEnd);
    const method = protocol === '' ? text.slice(0, methodEnd) : 'CONNECT';
    if (method === 'GET') this.#index(2);
    else if (method === 'POST') this.#index(3);
    else this.#literal(PLAIN, 2, ':method', method, false);
    this.#index(scheme === 'http' ? 6 : 7);
    const path = text.slice(methodEnd + 1, lineEnd - 9);
    if (path === '/') this.#index(4);
    else this.#literal(PLAIN, 4, ':path', path, false);
    const authority = findField(text, lineEnd + 2, 'host') ?? '';
    if (authority !== '') this.#field(`:authority:${authority}`, 10, NONE);
    if (protocol !== '') this.#literal(PLAIN, 0, ':protocol', protocol, false);
    this.#lines(text, lineEnd + 2, never);
  }

  /** Trailers: lines that each end in CR LF. */
  trailers(lines: string, never: readonly string[] = NONE): void {
    this.#begin(lines.length);
    this.#lines(`${lines}\r\n`, 0, never);
  }

  #begin(chars: number): void {
    // A field of n characters as a line takes n + 4 bytes at most, and a line has 4 characters at least.
    const most = 2 * chars + 256;
    if (most > block.bytes.length) block.bytes = Buffer.allocUnsafeSlow(most);
    block.length = 0;
    if (this.#smallest < 0) return;
    // 4.2: the smallest size in between is told as well.
    if (this.#smallest < this.#maxSize) block.length = writeInteger(block.bytes, block.length, 32, 31, this.#smallest);
    block.length = writeInteger(block.bytes, block.length, 32, 31, this.#maxSize);
    this.#smallest = -1;
  }

  #lines(text: string, from: number, never: readonly string[]): void {
    const last = text.length - 2;
    let before: Place = this.#start;
    let misses = 0;
    for (let at = from; at < last;) {
      const guess = never.length === 0 && misses < MAX_MISSES ? before.next : undefined;
      if (guess !== undefined && this.#holds(guess) && text.charCodeAt(at + guess.line.length) === 13) {
        if (standsAt(guess.line, text, at)) {
          this.#indexed(guess);
          before = guess;
          at += guess.line.length + 2;
          continue;
        }
        misses++;
      }
      const colon = text.indexOf(':', at);
      const end = text.indexOf('\r', colon);
      const entry = this.#field(text.slice(at, end), colon - at, never);
      if (entry !== undefined) before = before.next = entry;
      at = end + 2;
    }
  }

  /** Gives the entry of the table that the line has now, if it has one. */
  #field(line: string, colon: number, never: readonly string[]): Entry | undefined {
    const known = never.length === 0 ? this.#byLine.get(line) : undefined;
    if (known !== undefined) return this.#indexed(known);
    const name = nameOf(line.slice(0, colon));
    if (name.rule === 'skip') return undefined;
    const value = valueOf(line, colon, line.length);
    if (name.rule === 'never' || (never.length > 0 && never.includes(name.text))) {
      this.#literal(NEVER, name.index, name.text, value, false);
    } else if (value.length <= MAX_VALUE && name.worthInserting()) {
      this.#literal(INSERTED, name.index, name.text, value, true);
      return this.#insert(line, name, name.text.length + value.length + 32);
    } else this.#literal(PLAIN, name.index, name.text, value, false);
    return undefined;
  }

  /** It has not been evicted. */
  #holds({ number }: Entry): boolean {
    return number >= this.#inserted - this.#entries.length;
  }

  #indexed(entry: Entry): Entry {
    entry.name.used();
    this.#index(61 + this.#inserted - entry.number);
    return entry;
  }

  #index(index: number): void {
    block.length = writeInteger(block.bytes, block.length, 128, 127, index);
  }

  #literal(kind: readonly [number, number], index: number, name: string, value: string, huffman: boolean): void {
    block.length = writeInteger(block.bytes, block.length, kind[0], kind[1], index);
    if (index === 0) this.#string(name, huffman);
    this.#string(value, huffman);
  }

  #string(text: string, huffman: boolean): void {
    const { bytes } = block;
    const length = huffman ? huffmanLength(text) : text.length;
    if (length < text.length) {
      block.length = huffmanEncode(text, bytes, writeInteger(bytes, block.length, 128, 127, length));
      return;
    }
    let at = writeInteger(bytes, block.length, 0, 127, text.length);
    // A call into native code costs as much as some 24 characters.
    if (text.length > 24) at += bytes.write(text, at, 'latin1');
    else for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    block.length = at;
  }

  #insert(line: string, name: Name, size: number): Entry | undefined {
    this.#evict(size);
    if (size > this.#maxSize) return undefined;
    // A copy of the text: a slice would keep the whole head that it was cut from.
    const copy = Buffer.from(line, 'latin1').toString('latin1');
    const entry = { line: copy, name, number: this.#inserted++, size, next: undefined };
    this.#entries.push(entry);
    this.#byLine.set(entry.line, entry);
    this.#size += size;
    return entry;
  }

  #evict(room: number): void {
    while (this.#size + room > this.#maxSize) {
      const oldest = this.#entries.shift();
      if (oldest === undefined) return;
      // The same line may have been inserted again since, by a block with names of its own never to index.
      if (this.#byLine.get(oldest.line) === oldest) this.#byLine.delete(oldest.line);
      // Who still leads to it shall not keep those behind it, too.
      oldest.next = undefined;
      this.#size -= oldest.size;
    }
  }
}
