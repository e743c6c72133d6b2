/** Metrics of single endpoints, and of how evenly a pool's endpoints are used. */
import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import { DRAINING, NOT_READY, READY } from '../model/live.ts';
import { ENDPOINT, GAUGE, SESSION } from '../shared/layout.ts';
import { slotLabels } from '../shared/slot-keys.ts';
import type { BalanceFigures } from './balance.ts';
import type { MetricsSource } from './source.ts';

/** `--metrics-per-endpoint auto`: up to so many endpoints have series of their own. */
const AUTO_LIMIT = 2000;

const LABELS = ['namespace', 'service', 'port', 'pod'] as const;
type Labels = Record<(typeof LABELS)[number], string>;

const COUNTERS = [
  ['requests_total', 'Requests sent to the endpoint.', ENDPOINT.requests],
  ['new_sessions_total', 'Sessions begun on the endpoint.', ENDPOINT.newSessions],
  ['connect_failures_total', 'Connections that the endpoint did not take.', ENDPOINT.connectFailures],
  ['response_seconds_sum', 'Seconds from the request to the head of its response.', ENDPOINT.responseSeconds],
  ['response_seconds_count', 'Responses whose time is in the sum.', ENDPOINT.responses],
] as const;

const STATES = [
  ['Ready', READY],
  ['Draining', DRAINING],
  ['NotReady', NOT_READY],
] as const;

export function registerEndpointMetrics(registry: Registry, source: MetricsSource, balance: BalanceFigures): void {
  const { counted } = source;
  for (const [name, help, field] of COUNTERS) {
    new Counter({
      name: `holdfast_endpoint_${name}`,
      help,
      labelNames: LABELS,
      registers: [registry],
      collect() {
        this.reset();
        for (const { labels, slot } of endpoints(source)) this.inc(labels, counted.blocks.endpoint.sum(slot, field));
      },
    });
  }
  new Gauge({
    name: 'holdfast_endpoint_inflight',
    help: 'Requests and upgraded connections open at the endpoint.',
    labelNames: LABELS,
    registers: [registry],
    collect() {
      this.reset();
      for (const { labels, slot } of endpoints(source))
        this.inc(labels, counted.blocks.gauge.sum(slot, GAUGE.inFlight));
    },
  });
  registerSessions(registry, source);
  registerState(registry, source);
  registerBalance(registry, source, balance);
}

function registerSessions(registry: Registry, source: MetricsSource): void {
  const { session } = source.counted.blocks;
  const active = (slot: number) => Math.max(0, session.sum(slot, SESSION.active));
  new Gauge({
    name: 'holdfast_endpoint_sessions_active',
    help: 'Sessions at the endpoint whose token or key has come back at least once and that are not over.',
    labelNames: LABELS,
    registers: [registry],
    collect() {
      this.reset();
      for (const { labels, slot } of endpoints(source)) this.inc(labels, active(slot));
    },
  });
  new Gauge({
    name: 'holdfast_draining_sessions',
    help: 'Active sessions at endpoints that are draining.',
    labelNames: LABELS,
    registers: [registry],
    collect() {
      this.reset();
      for (const { namespace, service, port, endpoints: list } of source.pools()) {
        for (const { pod, slot, state } of list) {
          if (state === DRAINING) this.inc({ namespace, service, port: String(port), pod }, active(slot));
        }
      }
    },
  });
}

function registerState(registry: Registry, source: MetricsSource): void {
  new Gauge({
    name: 'holdfast_endpoint_state',
    help: '1 for the state that the endpoint is in, 0 for the others.',
    labelNames: [...LABELS, 'state'],
    registers: [registry],
    collect() {
      this.reset();
      if (!enabled(source)) return;
      for (const { namespace, service, port, endpoints: list } of source.pools()) {
        for (const { pod, state: current } of list) {
          for (const [state, code] of STATES) {
            this.set({ namespace, service, port: String(port), pod, state }, code === current ? 1 : 0);
          }
        }
      }
    },
  });
}

function registerBalance(registry: Registry, source: MetricsSource, balance: BalanceFigures): void {
  const figures = [
    ['ratio', 'Busiest Ready endpoint ÷ mean; requests over 60 s. Absent while the mean is 0.'],
    ['cv', 'Standard deviation ÷ mean over the Ready endpoints; requests over 60 s. Absent while the mean is 0.'],
  ] as const;
  for (const [figure, help] of figures) {
    new Gauge({
      name: `holdfast_balance_${figure}`,
      help,
      labelNames: ['namespace', 'service', 'port', 'policy', 'of'],
      registers: [registry],
      collect() {
        this.reset();
        const policies = source.policiesByPool();
        for (const pool of source.pools()) {
          const { namespace, service, port } = pool;
          for (const { of, [figure]: value } of balance.of(pool)) {
            for (const policy of policies.get(pool.key) ?? [''])
              this.set({ namespace, service, port: String(port), policy, of }, value);
          }
        }
      },
    });
  }
}

function enabled({ counted, perEndpoint }: MetricsSource): boolean {
  if (perEndpoint !== 'auto') return perEndpoint === 'on';
  return counted.endpoints.size <= AUTO_LIMIT;
}

/** Those that vanished within the last minutes included. A pod that changed its address has two slots: their figures add up. */
function* endpoints(source: MetricsSource): Iterable<{ labels: Labels; slot: number }> {
  if (!enabled(source)) return;
  for (const [key, slot] of source.counted.endpoints.entries()) {
    const [namespace = '', service = '', port = '', pod = ''] = slotLabels(key);
    yield { labels: { namespace, service, port, pod }, slot };
  }
}
