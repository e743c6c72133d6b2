/** The shapes a worker's hot path reads: pools with their endpoints indexed for look-ups, and the shared meters. */
import type { IdentityKind, PoolKey } from './ids.ts';

/** Endpoint states as small integers, compared on the hot path. */
export const READY = 0;
export const DRAINING = 1;
export const NOT_READY = 2;

export interface LiveEndpoint {
  /** Row in the shared arrays (in-flight, counters, health). */
  readonly slot: number;
  readonly address: string;
  readonly port: number;
  /** Label of metrics and logs. */
  readonly pod: string;
  readonly state: number;
  /** When the state began: wall clock, ms. */
  readonly since: number;
}

/** Look-ups of one pool under one identity kind. Arrays are parallel to `LivePool.endpoints`. */
export interface IdentityView {
  /** Two 32-bit rendezvous seeds per endpoint: seeds[2i], seeds[2i+1]. */
  readonly seeds: Int32Array;
  /** First 12 characters of a token (format, key id, endpoint tag) → index of the endpoint; all known keys. */
  readonly byPrefix: ReadonlyMap<string, number>;
  /** The 12 characters under the issuing key `keyId`, per endpoint. */
  readonly prefixes: ReadonlyMap<number, readonly string[]>;
}

export interface LivePool {
  readonly key: PoolKey;
  /** Row of the pool's round-robin cursor. */
  readonly slot: number;
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
  readonly endpoints: readonly LiveEndpoint[];
  /** Indices of Ready endpoints. */
  readonly ready: Int32Array;
  /** Indices of Draining endpoints. */
  readonly draining: Int32Array;
  readonly identity: Readonly<Record<IdentityKind, IdentityView>>;
}

/** What selection needs from shared memory; slots are `LiveEndpoint.slot` / `LivePool.slot`. */
export interface Meters {
  /** Requests in flight at an endpoint, over all workers. */
  inFlight(slot: number): number;
  /** Order of last choice over all workers; 0 = never chosen. Compare with wrap-around. */
  lastChosen(slot: number): number;
  markChosen(slot: number): void;
  /** Atomically takes the pool's next turn: 0, 1, 2, … */
  nextTurn(poolSlot: number): number;
  /** Wall clock ms of an endpoint's first connect failure since it last worked; 0 = healthy. */
  failingSince(slot: number): number;
}
