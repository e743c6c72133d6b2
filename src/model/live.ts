/** The shapes a worker's hot path reads: pools with their endpoints indexed for look-ups, and the shared meters. */
import type { IdentityKind, PoolKey } from './ids.ts';
import type { BackendProtocol } from './transport.ts';

/** Endpoint states as small integers, compared on the hot path. */
export const READY = 0;
export const DRAINING = 1;
export const NOT_READY = 2;

/** What the endpoints of a Service port have in common for who dials them. */
export interface LiveService {
  readonly namespace: string;
  readonly name: string;
  readonly protocol: BackendProtocol;
}

export interface LiveEndpoint {
  /** Row in the shared arrays (in-flight, counters, health). */
  readonly slot: number;
  /** The slot and its generation in one word: what the session table keeps. */
  readonly ref: number;
  readonly address: string;
  readonly port: number;
  readonly service: LiveService;
  /** Label of metrics and logs. */
  readonly pod: string;
  /** Its id in cookies of format Plain, when its pod's annotation gives one; else `pod` is. */
  readonly cookieValue?: string | undefined;
  /** As in `Endpoint`. */
  readonly version?: string | undefined;
  readonly state: number;
  /** As in `Endpoint`. */
  readonly since: number;
  /** As in `Endpoint`. */
  readonly wasReady: boolean;
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

/** Endpoints that may be chosen, by state; indices into a pool's endpoints. */
export interface Candidates {
  readonly ready: Int32Array;
  readonly draining: Int32Array;
}

/** One of the Services that requests are divided among. */
export interface PoolPart {
  readonly pool: LivePool;
  /** Index of its first endpoint in the joined pool. */
  readonly first: number;
  /** Of new sessions, in proportion to the others'; 0 = none. */
  readonly weight: number;
  /** Two 32-bit seeds of its place in a key's order of the parts. */
  readonly seeds: readonly [number, number];
  /** How tokens under each key name it: `KeyRing.backendTag`. */
  readonly tags: ReadonlyMap<number, number>;
}

export interface LivePool extends Candidates {
  readonly key: PoolKey;
  /** Row of the pool's round-robin cursor. */
  readonly slot: number;
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
  /** As in `Pool`. */
  readonly portName?: string | undefined;
  readonly endpoints: readonly LiveEndpoint[];
  /** As in `Pool`. */
  readonly newest?: string | undefined;
  /** Indices of Ready endpoints. */
  readonly ready: Int32Array;
  /** Indices of Draining endpoints. */
  readonly draining: Int32Array;
  readonly identity: Readonly<Record<IdentityKind, IdentityView>>;
  /** When this thread first had the pool: wall clock, ms. */
  readonly firstSeen: number;
  /** Endpoints that have left it lately, by the first 12 characters of their tokens and by their plain ids: when, wall clock ms. */
  readonly left: ReadonlyMap<string, number>;
  /** The pools that it is joined from, by their first endpoints; undefined = it is that of one Service port. */
  readonly parts?: readonly PoolPart[] | undefined;
  /** The part that all requests shall go to, sessions of the others too; undefined = they stay. */
  readonly only?: PoolPart | undefined;
}

/** What selection needs from shared memory; slots are `LiveEndpoint.slot` / `LivePool.slot`. */
export interface Meters {
  /** Requests in flight at an endpoint, over all workers. */
  inFlight(slot: number): number;
  /** Sessions at an endpoint that are not over, from the moment their token is issued. */
  sessions(slot: number): number;
  /** Order of last choice over all workers; 0 = never chosen. Compare with wrap-around. */
  lastChosen(slot: number): number;
  markChosen(slot: number): void;
  /** Atomically takes the pool's next turn: 0, 1, 2, … */
  nextTurn(poolSlot: number): number;
  /** How slowly an endpoint answers, ms; 0 = nothing is known. `now`: wall clock, ms. */
  latency(slot: number, now: number): number;
  /** Wall clock ms of an endpoint's first connect failure since it last worked; 0 = healthy. */
  failingSince(slot: number): number;
}

/** The session table's two parts: what it alone knows (keys of modes Table and Learn), and what it merely saw (tokens, hashed keys). */
export const AUTHORITATIVE = 0;
export const OBSERVED = 1;
/** In the place of a ref: the table has no entry. Slots do not come that far. */
export const ABSENT = -2;
export type SessionRegion = typeof AUTHORITATIVE | typeof OBSERVED;

/** A session as the table has it; filled in by a look-up. */
export interface SessionView {
  /** `LiveEndpoint.ref` of its endpoint. */
  ref: number;
  /** Wall clock, ms. */
  lastSeen: number;
  firstSeen: number;
}

/** What deciding asks the session table. */
export interface Sessions {
  /** Looks a live session up by its fingerprint; false = it is not there. */
  find(region: SessionRegion, high: number, low: number, now: number, view: SessionView): boolean;
}

/** An endpoint by its place in a pool. */
export interface EndpointPlace {
  readonly pool: LivePool;
  readonly index: number;
}
