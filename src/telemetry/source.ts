/** What the metrics are read from. */
import type { PoolKey } from '../model/ids.ts';
import type { Counted } from '../shared/counted.ts';
import type { PoolData } from '../shared/messages.ts';
import type { SessionTableFigures } from '../shared/session-sweep.ts';

export interface MetricsSource {
  readonly counted: Counted;
  /** Of the session table. */
  sessions(): SessionTableFigures;
  readonly perEndpoint: 'auto' | 'on' | 'off';
  readonly restarts: readonly number[];
  /** The pools in force. */
  pools(): Iterable<PoolData>;
  /** `policy` labels of the routes that lead to each pool; a pool that is missing has routes without one only. */
  policiesByPool(): ReadonlyMap<PoolKey, ReadonlySet<string>>;
  /** Objects known, by kind. */
  objects(): ReadonlyMap<string, number>;
  /** Problems in force, by kind of object. */
  problems(): ReadonlyMap<string, number>;
  /** Log lines thrown away so far. */
  logLinesDropped(): number;
  /** How the watches on the cluster are doing, by kind; empty without a cluster. */
  watches(): Iterable<{
    readonly kind: string;
    readonly connected: boolean;
    /** ms; undefined = nothing was heard yet. */
    readonly lastEventAge: number | undefined;
    readonly relists: number;
  }>;
  /** Whether this replica writes; undefined = there is no cluster to write to. */
  leading(): boolean | undefined;
  /** Of the last full compile. */
  compileSeconds(): number;
  /** Wall clock ms of the last change that went live. */
  lastSuccess(): number;
}
