/** Decodes field blocks (RFC 7541). A connection that has failed to decode one cannot decode any other. */
import { latin1 } from '../../http1/latin1.ts';
import { Field, kindOf } from './field.ts';
import { huffmanDecode, maxDecoded } from './huffman.ts';
import { cursor, readInteger } from './integer.ts';
import { BAD_VALUE } from './kinds.ts';
import { STATIC_FIELDS } from './static-table.ts';

/** SETTINGS_HEADER_TABLE_SIZE: the default, so it is never announced. */
export const TABLE_SIZE = 4096;
/** A field counts 32 bytes at least (4.1). */
const CAPACITY = TABLE_SIZE / 32;

export interface FieldSink {
  /** The object is valid during the call. */
  onField(field: Field): void;
}

const STATIC = STATIC_FIELDS.map(([name, value]) => {
  const field = new Field();
  field.set(name, value, kindOf(name));
  return field;
});

/** Strings are decoded into this; one for all, since nothing here is async. Grows to what the longest field block needs. */
let scratch = Buffer.allocUnsafeSlow(4096);

export class HpackDecoder {
  /** A ring, allocated with the first field that enters it. */
  #fields: Field[] = [];
  /** Fields inserted so far, and those of them that are still there. */
  #inserted = 0;
  #count = 0;
  #size = 0;
  #maxSize = TABLE_SIZE;
  #at = 0;
  readonly #literal = new Field();

  /** Bytes in the dynamic table, as the RFC counts them. */
  get tableSize(): number {
    return this.#size;
  }

  /** Decodes a whole block; false = COMPRESSION_ERROR. `buffer` may change afterwards. */
  decode(buffer: Buffer, start: number, end: number, sink: FieldSink): boolean {
    let begun = false;
    this.#at = start;
    while (this.#at < end) {
      const byte = buffer[this.#at]!;
      if (byte >= 128) {
        const index = this.#integer(buffer, end, 127);
        const field = this.#find(index);
        if (field === undefined) return false;
        sink.onField(field);
      } else if (byte >= 64) {
        const field = new Field();
        if (!this.#readLiteral(field, buffer, end, 63)) return false;
        this.#insert(field);
        sink.onField(field);
      } else if (byte >= 32) {
        // Only at the beginning (4.2).
        if (begun || !this.#resize(this.#integer(buffer, end, 31))) return false;
        continue;
      } else {
        const field = this.#literal;
        if (!this.#readLiteral(field, buffer, end, 15)) return false;
        field.never = byte >= 16;
        sink.onField(field);
      }
      begun = true;
    }
    return true;
  }

  #integer(buffer: Buffer, end: number, mask: number): number {
    const value = readInteger(buffer, this.#at, end, mask);
    this.#at = cursor.at;
    return value;
  }

  /** undefined for -1, 0 and what is beyond the table. */
  #find(index: number): Field | undefined {
    if (index <= STATIC.length) return STATIC[index - 1];
    const back = index - STATIC.length;
    return back <= this.#count ? this.#fields[(this.#inserted - back) & (CAPACITY - 1)] : undefined;
  }

  #readLiteral(field: Field, buffer: Buffer, end: number, mask: number): boolean {
    const index = this.#integer(buffer, end, mask);
    if (index < 0) return false;
    if (index > 0) {
      const named = this.#find(index);
      if (named === undefined) return false;
      const { name, kind } = named;
      const value = this.#string(buffer, end);
      if (value === undefined) return false;
      // The kind of a field whose value is malformed does not say what its name means.
      field.set(name, value, kind === BAD_VALUE ? kindOf(name) : kind);
      return true;
    }
    const name = this.#string(buffer, end);
    if (name === undefined) return false;
    const value = this.#string(buffer, end);
    if (value === undefined) return false;
    field.set(name, value, kindOf(name));
    return true;
  }

  /** 5.2; undefined = cut off or malformed. */
  #string(buffer: Buffer, end: number): string | undefined {
    if (this.#at >= end) return undefined;
    const huffman = buffer[this.#at]! >= 128;
    const length = this.#integer(buffer, end, 127);
    const start = this.#at;
    if (length < 0 || length > end - start) return undefined;
    this.#at = start + length;
    if (!huffman) return latin1(buffer, start, this.#at);
    const most = maxDecoded(length);
    if (most > scratch.length) scratch = Buffer.allocUnsafeSlow(most);
    const stop = huffmanDecode(buffer, start, this.#at, scratch, 0);
    return stop < 0 ? undefined : latin1(scratch, 0, stop);
  }

  #resize(size: number): boolean {
    if (size < 0 || size > TABLE_SIZE) return false;
    this.#maxSize = size;
    this.#evict(0);
    return true;
  }

  /** 4.4: a field that is larger than the table empties it. */
  #insert(field: Field): void {
    this.#evict(field.size);
    if (field.size > this.#maxSize) return;
    this.#fields[this.#inserted & (CAPACITY - 1)] = field;
    this.#inserted = (this.#inserted + 1) & 0x3fff_ffff;
    this.#count++;
    this.#size += field.size;
  }

  #evict(room: number): void {
    while (this.#count > 0 && this.#size + room > this.#maxSize) {
      this.#size -= this.#fields[(this.#inserted - this.#count) & (CAPACITY - 1)]!.size;
      this.#count--;
    }
  }
}
