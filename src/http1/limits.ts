/** How large the parts of a message may be. */

export interface HeadLimits {
  /** Bytes of the start line, header lines and the empty line; the trailer section on its own has the same limit. */
  readonly head: number;
  /** Number of header lines; of trailer lines on their own. */
  readonly headers: number;
  /** Bytes of the request target. */
  readonly target: number;
}

export const DEFAULT_LIMITS: HeadLimits = { head: 16_384, headers: 100, target: 8_192 };

/** Bytes of the extensions of one chunk: they are dropped, so nobody needs long ones. */
export const CHUNK_EXTENSION_LIMIT = 256;
