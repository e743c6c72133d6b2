/** The admin port, problems, and routing that needs no session: default backend, wildcard hosts, 404. */
import { once } from 'node:events';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  Client,
  eventually,
  file,
  ingress,
  policy,
  service,
  site,
  slices,
  startApp,
  startBackend,
} from '../support/app.ts';
import type { DrainProgress } from '../../src/admin/types.ts';
import type { App, Backend } from '../support/app.ts';
import { openWebSocket } from '../support/websocket.ts';

let app: App;
let backend: Backend;
let fallback: Backend;
/** Requests to the slow backend that wait to be answered. */
const waiting: (() => void)[] = [];

beforeAll(async () => {
  backend = await startBackend({ pod: 'web-0' });
  fallback = await startBackend({ pod: 'fallback-0' });
  const slow = await startBackend({
    pod: 'slow-0',
    handler: (_, response) => void waiting.push(() => response.end('done')),
  });
  app = await startApp({
    manifests: {
      'web.yaml': site('web', { endpoints: [backend.endpoint()], drain: { action: 'Move' } }),
      'slow.yaml': site('slow', { endpoints: [slow.endpoint()], session: { idleTimeout: '2s' } }),
      'wild.yaml': ingress({ name: 'wild', host: '*.wild.test', service: 'web' }),
      'fallback.yaml': file(service('fallback'), slices('fallback', [fallback.endpoint()])),
    },
    config: { defaultBackend: { namespace: 'test', service: 'fallback', port: 80 } },
  });
});

test('/healthz and /readyz are well', async () => {
  expect(await app.admin('/healthz')).toEqual({ status: 200, text: 'ok\n' });
  expect(await app.admin('/readyz')).toEqual({ status: 200, text: 'ok\n' });
});

test('T65: /metrics, without any option, can be parsed and has what the operator looks for', async () => {
  await new Client(app.port).get('/');
  const names = [
    'requests_total',
    'request_duration_seconds_bucket',
    'decisions_total',
    'endpoint_requests_total',
    'endpoint_new_sessions_total',
    'endpoint_inflight',
    'endpoint_state',
    'endpoint_connect_failures_total',
    'endpoint_response_seconds_sum',
    'endpoint_response_seconds_count',
    'invalid_tokens_total',
    'connections',
    'connections_total',
    'limit_hits_total',
    'retries_total',
    'bytes_total',
    'config_objects',
    'config_compile_seconds',
    'config_propagation_seconds_count',
    'config_last_success_timestamp_seconds',
    'worker_event_loop_lag_seconds',
    'worker_restarts_total',
  ];
  const metrics = await eventually(async () => {
    const scraped = await app.metrics();
    // A request is counted when its answer is out, which the client may see first.
    return scraped.value('holdfast_request_duration_seconds_count', { service: 'web' }) === 1 && scraped;
  });
  for (const name of names) expect(metrics.names, name).toContain(`holdfast_${name}`);
  expect(metrics.sum('holdfast_endpoint_state', { pod: 'web-0' })).toBe(1);
});

test('/api/v1/version tells the real ports', async () => {
  expect(JSON.parse((await app.admin('/api/v1/version')).text)).toMatchObject({
    http: { host: '127.0.0.1', port: app.port },
    admin: { host: '127.0.0.1', port: app.adminPort },
    workers: 2,
  });
});

describe('problems', () => {
  test('a broken object is told with file, object, field and message; all others work', async () => {
    expect(await app.problems()).toEqual([]);
    const broken = policy({ name: 'broken', ingress: 'wild', session: { idleTimeout: '30 minutes' } });
    await app.write('broken.yaml', file(service('before'), broken));
    const problems = await eventually(async () => {
      const found = await app.problems();
      return found.length > 0 && found;
    });
    const ofObject = problems.filter(({ object }) => object.name === 'broken');
    for (const { object } of ofObject) expect(object).toMatchObject({ kind: 'StickyPolicy', namespace: 'test' });
    const wrong = ofObject.find(({ field }) => field === 'spec.session.idleTimeout');
    expect(wrong?.severity).toBe('error');
    expect(wrong?.location?.file).toMatch(/broken\.yaml$/);
    expect(wrong?.location?.line).toBeGreaterThan(1);
    expect(wrong?.message).toContain('not a duration');
    expect((await app.metrics()).sum('holdfast_config_problems')).toBe(problems.length);
    expect((await new Client(app.port).get('/')).pod).toBe('web-0');

    await app.write('broken.yaml', service('before'));
    await eventually(async () => (await app.problems()).length === 0);
  });

  test('a half-written file keeps its last good objects, and the Problem names file and line', async () => {
    const whole = site('half', { endpoints: [backend.endpoint()], drain: { action: 'Move' } });
    await app.change('half.yaml', whole);
    const client = new Client(app.port, { host: 'half.test', jar: true });
    await client.get('/');
    await app.write('half.yaml', `${whole.slice(0, 500)}\n  {[`);
    const problem = await eventually(async () =>
      (await app.problems()).find(({ location }) => location?.file.endsWith('half.yaml')),
    );
    expect(problem.location?.line).toBeGreaterThan(10);
    expect(await client.get('/')).toMatchObject({ pod: 'web-0', setCookies: [] });
    await app.write('half.yaml', whole);
    await eventually(async () => (await app.problems()).length === 0);
    expect(await client.get('/')).toMatchObject({ pod: 'web-0', setCookies: [] });
  });
});

