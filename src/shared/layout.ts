/** What the shared cells hold: one block per kind of thing that is counted, and the meaning of each field. */
import { OUTCOMES, REASONS } from '../model/decision.ts';

/**
 * Slots in one chunk. A power of two: a slot's chunk is `slot >> CHUNK_SHIFT`, its place there `slot & CHUNK_MASK`. So many
 * that the C library maps a large block's chunk by itself: then only pages that something has been counted in take memory.
 */
export const CHUNK_SHIFT = 13;
export const CHUNK_SLOTS = 1 << CHUNK_SHIFT;
export const CHUNK_MASK = CHUNK_SLOTS - 1;

/** Per endpoint, a row per worker, Float64. */
export const ENDPOINT = { requests: 0, newSessions: 1, connectFailures: 2, responseSeconds: 3, responses: 4 } as const;
export type EndpointField = (typeof ENDPOINT)[keyof typeof ENDPOINT];
/** Per endpoint, a row per worker, Int32: gauges that a dead worker's successor starts again at 0. */
export const GAUGE = { inFlight: 0, upgraded: 1 } as const;
export type EndpointGauge = (typeof GAUGE)[keyof typeof GAUGE];
/** Per endpoint, a row per worker, Float64: ms, and the wall clock ms when it was that. */
export const LATENCY = { peak: 0, at: 1 } as const;
/** Per endpoint, one row for all workers, Int32, written with Atomics. */
export const MARK = { chosen: 0, failingSince: 1 } as const;
/** Sessions of an endpoint, one row for all workers, Int32, written with Atomics. `active`: their token or key has come back. */
export const SESSION = { live: 0, active: 1 } as const;
/** Per pool, one row for all workers, Int32, written with Atomics. */
export const POOL = { turn: 0 } as const;

/** Upper bounds of the duration histogram's buckets, seconds (nginx-ingress's, which its users' dashboards know). */
export const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
/** Per Service: one count a bucket (not cumulative), the overflow bucket, then the sum in seconds. */
export const DURATION_SUM = DURATION_BUCKETS.length + 1;

/** Per (Ingress, Service): requests by first digit of the status, index = digit - 1. */
export const CODE_CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** Per (policy, rule): a matrix outcome × reason. */
export function decisionField(outcome: number, reason: number): number {
  return outcome * REASONS.length + reason;
}

/** Per (policy, rule): failed evaluations of its expressions. */
export const CEL_ERRORS = OUTCOMES.length * REASONS.length;

/** Per policy. */
export const INVALID_TOKEN = { invalid_token: 0, unknown_key: 1 } as const;
const FIRST_MOVE = 2;

/** Per policy: sessions that moved, by REASONS index. */
export function movesField(reason: number): number {
  return FIRST_MOVE + reason;
}

/** Limits that are counted by name when hit. */
export const LIMITS = [
  'connections',
  'requests_per_connection',
  'head_bytes',
  'headers',
  'target_bytes',
  'proxy_protocol',
  'head_timeout',
  'idle_timeout',
  'body_timeout',
  'connect_timeout',
  'response_timeout',
  'response_body_timeout',
  'endpoint_in_flight',
  'gone_waiting',
  'http2_streams',
  'http2_block_bytes',
  'http2_continuation_flood',
  'http2_reset_flood',
  'http2_ping_flood',
  'http2_settings_flood',
  'http2_empty_data_flood',
  'http2_window_update_flood',
  'http2_idle_frame_flood',
  'worker_shed',
  'access_log_dropped',
] as const;
export type Limit = (typeof LIMITS)[number];

/** Whose fault an error answer was. Its status is any 4xx or 5xx: a policy may choose one. */
export const ERROR_SOURCES = ['client', 'upstream', 'internal'] as const;
export type ErrorSource = (typeof ERROR_SOURCES)[number];
export const FIRST_ERROR_CODE = 400;
export const ERROR_CODES = 200;

