/** What the metrics are read from. */
import type { PoolKey } from '../model/ids.ts';
import type { Counted } from '../shared/counted.ts';
import type { PoolData } from '../shared/messages.ts';

export interface MetricsSource {
  readonly counted: Counted;
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
  /** Of the last full compile. */
  compileSeconds(): number;
  /** Wall clock ms of the last change that went live. */
  lastSuccess(): number;
}