describe('/api/v1/drain', () => {
  const progress = async (pod: string) =>
    JSON.parse((await app.admin(`/api/v1/drain?pod=test/${pod}`)).text) as DrainProgress;

  test('counts the requests in flight at a pod', async () => {
    const client = new Client(app.port, { host: 'slow.test' });
    const answer = client.get('/');
    await eventually(() => waiting.length === 1);
    expect(await progress('slow-0')).toEqual({ sessions: 0, inFlight: 1, upgraded: 0, done: false });
    waiting.shift()?.();
    expect((await answer).text).toBe('done');
    await eventually(async () => (await progress('slow-0')).done);
    expect(await progress('slow-0')).toEqual({ sessions: 0, inFlight: 0, upgraded: 0, done: true });
  });

  test('counts the sessions that came back, and is not done while there are any', async () => {
    const client = new Client(app.port, { host: 'slow.test', jar: true });
    const visit = async () => {
      const answer = client.get('/');
      await eventually(() => waiting.length === 1);
      waiting.shift()?.();
      await answer;
    };
    await visit();
    expect(await progress('slow-0')).toMatchObject({ sessions: 0 });
    await visit();
    // The client may have its answer before the request has left its endpoint.
    await eventually(async () => (await progress('slow-0')).inFlight === 0);
    expect(await progress('slow-0')).toMatchObject({ sessions: 1, inFlight: 0, done: false });
    // Its idle time ends it; the sweep comes by every 10 s.
    await eventually(async () => JSON.stringify(await progress('slow-0')).includes('"done":true'), 15_000);
  }, 20_000);

  test('counts the upgraded connections of a pod', async () => {
    const { socket } = await openWebSocket(new Client(app.port));
    expect(await progress('web-0')).toMatchObject({ inFlight: 0, upgraded: 1, done: false });
    const closed = once(socket, 'close');
    socket.close();
    await closed;
    await eventually(async () => JSON.stringify(await progress('web-0')).includes('"done":true'));
  });
});

describe('routing', () => {
  test('a wildcard host takes one label, and what no Ingress claims goes to the default backend', async () => {
    const podOf = async (host: string) => (await new Client(app.port, { host }).get('/')).pod;
    expect(await podOf('a.wild.test')).toBe('web-0');
    expect(await podOf('A.Wild.Test:8080')).toBe('web-0');
    for (const host of ['wild.test', 'a.b.wild.test', 'unknown.test'])
      expect(await podOf(host), host).toBe('fallback-0');
  });

  test('without a default backend it is 404, and nothing is decided or sent', async () => {
    const bare = await startApp({ manifests: site('web', { endpoints: [backend.endpoint()] }) });
    const before = backend.requests;
    const answer = await new Client(bare.port, { host: 'unknown.test' }).get('/');
    expect(answer).toMatchObject({ status: 404, setCookies: [] });
    expect(backend.requests).toBe(before);
    const metrics = await bare.metrics();
    expect(metrics.sum('holdfast_decisions_total')).toBe(0);
    expect(metrics.value('holdfast_http_errors_total', { source: 'client', code: '404' })).toBe(1);
    await bare.close();
  });
});

test('while shutting down it is not ready but still serves, until the delay is over', async () => {
  const leaving = await startApp({
    manifests: site('web', { endpoints: [backend.endpoint()] }),
    config: { shutdownDelay: 1500 },
  });
  const client = new Client(leaving.port, { keepAlive: false });
  expect((await leaving.admin('/readyz')).status).toBe(200);
  const closed = leaving.close();
  expect(await leaving.admin('/readyz')).toEqual({ status: 503, text: 'shutting down\n' });
  expect((await client.get('/')).pod).toBe('web-0');
  await closed;
  await expect(client.get('/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});
