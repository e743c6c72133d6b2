/** A Prometheus histogram whose buckets stand in shared cells instead of in the client library. */
import { setImmediate } from 'node:timers/promises';
import type { Metric, MetricValueWithName } from 'prom-client';

export interface HistogramSeries {
  readonly labels: Readonly<Record<string, string>>;
  /** Count per bucket, not cumulative; one more than there are bounds: the last is the overflow. */
  readonly counts: readonly number[];
  readonly sum: number;
}

/** Shared labels are written out once for all samples of a series. */
type Sample = MetricValueWithName<string> & { readonly sharedLabels: HistogramSeries['labels'] };

/** Series read before other work has its turn. */
const SLICE = 200;
const NONE = {};

/** A metric for `registry.registerMetric`. `bounds`: upper bounds of the buckets; `read` is called at every scrape. */
export function cellHistogram(
  name: string,
  help: string,
  bounds: readonly number[],
  read: () => Iterable<HistogramSeries>,
): Metric {
  const labels = [...bounds.map(String), '+Inf'].map((le) => ({ le }));
  const get = async () => {
    const values: Sample[] = [];
    let done = 0;
    for (const series of read()) {
      addSamples(values, name, labels, series);
      if (++done % SLICE === 0) await setImmediate();
    }
    return { name, help, type: 'histogram', values, aggregator: 'sum' };
  };
  // The library's own Histogram can only observe; a registry asks of a metric nothing but its name and `get()`.
  return { name, get } as unknown as Metric;
}

function addSamples(
  values: Sample[],
  name: string,
  buckets: readonly { readonly le: string }[],
  { labels: sharedLabels, counts, sum }: HistogramSeries,
): void {
  let total = 0;
  for (const [i, labels] of buckets.entries()) {
    total += counts[i] ?? 0;
    values.push({ sharedLabels, labels, value: total, metricName: `${name}_bucket` });
  }
  values.push({ sharedLabels, labels: NONE, value: sum, metricName: `${name}_sum` });
  values.push({ sharedLabels, labels: NONE, value: total, metricName: `${name}_count` });
}
