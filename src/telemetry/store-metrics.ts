/** Metrics of the session store: questions, those without an answer, and how long they took. */
import { Counter } from 'prom-client';
import type { Registry } from 'prom-client';
import { STORE, STORE_BUCKETS } from '../shared/layout.ts';
import { cellHistogram } from './cell-histogram.ts';
import type { MetricsSource } from './source.ts';

export function registerStoreMetrics(registry: Registry, { counted }: MetricsSource): void {
  const { store } = counted.blocks;
  const counters = [
    ['requests', 'Questions to the session store, probes included.', STORE.requests],
    ['errors', 'Questions to the session store that it did not answer in time, or refused.', STORE.errors],
  ] as const;
  for (const [name, help, field] of counters) {
    new Counter({
      name: `holdfast_session_store_${name}_total`,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(store.sum(0, field));
      },
    });
  }
  registry.registerMetric(
    cellHistogram(
      'holdfast_session_store_seconds',
      'Time until the session store answered, or was given up.',
      STORE_BUCKETS,
      () => [
        {
          labels: {},
          counts: Array.from({ length: STORE_BUCKETS.length + 1 }, (_, i) => store.sum(0, STORE.buckets + i)),
          sum: store.sum(0, STORE.sum),
        },
      ],
    ),
  );
}
