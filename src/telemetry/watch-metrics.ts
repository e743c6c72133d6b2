/** Metrics of the watches on the cluster; without one there are no series. */
import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import type { MetricsSource } from './source.ts';

export function registerWatchMetrics(registry: Registry, source: MetricsSource): void {
  new Gauge({
    name: 'holdfast_watch_connected',
    help: 'Whether changes of a kind are heard: 1 while every watch of it runs.',
    labelNames: ['kind'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { kind, connected } of source.watches()) this.set({ kind }, connected ? 1 : 0);
    },
  });
  new Gauge({
    name: 'holdfast_watch_last_event_age_seconds',
    help: 'Since the API server last said anything about a kind; it does so about once a minute even when nothing changes.',
    labelNames: ['kind'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { kind, lastEventAge } of source.watches()) {
        if (lastEventAge !== undefined) this.set({ kind }, lastEventAge / 1000);
      }
    },
  });
  new Counter({
    name: 'holdfast_watch_relists_total',
    help: 'How often a kind had to be listed again.',
    labelNames: ['kind'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { kind, relists } of source.watches()) this.inc({ kind }, relists);
    },
  });
}
