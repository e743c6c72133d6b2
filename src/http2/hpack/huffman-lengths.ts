/**
 * The Huffman code of HPACK (RFC 7541, Appendix B): bits of the code of each byte, then of EOS. The code is canonical (codes
 * of one length count up in the order of their symbols, shorter codes come first), so the lengths are all there is to know.
 */

/** A row for 16 symbols. */
const LENGTHS = `
  13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28
  28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
  6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6
  5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
  13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7
  7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
  15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5
  6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28
  20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23
  24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
  22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23
  21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
  26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25
  19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
  20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23
  26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
  30`;

export const EOS = 256;

/** Bits of the code of symbol i; 257 of them. */
export const CODE_BITS = Uint8Array.from(LENGTHS.trim().split(/\s+/), Number);

/** The code of symbol i, right-aligned. */
export const CODES = canonicalCodes(CODE_BITS);

function canonicalCodes(bits: Uint8Array): Uint32Array {
  const symbols = Array.from(bits, (_, symbol) => symbol).sort((a, b) => bits[a]! - bits[b]! || a - b);
  const codes = new Uint32Array(bits.length);
  let code = 0;
  let length = 0;
  for (const symbol of symbols) {
    code <<= bits[symbol]! - length;
    length = bits[symbol]!;
    codes[symbol] = code++;
  }
  return codes;
}
