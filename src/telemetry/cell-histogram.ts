/** A Prometheus histogram whose buckets stand in shared cells instead of in the client library. */
import type { Metric, MetricValueWithName } from 'prom-client';

export interface HistogramSeries {
  readonly labels: Readonly<Record<string, string>>;
  /** Count per bucket, not cumulative; one more than there are bounds: the last is the overflow. */
  readonly counts: readonly number[];
  readonly sum: number;
}

type Sample = MetricValueWithName<string>;

/** A metric for `registry.registerMetric`. `bounds`: upper bounds of the buckets; `read` is called at every scrape. */
export function cellHistogram(
  name: string,
  help: string,
  bounds: readonly number[],
  read: () => Iterable<HistogramSeries>,
): Metric {
  const get = () => {
    const values = [...read()].flatMap((series) => samples(name, bounds, series));
    return Promise.resolve({ name, help, type: 'histogram', values, aggregator: 'sum' });
  };
  // The library's own Histogram can only observe; a registry asks of a metric nothing but its name and `get()`.
  return { name, get } as unknown as Metric;
}

function samples(name: string, bounds: readonly number[], { labels, counts, sum }: HistogramSeries): Sample[] {
  let total = 0;
  const buckets = [...bounds.map(String), '+Inf'].map((le, i) => {
    total += counts[i] ?? 0;
    return { labels: { ...labels, le }, value: total, metricName: `${name}_bucket` };
  });
  return [
    ...buckets,
    { labels, value: sum, metricName: `${name}_sum` },
    { labels, value: total, metricName: `${name}_count` },
  ];
}
