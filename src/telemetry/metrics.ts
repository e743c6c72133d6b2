/** The Prometheus registry: nothing is counted here, every scrape reads the shared cells. */
import { setImmediate } from 'node:timers/promises';
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import { BalanceFigures, SAMPLE_MS } from './balance.ts';
import { registerEndpointMetrics } from './endpoint-metrics.ts';
import { registerProcessMetrics } from './process-metrics.ts';
import { registerRequestMetrics } from './request-metrics.ts';
import type { MetricsSource } from './source.ts';
import { registerStoreMetrics } from './store-metrics.ts';
import { registerWatchMetrics } from './watch-metrics.ts';

/** Seconds; an endpoint change shall be live in every worker within 20 ms. */
const PROPAGATION_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1];

export class Metrics {
  readonly #source: MetricsSource;
  readonly #registry = new Registry();
  readonly #balance: BalanceFigures;
  readonly #propagation: Histogram;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: MetricsSource) {
    this.#source = source;
    this.#balance = new BalanceFigures(source.counted);
    this.#propagation = new Histogram({
      name: 'holdfast_config_propagation_seconds',
      help: 'From the arrival of the first event of a change until every worker serves by it.',
      buckets: PROPAGATION_BUCKETS,
      registers: [this.#registry],
    });
    registerRequestMetrics(this.#registry, source);
    registerEndpointMetrics(this.#registry, source, this.#balance);
    registerProcessMetrics(this.#registry, source);
    registerStoreMetrics(this.#registry, source);
    registerWatchMetrics(this.#registry, source);
    collectDefaultMetrics({ register: this.#registry });
  }

  start(): void {
    this.#balance.sample(this.#source.pools());
    this.#timer = setInterval(() => {
      this.#balance.sample(this.#source.pools());
    }, SAMPLE_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  propagated(seconds: number): void {
    this.#propagation.observe(seconds);
  }

  /** A metric at a time: those of a large cluster together take a second, in which no change would go live. */
  async text(): Promise<{ contentType: string; body: string }> {
    const parts: string[] = [];
    for (const { name } of this.#registry.getMetricsAsArray()) {
      parts.push(await this.#registry.getSingleMetricAsString(name));
      await setImmediate();
    }
    return { contentType: this.#registry.contentType, body: `${parts.join('\n\n')}\n` };
  }
}
