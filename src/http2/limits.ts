/** How much a peer may send, open and ask for. */

export interface Http2Limits {
  /** Streams that the peer may have open at once. */
  readonly streams: number;
  /** Bytes of a field section as SETTINGS_MAX_HEADER_LIST_SIZE counts them: 32 more for each field. */
  readonly headerList: number;
  /** Fields of a head; of trailers on their own. */
  readonly headers: number;
  /** Bytes of the request target. */
  readonly target: number;
  /** Bytes of an encoded field block, and CONTINUATION frames that it may take. */
  readonly block: number;
  readonly continuations: number;
  /** Bytes that a stream, and all of them, may send before somebody has consumed them; 65,535 at least. */
  readonly streamWindow: number;
  readonly connectionWindow: number;
  /** Takes extended CONNECT (RFC 8441). */
  readonly extendedConnect: boolean;
  readonly abuse: AbuseLimits;
}

/** Frames in `ABUSE_INTERVAL_MS`. */
export interface AbuseLimits {
  /** Streams that the peer resets, or that we reset for its faults (CVE-2023-44487 and CVE-2025-8671). */
  readonly resets: number;
  readonly pings: number;
  readonly settings: number;
  /** DATA without data that ends nothing. */
  readonly emptyData: number;
  /** WINDOW_UPDATEs beyond those that our own DATA may cause. */
  readonly windowUpdates: number;
  /** PRIORITY, frames of unknown type, frames on streams that are over. */
  readonly idleFrames: number;
}

export const ABUSE_INTERVAL_MS = 10_000;

const STREAMS = 100;
const STREAM_WINDOW = 131_072;

/**
 * Windows: a stream fills 128 KiB × 8 / 50 ms = 21 Mbit/s at a round trip of 50 ms. The connection's is the sum of its
 * streams', so that those whose endpoints take nothing hold up no other; it is also what a connection can make us hold.
 */
export const DEFAULT_LIMITS: Http2Limits = {
  streams: STREAMS,
  headerList: 16_384,
  headers: 100,
  target: 8_192,
  block: 65_536,
  continuations: 16,
  streamWindow: STREAM_WINDOW,
  connectionWindow: STREAMS * STREAM_WINDOW,
  extendedConnect: true,
  abuse: { resets: 200, pings: 500, settings: 20, emptyData: 200, windowUpdates: 2_000, idleFrames: 2_000 },
};

/** Endpoints are no strangers: gRPC servers measure their way to us by PING and SETTINGS, and one connection serves many. */
export const BACKEND_LIMITS: Http2Limits = {
  ...DEFAULT_LIMITS,
  streams: 1_000,
  connectionWindow: 8 * DEFAULT_LIMITS.connectionWindow,
  extendedConnect: false,
  abuse: {
    resets: 20_000,
    pings: 20_000,
    settings: 2_000,
    emptyData: 20_000,
    windowUpdates: 200_000,
    idleFrames: 200_000,
  },
};