const GLOBAL_SCALARS = [
  'connections',
  'connectionsTotal',
  'retries',
  'bytesIn',
  'bytesOut',
  'eventLoopLag',
  'exchanges',
] as const;

/** One slot per worker and process: scalars, then limit hits, then errors by source × code. */
export const GLOBAL = {
  connections: 0,
  connectionsTotal: 1,
  retries: 2,
  bytesIn: 3,
  bytesOut: 4,
  eventLoopLag: 5,
  exchanges: 6,
  limits: GLOBAL_SCALARS.length,
  errors: GLOBAL_SCALARS.length + LIMITS.length,
} as const;
/** Scalars that are gauges: a dead worker's are dropped, not added to the base row. */
export const GLOBAL_GAUGES: readonly number[] = [GLOBAL.connections, GLOBAL.eventLoopLag, GLOBAL.exchanges];

export function errorField(source: ErrorSource, code: number): number {
  return GLOBAL.errors + ERROR_SOURCES.indexOf(source) * ERROR_CODES + (code - FIRST_ERROR_CODE);
}

/** Upper bounds of the buckets of the session store's answer times, seconds; a request waits 50 ms at most. */
export const STORE_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05] as const;
/** Questions to the session store: how many, how many without an answer; one count a bucket, the overflow bucket, the sum in seconds. */
export const STORE = { requests: 0, errors: 1, buckets: 2, sum: 3 + STORE_BUCKETS.length } as const;

/** Of the buckets with these upper bounds, the one that counts the value; past the last = the overflow bucket. */
export function bucketOf(bounds: readonly number[], value: number): number {
  let bucket = 0;
  while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket++;
  return bucket;
}

interface BlockLayout {
  readonly fields: number;
  readonly cells: 'float64' | 'int32';
  /** `perWorker`: a row per worker, each with one writer, and a base row of the main thread; `common`: one row, Atomics. */
  readonly rows: 'perWorker' | 'common';
  /** Of one chunk. */
  readonly slots: number;
}

export const BLOCKS = {
  endpoint: { fields: 5, cells: 'float64', rows: 'perWorker', slots: CHUNK_SLOTS },
  gauge: { fields: 2, cells: 'int32', rows: 'perWorker', slots: CHUNK_SLOTS },
  latency: { fields: 2, cells: 'float64', rows: 'perWorker', slots: CHUNK_SLOTS },
  mark: { fields: 2, cells: 'int32', rows: 'common', slots: CHUNK_SLOTS },
  session: { fields: 2, cells: 'int32', rows: 'common', slots: CHUNK_SLOTS },
  pool: { fields: 1, cells: 'int32', rows: 'common', slots: CHUNK_SLOTS },
  /** Per policy: when a session was last moved by rebalancing. */
  turn: { fields: 1, cells: 'int32', rows: 'common', slots: CHUNK_SLOTS },
  /** One slot: how many choices were made so far, over all pools. */
  order: { fields: 1, cells: 'int32', rows: 'common', slots: 1 },
  route: { fields: CODE_CLASSES.length, cells: 'float64', rows: 'perWorker', slots: CHUNK_SLOTS },
  service: { fields: DURATION_SUM + 1, cells: 'float64', rows: 'perWorker', slots: CHUNK_SLOTS },
  rule: { fields: CEL_ERRORS + 1, cells: 'float64', rows: 'perWorker', slots: CHUNK_SLOTS },
  policy: { fields: FIRST_MOVE + REASONS.length, cells: 'float64', rows: 'perWorker', slots: CHUNK_SLOTS },
  /** One slot. */
  store: { fields: STORE.sum + 1, cells: 'float64', rows: 'perWorker', slots: 1 },
  global: {
    fields: GLOBAL_SCALARS.length + LIMITS.length + ERROR_SOURCES.length * ERROR_CODES,
    cells: 'float64',
    rows: 'perWorker',
    slots: 1,
  },
} as const satisfies Record<string, BlockLayout>;

export type BlockName = keyof typeof BLOCKS;
