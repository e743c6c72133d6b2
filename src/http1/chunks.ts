/** Framing a body in chunks again (RFC 9112, 7.1). All results are latin1 text. */

/** Behind the data of every chunk. */
export const CHUNK_END = '\r\n';

/** The end of a chunked body without trailers. */
export const LAST_CHUNK = '0\r\n\r\n';

/** In front of `size` bytes of data; `size` is at least 1, since 0 would end the body. */
export function chunkHeader(size: number): string {
  return `${size.toString(16)}\r\n`;
}

/** The end of a chunked body; `trailers` as `onTrailers` gave them, empty = none. */
export function lastChunk(trailers: string): string {
  return trailers === '' ? LAST_CHUNK : `0\r\n${trailers}\r\n`;
}
