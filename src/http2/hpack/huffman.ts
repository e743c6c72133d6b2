/** Huffman coding of HPACK strings (RFC 7541, 5.2): a byte at a time both ways. */
import { CODE_BITS, CODES, EOS } from './huffman-lengths.ts';

// One step of the decoder takes a whole byte: (node of the code's tree, byte) → next node, and the symbols that end in it.
// Codes have 5 bits at least and fewer than 8 are pending, so a byte ends two at most. A cell: next node in bits 0–7,
// first symbol in 8–15, second in 16–23, their number in 24–25, and FAULT where EOS, which must not occur, has ended.
const FAULT = 1 << 26;
const STEPS = new Uint32Array(256 * 256);
/** 1 for the nodes where a string may end: behind fewer than 8 bits, all of them 1. */
const MAY_END = new Uint8Array(256);

build();

/** Children of the inner nodes, two cells each: a node, or ~symbol. */
function tree(): Int32Array {
  const children = new Int32Array(256 * 2);
  let nodes = 1;
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = 0;
    for (let bit = CODE_BITS[symbol]! - 1; bit >= 0; bit--) {
      const cell = node * 2 + ((CODES[symbol]! >>> bit) & 1);
      if (bit === 0) children[cell] = ~symbol;
      else node = children[cell]! === 0 ? (children[cell] = nodes++) : children[cell]!;
    }
  }
  return children;
}

function build(): void {
  const children = tree();
  for (let node = 0; node < 256; node++) {
    for (let byte = 0; byte < 256; byte++) STEPS[node * 256 + byte] = step(children, node, byte);
  }
  for (let node = 0, ones = 0; ones < 8; ones++, node = children[node * 2 + 1]!) MAY_END[node] = 1;
}

function step(children: Int32Array, node: number, byte: number): number {
  let symbols = 0;
  let count = 0;
  for (let bit = 7; bit >= 0; bit--) {
    const child = children[node * 2 + ((byte >> bit) & 1)]!;
    if (child >= 0) node = child;
    else {
      if (~child === EOS) return FAULT;
      symbols |= ~child << (8 + 8 * count++);
      node = 0;
    }
  }
  return symbols | (count << 24) | node;
}

/** An encoded string is at least 5 bits a symbol; one more for the second symbol that each step writes. */
export function maxDecoded(bytes: number): number {
  return Math.floor((bytes * 8) / 5) + 2;
}

/** Decodes `from[start, end)` to `to[at, …)`, which has room for `maxDecoded`; returns where it ends, -1 = malformed. */
export function huffmanDecode(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): number {
  let node = 0;
  let faults = 0;
  for (let i = start; i < end; i++) {
    const cell = STEPS[(node << 8) | from[i]!]!;
    to[at] = cell >>> 8;
    to[at + 1] = cell >>> 16;
    at += (cell >>> 24) & 3;
    faults |= cell;
    node = cell & 255;
  }
  return (faults & FAULT) === 0 && MAY_END[node] === 1 ? at : -1;
}

/** Bytes of the encoded latin1 text. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += CODE_BITS[text.charCodeAt(i) & 255]!;
  return (bits + 7) >>> 3;
}

/** Encodes latin1 text to `to[at, …)`; returns where it ends. */
export function huffmanEncode(text: string, to: Uint8Array, at: number): number {
  // Up to 7 bits are pending when a code of up to 30 comes: long codes go in two parts.
  let pending = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 255;
    let length = CODE_BITS[symbol]!;
    const code = CODES[symbol]!;
    if (length > 16) {
      length -= 16;
      pending = (pending << length) | (code >>> 16);
      bits += length;
      while (bits >= 8) to[at++] = pending >>> (bits -= 8);
      length = 16;
    }
    pending = (pending << length) | (code & 0xffff);
    bits += length;
    while (bits >= 8) to[at++] = pending >>> (bits -= 8);
  }
  // RFC 7541, 5.2: padded with the beginning of EOS, ones.
  if (bits > 0) to[at++] = (pending << (8 - bits)) | (0xff >>> bits);
  return at;
}
