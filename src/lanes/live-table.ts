/** The routing table as the data path reads it: compiled routes joined to live pools, live affinities and their counter cells. */
import type { LiveAffinity } from '../affinity/build.ts';
import type { Side } from '../affinity/canary.ts';
import type { HostIndex } from '../match/router.ts';
import type { RequestFacts } from '../model/facts.ts';
import type { LivePool } from '../model/live.ts';
import type { Route } from '../model/table.ts';
import type { Cells } from '../shared/cells.ts';
import type { TlsProfile } from '../upstream/tls.ts';

/** Where one thing is counted by this worker: fields from `at` on in `cells`. */
export interface CellRef {
  readonly cells: Cells;
  readonly at: number;
}

/** A pool under its key. An endpoint change swaps `live` and leaves every route as it is. */
export interface PoolRef {
  readonly live: LivePool;
}

/** An affinity under its id. A policy change swaps `live` and leaves every route as it is. */
export interface AffinityRef {
  live: LiveAffinity;
  policy: CellRef;
  /** Decisions by rule; index = rule + 1, 0 = no rule chose. */
  rules: readonly CellRef[];
  /** The pools of the rules with `backends` whose sessions are this one's, by rule. */
  joined: ReadonlyMap<number, PoolRef>;
}

/** What TLS to endpoints asks for. A Secret's change swaps `live` and leaves every route as it is. */
export interface TlsRef {
  live: TlsProfile;
}

/** Where the requests that one Service serves for an Ingress are counted. */
export interface RouteCells {
  /** Requests by class of status. */
  readonly requests: CellRef;
  /** The Service's duration histogram. */
  readonly durations: CellRef;
}

/** A rule with `backends` at a route. */
export interface LiveSplit {
  /** Index in the policy. */
  readonly rule: number;
  readonly affinity: AffinityRef;
  /** By the name of the Service. */
  readonly counted: ReadonlyMap<string, RouteCells>;
}

/** A route's canary: its pool, and both joined in each way that a request may ask for. */
export interface LiveCanary {
  readonly weight: number;
  readonly total: number;
  /** It has no sessions. */
  readonly legacy: boolean;
  readonly wish: (facts: RequestFacts) => Side;
  readonly own: PoolRef;
  readonly divided: PoolRef;
  readonly toPrimary: PoolRef;
  readonly toCanary: PoolRef;
  /** While the canary has nobody who could serve. */
  readonly withoutCanary: PoolRef;
  /** By the name of the Service. */
  readonly counted: ReadonlyMap<string, RouteCells>;
}

export interface LiveRoute extends RouteCells {
  readonly route: Route;
  readonly pool: PoolRef | undefined;
  readonly affinity: AffinityRef | undefined;
  /** For endpoints that are spoken to over TLS. */
  readonly tls: TlsRef;
  /** Decisions of a route without affinity. */
  readonly stateless: CellRef;
  /** The first that holds takes the place of `pool` and `affinity`; undefined = there are none. */
  readonly splits: readonly LiveSplit[] | undefined;
  /** Takes part where no split holds; undefined = there is none. */
  readonly canary: LiveCanary | undefined;
}

export type LiveTable = HostIndex<LiveRoute>;
