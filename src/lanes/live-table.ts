/** The routing table as the data path reads it: compiled routes joined to live pools, live affinities and their counter cells. */
import type { LiveAffinity } from '../affinity/build.ts';
import type { HostIndex } from '../match/router.ts';
import type { LivePool } from '../model/live.ts';
import type { Route } from '../model/table.ts';
import type { Cells } from '../shared/cells.ts';

/** Where one thing is counted by this worker: fields from `at` on in `cells`. */
export interface CellRef {
  readonly cells: Cells;
  readonly at: number;
}

/** A pool under its key. An endpoint change swaps `live` and leaves every route as it is. */
export interface PoolRef {
  live: LivePool;
}

/** An affinity under its id. A policy change swaps `live` and leaves every route as it is. */
export interface AffinityRef {
  live: LiveAffinity;
  policy: CellRef;
  /** Decisions by rule; index = rule + 1, 0 = no rule chose. */
  rules: readonly CellRef[];
}

export interface LiveRoute {
  readonly route: Route;
  readonly pool: PoolRef | undefined;
  readonly affinity: AffinityRef | undefined;
  /** Decisions of a route without affinity. */
  readonly stateless: CellRef;
  /** Requests by class of status. */
  readonly requests: CellRef;
  /** The Service's duration histogram. */
  readonly durations: CellRef;
}

export type LiveTable = HostIndex<LiveRoute>;
