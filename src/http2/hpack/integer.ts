/** Integers of HPACK (RFC 7541, 5.1). */

/** More than any length or index that can be right, and far from overflow. */
const LIMIT = 1 << 24;

/** Where the integer that `readInteger` has read ends: one for all, since nothing here is async. */
export const cursor = { at: 0 };

/**
 * Reads the integer whose prefix is `mask` of the byte at `start`; -1 = it is cut off, too large or padded with zeros
 * beyond 4 bytes. Sets `cursor.at` behind it.
 */
export function readInteger(buffer: Uint8Array, start: number, end: number, mask: number): number {
  let value = buffer[start]! & mask;
  let at = start + 1;
  if (value === mask) {
    for (let shift = 0; ; shift += 7) {
      if (at >= end || shift > 21) return -1;
      const byte = buffer[at++]!;
      value += (byte & 127) << shift;
      if (byte < 128) break;
    }
    if (value > LIMIT) return -1;
  }
  cursor.at = at;
  return value;
}

/** Writes `value` with the bits above the prefix `mask` set to `first`; returns where it ends. */
export function writeInteger(to: Uint8Array, at: number, first: number, mask: number, value: number): number {
  if (value < mask) {
    to[at++] = first | value;
    return at;
  }
  to[at++] = first | mask;
  let rest = value - mask;
  for (; rest >= 128; rest >>>= 7) to[at++] = (rest & 127) | 128;
  to[at++] = rest;
  return at;
}
