/** Metrics of the process: connections, limits, errors, bytes, configuration, workers. */
import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import { ERROR_CODES, ERROR_SOURCES, errorField, FIRST_ERROR_CODE, GLOBAL, LIMITS } from '../shared/layout.ts';
import type { MetricsSource } from './source.ts';

/** The one listener that there is. */
const LISTENER = 'http';

export function registerProcessMetrics(registry: Registry, source: MetricsSource): void {
  registerTraffic(registry, source);
  registerRefusals(registry, source);
  registerConfiguration(registry, source);
  registerLeader(registry, source);
  registerWorkers(registry, source);
  registerSessionTable(registry, source);
  registerLog(registry, source);
}

function registerTraffic(registry: Registry, { counted }: MetricsSource): void {
  const { global } = counted.blocks;
  new Gauge({
    name: 'holdfast_connections',
    help: 'Client connections open.',
    labelNames: ['listener'],
    registers: [registry],
    collect() {
      this.set({ listener: LISTENER }, global.sum(0, GLOBAL.connections));
    },
  });
  const counters = [
    ['connections_total', 'Client connections accepted.', [['listener', LISTENER, GLOBAL.connectionsTotal]]],
    [
      'bytes_total',
      'Bytes read from clients and written to them.',
      [
        ['direction', 'in', GLOBAL.bytesIn],
        ['direction', 'out', GLOBAL.bytesOut],
      ],
    ],
  ] as const;
  for (const [name, help, series] of counters) {
    new Counter({
      name: `holdfast_${name}`,
      help,
      labelNames: [series[0][0]],
      registers: [registry],
      collect() {
        this.reset();
        for (const [label, value, field] of series) this.inc({ [label]: value }, global.sum(0, field));
      },
    });
  }
  new Counter({
    name: 'holdfast_retries_total',
    help: 'Further tries to reach an endpoint, the same or another.',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(global.sum(0, GLOBAL.retries));
    },
  });
}

function registerRefusals(registry: Registry, { counted }: MetricsSource): void {
  const { global } = counted.blocks;
  new Counter({
    name: 'holdfast_limit_hits_total',
    help: 'Limits and time-outs that were hit.',
    labelNames: ['limit'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [i, limit] of LIMITS.entries()) this.inc({ limit }, global.sum(0, GLOBAL.limits + i));
    },
  });
  new Counter({
    name: 'holdfast_http_errors_total',
    help: 'Requests that we refused or could not complete, by whose doing; 499 = the client went away.',
    labelNames: ['source', 'code'],
    registers: [registry],
    collect() {
      this.reset();
      for (const origin of ERROR_SOURCES) {
        for (let code = FIRST_ERROR_CODE; code < FIRST_ERROR_CODE + ERROR_CODES; code++) {
          const value = global.sum(0, errorField(origin, code));
          if (value > 0) this.inc({ source: origin, code: String(code) }, value);
        }
      }
    },
  });
}

function registerSessionTable(registry: Registry, source: MetricsSource): void {
  new Gauge({
    name: 'holdfast_session_table_entries',
    help: 'Sessions in the session table.',
    registers: [registry],
    collect() {
      this.set(source.sessions().entries);
    },
  });
  new Counter({
    name: 'holdfast_session_table_evictions_total',
    help: 'Sessions that were dropped from the session table before their time, to make room.',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(source.sessions().evictions);
    },
  });
}

function registerLog(registry: Registry, source: MetricsSource): void {
  new Counter({
    name: 'holdfast_log_lines_dropped_total',
    help: 'Log lines thrown away because nobody read them.',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(source.logLinesDropped());
    },
  });
}

function registerConfiguration(registry: Registry, source: MetricsSource): void {
  const byKind = [
    ['config_objects', 'Objects known, by kind.', () => source.objects()],
    ['config_problems', 'Problems in force, by kind of object.', () => source.problems()],
  ] as const;
  for (const [name, help, read] of byKind) {
    new Gauge({
      name: `holdfast_${name}`,
      help,
      labelNames: ['kind'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [kind, count] of read()) this.set({ kind }, count);
      },
    });
  }
  new Gauge({
    name: 'holdfast_config_compile_seconds',
    help: 'How long the last full compile took.',
    registers: [registry],
    collect() {
      this.set(source.compileSeconds());
    },
  });
  new Gauge({
    name: 'holdfast_config_last_success_timestamp_seconds',
    help: 'When a change last went live, Unix time.',
    registers: [registry],
    collect() {
      this.set(source.lastSuccess() / 1000);
    },
  });
}

function registerLeader(registry: Registry, source: MetricsSource): void {
  new Gauge({
    name: 'holdfast_leader',
    help: '1 = this replica writes status, events and keys; every replica serves.',
    registers: [registry],
    collect() {
      const leading = source.leading();
      if (leading === undefined) this.remove();
      else this.set(leading ? 1 : 0);
    },
  });
}

function registerWorkers(registry: Registry, { counted, restarts }: MetricsSource): void {
  const { global } = counted.blocks;
  new Gauge({
    name: 'holdfast_worker_event_loop_lag_seconds',
    help: 'Longest delay of the event loop within the last second.',
    labelNames: ['worker'],
    registers: [registry],
    collect() {
      for (const row of restarts.keys()) {
        this.set({ worker: String(row) }, global.cells(0)[global.at(0, row) + GLOBAL.eventLoopLag] ?? 0);
      }
    },
  });
  new Counter({
    name: 'holdfast_worker_restarts_total',
    help: 'Workers that died and were replaced.',
    labelNames: ['worker'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [row, count] of restarts.entries()) this.inc({ worker: String(row) }, count);
    },
  });
}
