/**
 * One walk over the bytes of a head (`scan.wat`): is it whole, is it well-formed, where do its lines stand, and which of
 * them are known fields? As WebAssembly because of its vectors: sixteen bytes a step take what one takes in a regular
 * expression or in a typed array.
 */
import { KNOWN_FIELDS } from './known-fields.ts';
import { WASM } from './scan-wasm.ts';

const PAGE = 64 * 1024;
/** Size of a read buffer. */
export const READ_BYTES = PAGE;
/** What `scan.wat` writes: `SCANNED`, and `LINES` 16 bytes on. */
const LINES_BYTES = 3 * PAGE;
/** By the length of a name and its last character but one: the number of the known field that may be meant, a byte each. */
const NUMBERS_AT = LINES_BYTES;
const NUMBERS_BYTES = 32 * 32;
/** By that number: the name, 32 bytes each. */
const NAMES_AT = NUMBERS_AT + NUMBERS_BYTES;
const NAME_BYTES = 32;
/** Buffers that reads go into, so that heads are walked over where they stand. */
const HOMES = 4;
const HOMES_AT = NUMBERS_AT + PAGE;
/** Where heads go that stand elsewhere. Nothing of it is resident before it is used. */
const COPY_AT = HOMES_AT + HOMES * READ_BYTES;
/** The largest head that any setting allows. */
const COPY_BYTES = 1024 * 1024;
/** One page more: vectors are read beyond the end of what they are read for. */
const PAGES = (COPY_AT + COPY_BYTES) / PAGE + 1;

interface Scanner {
  readonly request: (start: number, end: number) => number;
  readonly response: (start: number, end: number) => number;
}

interface Memory {
  readonly buffer: ArrayBuffer;
}

/** As far as it is used here: its types come with browsers' only. */
declare const WebAssembly: {
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => Memory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    program: object,
    imports: { readonly scan: { readonly memory: Memory } },
  ) => { readonly exports: Scanner };
};

const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
const program = new WebAssembly.Module(Buffer.from(WASM, 'base64'));
const { request, response } = new WebAssembly.Instance(program, { scan: { memory } }).exports;
const copies = new Uint8Array(memory.buffer, COPY_AT, COPY_BYTES);
const homes: Buffer[] = [];

/** Not whole, or not well-formed: whoever asks for more bytes, or for the reason, looks again when all bytes are there. */
export const NO_HEAD = -1;

/** Of the head walked over last, counted from its first byte: by `SPACE`, `LINE_END`, `USED`. */
export const SCANNED = new Int32Array(memory.buffer, 0, 3);
/** The first space. */
export const SPACE = 0;
/** The CR of the first line. */
export const LINE_END = 1;
/** How many cells of `LINES` there are. */
export const USED = 2;
/**
 * Of the same head four cells a header line: its start, its colon, its CR, and the number of the known field that it is
 * called by, negative where `_` stands for `-`; 0 = a line of no interest.
 */
export const LINES = new Int32Array(memory.buffer, 16, LINES_BYTES / 4 - 4);
/** Cells a line. */
export const LINE = 4;

// Where the last character but one is `-`, the spelling with `_` has another place.
const numbers = new Uint8Array(memory.buffer, NUMBERS_AT, NUMBERS_BYTES);
for (const [name, number] of KNOWN_FIELDS) {
  const at = (name.length << 5) | (name.charCodeAt(name.length - 2) & 31);
  const told = name.length > 1 && name.length < NAME_BYTES && name.at(-2) !== '-' && numbers[at] === 0;
  if (!told) throw new Error(`the walk cannot tell ${name} from other fields`);
  numbers[at] = number;
  Buffer.from(memory.buffer, NAMES_AT + number * NAME_BYTES, NAME_BYTES).write(name, 'latin1');
}

/** For reads: a buffer whose heads need not be copied, as long as there are such. */
export function readBuffer(): Buffer {
  if (homes.length === HOMES) return Buffer.allocUnsafeSlow(READ_BYTES);
  const home = Buffer.from(memory.buffer, HOMES_AT + homes.length * READ_BYTES, READ_BYTES);
  homes.push(home);
  return home;
}

/** The index behind the request head that starts at `start`, its lines in `LINES`; or NO_HEAD. */
export function scanRequest(bytes: Uint8Array, start: number, end: number): number {
  const stop = Math.min(end, start + COPY_BYTES);
  const offset = offsetOf(bytes, start, stop);
  const at = request(offset + start, offset + stop);
  return at < 0 ? NO_HEAD : at - offset;
}

/** The index behind the response head that starts at `start`, its lines in `LINES`; or NO_HEAD. */
export function scanResponse(bytes: Uint8Array, start: number, end: number): number {
  const stop = Math.min(end, start + COPY_BYTES);
  const offset = offsetOf(bytes, start, stop);
  const at = response(offset + start, offset + stop);
  return at < 0 ? NO_HEAD : at - offset;
}

/** What makes an index in `bytes` an address in the memory, into which they are copied if they stand elsewhere. */
function offsetOf(bytes: Uint8Array, start: number, end: number): number {
  for (let i = 0; i < homes.length; i++) if (homes[i] === bytes) return HOMES_AT + i * READ_BYTES;
  copies.set(bytes.subarray(start, end));
  return COPY_AT - start;
}
