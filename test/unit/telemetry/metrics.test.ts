/** The metrics' text: what the cells hold, under the names and labels that users know. */
import { expect, test } from 'vitest';
import { OUTCOME, REASON } from '../../../src/affinity/decision.ts';
import { READY } from '../../../src/model/live.ts';
import { Counted } from '../../../src/shared/counted.ts';
import { decisionField, DURATION_SUM, ENDPOINT, errorField, GAUGE } from '../../../src/shared/layout.ts';
import type { PoolData } from '../../../src/shared/messages.ts';
import { endpointSlotKey, routeSlotKey, ruleSlotKey, serviceSlotKey } from '../../../src/shared/slot-keys.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import type { MetricsSource } from '../../../src/telemetry/source.ts';

function setUp(perEndpoint: MetricsSource['perEndpoint'] = 'auto', pools: PoolData[] = []) {
  const counted = new Counted(2);
  const metrics = new Metrics({
    counted,
    sessions: () => ({ entries: 11, evictions: 3 }),
    perEndpoint,
    restarts: [0, 3],
    pools: () => pools,
    policiesByPool: () => new Map([['ns/web:80', new Set(['shop'])]]),
    objects: () => new Map([['Ingress', 2]]),
    problems: () => new Map([['StickyPolicy', 1]]),
    compileSeconds: () => 0.25,
    lastSuccess: () => 5000,
    logLinesDropped: () => 7,
    watches: () => [],
    leading: () => undefined,
  });
  return {
    counted,
    metrics,
    lines: async () => (await metrics.text()).body.split('\n').filter((line) => line.startsWith('holdfast_')),
  };
}

test('counters are summed over the workers, under their labels', async () => {
  const { counted, lines } = setUp();
  const { route, rule, endpoint, global } = counted.blocks;
  const routeSlot = counted.route.acquire(routeSlotKey('ns', 'shop', 'web'));
  for (const row of [0, 1]) route.cells(routeSlot)[route.at(routeSlot, row) + 1] = 5;
  const ruleSlot = counted.rule.acquire(ruleSlotKey('ns', 'shop', 'browsers'));
  rule.cells(ruleSlot)[rule.at(ruleSlot, 1) + decisionField(OUTCOME.moved, REASON.endpoint_gone)] = 2;
  const slot = counted.endpoints.acquire(endpointSlotKey('ns', 'web', 80, 'web-0', 'addr:10.0.0.1:80'));
  endpoint.cells(slot)[endpoint.at(slot, 0) + ENDPOINT.requests] = 7;
  global.cells(0)[global.at(0, 0) + errorField('upstream', 502)] = 4;
  const text = await lines();
  expect(text).toContain('holdfast_requests_total{namespace="ns",ingress="shop",service="web",code_class="2xx"} 10');
  expect(text).toContain(
    'holdfast_decisions_total{namespace="ns",policy="shop",rule="browsers",outcome="moved",reason="endpoint_gone"} 2',
  );
  expect(text).toContain('holdfast_endpoint_requests_total{namespace="ns",service="web",port="80",pod="web-0"} 7');
  expect(text).toContain('holdfast_http_errors_total{source="upstream",code="502"} 4');
  expect(text).toContain('holdfast_worker_restarts_total{worker="1"} 3');
  expect(text).toContain('holdfast_config_objects{kind="Ingress"} 2');
  expect(text).toContain('holdfast_log_lines_dropped_total 7');
  expect(text).toContain('holdfast_config_last_success_timestamp_seconds 5');
});

test('a pod that came back on another address has one series', async () => {
  const { counted, lines } = setUp();
  const { endpoint } = counted.blocks;
  for (const address of ['addr:10.0.0.1:80', 'addr:10.0.0.2:80']) {
    const slot = counted.endpoints.acquire(endpointSlotKey('ns', 'web', 80, 'web-0', address));
    endpoint.cells(slot)[endpoint.at(slot, 0) + ENDPOINT.requests] = 3;
  }
  expect((await lines()).filter((line) => line.startsWith('holdfast_endpoint_requests_total'))).toEqual([
    'holdfast_endpoint_requests_total{namespace="ns",service="web",port="80",pod="web-0"} 6',
  ]);
});

test('the histogram is cumulative and has sum and count', async () => {
  const { counted, lines } = setUp();
  const { service } = counted.blocks;
  const slot = counted.service.acquire(serviceSlotKey('ns', 'web'));
  const cells = service.cells(slot);
  const at = service.at(slot, 0);
  cells[at] = 2;
  cells[at + 3] = 1;
  cells[at + DURATION_SUM] = 0.75;
  const text = await lines();
  const bucket = (le: string) =>
    text
      .find((line) => line.startsWith('holdfast_request_duration_seconds_bucket') && line.includes(`le="${le}"`))
      ?.split(' ')[1];
  expect([bucket('0.005'), bucket('0.025'), bucket('0.05'), bucket('+Inf')]).toEqual(['2', '2', '3', '3']);
  expect(text).toContain('holdfast_request_duration_seconds_sum{namespace="ns",service="web"} 0.75');
  expect(text).toContain('holdfast_request_duration_seconds_count{namespace="ns",service="web"} 3');
});

test('the balance of a pool is maximum ÷ mean over its Ready endpoints, and absent while nothing happens', async () => {
  const endpoints = [0, 1].map((slot) => ({
    slot,
    ref: slot,
    address: '10.0.0.1',
    port: 80,
    pod: `web-${slot}`,
    state: READY,
    since: 0,
    wasReady: true,
  }));
  const none = { seeds: new Int32Array(), prefixes: [] };
  const pool: PoolData = {
    key: 'ns/web:80',
    slot: 0,
    namespace: 'ns',
    service: 'web',
    port: 80,
    endpoints,
    identity: { PodUID: none, PodName: none, Address: none },
  };
  const { counted, lines } = setUp('auto', [pool]);
  for (const { pod } of endpoints) counted.endpoints.acquire(endpointSlotKey('ns', 'web', 80, pod, pod));
  const balance = async () => (await lines()).filter((line) => line.startsWith('holdfast_balance_ratio'));
  expect(await balance()).toEqual([]);
  const { gauge } = counted.blocks;
  gauge.cells(0)[gauge.at(0, 0) + GAUGE.inFlight] = 3;
  gauge.cells(1)[gauge.at(1, 1) + GAUGE.inFlight] = 1;
  expect(await balance()).toEqual([
    'holdfast_balance_ratio{namespace="ns",service="web",port="80",policy="shop",of="inflight"} 1.5',
  ]);
});

test.each([
  ['off', 1, 0],
  ['auto', 2001, 0],
  ['on', 2001, 2001],
] as const)('--metrics-per-endpoint %s with %i endpoints gives %i series', async (perEndpoint, endpoints, expected) => {
  const { counted, lines } = setUp(perEndpoint);
  for (let i = 0; i < endpoints; i++)
    counted.endpoints.acquire(endpointSlotKey('ns', 'web', 80, `web-${i}`, `addr:${i}`));
  expect((await lines()).filter((line) => line.startsWith('holdfast_endpoint_inflight'))).toHaveLength(expected);
});
