/** A Prometheus histogram whose buckets stand in shared cells instead of in the client library. */
import { Histogram } from 'prom-client';
import type { MetricObjectWithValues, MetricValueWithName } from 'prom-client';

export interface HistogramSeries {
  readonly labels: Readonly<Record<string, string>>;
  /** Count per bucket, not cumulative; one more than there are bounds: the last is the overflow. */
  readonly counts: readonly number[];
  readonly sum: number;
}

type Sample = MetricValueWithName<string>;

export class CellHistogram extends Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #bounds: readonly number[];
  readonly #read: () => Iterable<HistogramSeries>;

  constructor(
    name: string,
    help: string,
    labelNames: string[],
    bounds: readonly number[],
    read: () => Iterable<HistogramSeries>,
  ) {
    super({ name, help, labelNames, buckets: [...bounds], registers: [] });
    this.#name = name;
    this.#help = help;
    this.#bounds = bounds;
    this.#read = read;
  }

  override get(): Promise<MetricObjectWithValues<Sample>> {
    const values: Sample[] = [];
    for (const series of this.#read()) values.push(...this.#samples(series));
    const result = { name: this.#name, help: this.#help, type: 'histogram', values, aggregator: 'sum' };
    return Promise.resolve(result as unknown as MetricObjectWithValues<Sample>);
  }

  #samples({ labels, counts, sum }: HistogramSeries): Sample[] {
    let total = 0;
    const buckets = [...this.#bounds.map(String), '+Inf'].map((le, i) => {
      total += counts[i] ?? 0;
      return { labels: { ...labels, le }, value: total, metricName: `${this.#name}_bucket` };
    });
    return [
      ...buckets,
      { labels, value: sum, metricName: `${this.#name}_sum` },
      { labels, value: total, metricName: `${this.#name}_count` },
    ];
  }
}
