/** Keys that only the session table knows, over all workers: agreed on at once, moved once, kept while used, and outliving a worker. */
import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { stringify } from 'yaml';
import {
  Client,
  closeAtEnd,
  eventually,
  file,
  ingress,
  policy,
  service,
  site,
  slices,
  startApp,
  startBackend,
  startBackends,
} from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';

const workers: Worker[] = [];
const onWorker = (worker: Worker): void => void workers.push(worker);
const BY_USER = { name: 'users', header: { name: 'X-User', mode: 'Table' } } as const;

let app: App;
let backends: Backend[];

const moving = (list: readonly Backend[], uid = 'uid') =>
  site('moving', {
    endpoints: list.map((backend) => backend.endpoint({ uid: `${uid}-${backend.pod}` })),
    rules: [BY_USER],
  });

const stateful = (list: readonly Backend[]) =>
  site('stateful', {
    endpoints: list.map((backend) => backend.endpoint({ uid: `${backend.pod}-${backend.port}` })),
    rules: [BY_USER],
    session: { identity: 'PodName' },
  });

beforeAll(async () => {
  process.on('worker', onWorker);
  backends = await startBackends('web-0', 'web-1', 'web-2');
  const endpoints = backends.map((backend) => backend.endpoint());
  const refusing = { pod: 'web-9', address: '127.0.0.1', port: 1 };
  app = await startApp({
    manifests: {
      'users.yaml': site('users', { endpoints, rules: [BY_USER], newSession: { algorithm: 'RoundRobin' } }),
      'moving.yaml': moving(backends),
      'shaky.yaml': site('shaky', {
        endpoints: [refusing, ...endpoints],
        rules: [BY_USER],
        newSession: { algorithm: 'Random' },
      }),
      'short.yaml': site('short', {
        endpoints,
        rules: [
          {
            name: 'users',
            header: { name: 'X-User', mode: 'Table', table: { idleTimeout: '1s', extendWhileActive: '1s' } },
          },
        ],
        newSession: { algorithm: 'RoundRobin' },
      }),
      'capped.yaml': site('capped', {
        endpoints,
        rules: [BY_USER],
        newSession: { algorithm: 'LeastSessions', maxSessionsPerEndpoint: 2, onFull: 'Reject' },
      }),
      'stateful.yaml': stateful(backends),
      'by-ip.yaml': file(
        ingress({ name: 'by-ip', host: 'by-ip.test', service: 'by-ip' }),
        stringify({
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'by-ip', namespace: 'test' },
          spec: { sessionAffinity: 'ClientIP', ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
        }),
        slices('by-ip', endpoints),
      ),
      'nets.yaml': file(
        ingress({ name: 'nets', host: 'nets.test', service: 'nets' }),
        service('nets'),
        policy({
          name: 'nets',
          ingress: 'nets',
          rules: [{ name: 'nets', sourceIP: { mode: 'Table', ipv4Prefix: 30 } }],
        }),
        slices('nets', endpoints),
      ),
    },
  });
});
afterAll(() => process.off('worker', onWorker));

const ask = async (host: string, user: string) =>
  await new Client(app.port, { host: `${host}.test`, keepAlive: false }).get('/', { 'x-user': user });
const decisions = async (name: string) =>
  (await app.metrics()).by('outcome', 'holdfast_decisions_total', { policy: name });

test('T40 the first requests of a key, at once and over all workers, agree on one endpoint', async () => {
  for (let key = 0; key < 20; key++) {
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask('users', `user-${key}`)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(new Set(answers.map(({ pod }) => pod)).size, `user-${key}`).toBe(1);
  }
  const found = await decisions('users');
  expect((found['new'] ?? 0) + (found['kept'] ?? 0)).toBe(240);
  const metrics = await app.metrics();
  expect(metrics.sum('holdfast_endpoint_new_sessions_total', { service: 'users' })).toBe(20);
  expect(metrics.sum('holdfast_endpoint_sessions_active', { service: 'users' })).toBe(20);
  // What the endpoints were asked is what was counted, also of requests that went after their key.
  expect(metrics.sum('holdfast_endpoint_requests_total', { service: 'users' })).toBe(240);
});

test('a key that moves counts once, and all of its requests move with it', async () => {
  const { pod } = await ask('moving', 'u');
  await app.change('moving.yaml', moving(backends.filter((backend) => backend.pod !== pod)));
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask('moving', 'u')));
  expect(new Set(answers.map((answer) => answer.pod)).size).toBe(1);
  expect(answers[0]?.pod).not.toBe(pod);
  const metrics = await app.metrics();
  expect(metrics.by('reason', 'holdfast_session_moves_total', { policy: 'moving' })).toEqual({ endpoint_gone: 1 });
  const found = await decisions('moving');
  expect((found['moved'] ?? 0) + (found['kept'] ?? 0)).toBe(20);
});

test('a new key goes on at once from an endpoint that refuses connections, and stays where it got one', async () => {
  for (let key = 0; key < 12; key++) {
    const first = await ask('shaky', `user-${key}`);
    expect(first.status).toBe(200);
    expect((await ask('shaky', `user-${key}`)).pod).toBe(first.pod);
  }
  expect(await decisions('shaky')).toEqual({ new: 12, kept: 12 });
});

test('L3 an open WebSocket keeps its key; F4 without one its time runs from the end of the last use', async () => {
  const streaming = new Client(app.port, { host: 'short.test' });
  const { pod } = await streaming.get('/', { 'x-user': 'streaming' });
  const headers = { host: 'short.test', 'x-user': 'streaming' };
  const socket = new WebSocket(`ws://127.0.0.1:${app.port}/ws`, { headers });
  closeAtEnd(async () => socket.terminate());
  await once(socket, 'message');
  await ask('short', 'idle');
  const began = Date.now();
  await eventually(() => Date.now() > began + 3500);
  expect((await ask('short', 'streaming')).pod).toBe(pod);
  await ask('short', 'idle');
  expect(await decisions('short')).toEqual({ new: 3, kept: 2 });
  socket.terminate();
});

test('L22 F30 a full endpoint gets no new keys, and keys that are there are served', async () => {
  const pods: string[] = [];
  for (let key = 0; key < 6; key++) pods.push((await ask('capped', `user-${key}`)).pod);
  expect(pods.toSorted()).toEqual(['web-0', 'web-0', 'web-1', 'web-1', 'web-2', 'web-2']);
  expect((await ask('capped', 'late')).status).toBe(503);
  for (let key = 0; key < 6; key++) expect((await ask('capped', `user-${key}`)).pod).toBe(pods[key]);
});

test('L14 F3 clients of one network share an endpoint', async () => {
  const from = async (address: string) =>
    (await new Client(app.port, { host: 'nets.test', keepAlive: false, from: address }).get('/')).pod;
  const pods = [await from('127.0.0.4'), await from('127.0.0.5'), await from('127.0.0.6'), await from('127.0.0.7')];
  expect(new Set(pods).size).toBe(1);
  await from('127.0.0.8');
  expect(await decisions('nets')).toEqual({ new: 2, kept: 3 });
});

test('a pod of a StatefulSet that is made anew keeps its keys, whose requests wait for it meanwhile', async () => {
  const { pod } = await ask('stateful', 'u');
  const others = backends.filter((backend) => backend.pod !== pod);
  await app.change('stateful.yaml', stateful(others));
  let answered = false;
  const waiting = ask('stateful', 'u').finally(() => (answered = true));
  // Keys of pods that are there do not wait.
  while ((await app.metrics()).sum('holdfast_endpoint_new_sessions_total', { service: 'stateful' }) < 3)
    await ask('stateful', `other-${Math.random()}`);
  expect(answered).toBe(false);
  const again = await startBackend({ pod });
  await app.change('stateful.yaml', stateful([...others, again]));
  expect((await waiting).pod).toBe(pod);
  expect((await ask('stateful', 'u')).pod).toBe(pod);
  expect(again.requests).toBe(2);
  expect((await decisions('stateful'))['moved'] ?? 0).toBe(0);
});

test('a new pod under the name and on the address of an old one inherits none of its keys', async () => {
  const { pod } = await ask('moving', 'v');
  const again = backends.filter((backend) => backend.requests > 0);
  expect(again.map((backend) => backend.pod)).toContain(pod);
  const before = (await decisions('moving'))['moved'] ?? 0;
  await app.change('moving.yaml', moving(again, 'made-anew'));
  await ask('moving', 'v');
  expect((await decisions('moving'))['moved']).toBe(before + 1);
});

test('sessionAffinity: ClientIP of a Service: each address keeps its pod', async () => {
  const from = async (address: string) =>
    (await new Client(app.port, { host: 'by-ip.test', keepAlive: false, from: address }).get('/')).pod;
  const pods = new Set<string>();
  for (let last = 10; last < 16; last++) {
    const pod = await from(`127.0.0.${last}`);
    expect(await from(`127.0.0.${last}`)).toBe(pod);
    pods.add(pod);
  }
  expect(pods.size).toBe(3);
  expect(await decisions('service:by-ip')).toEqual({ new: 6, kept: 6 });
});

test('keys outlive a worker that dies', async () => {
  const before = await Promise.all(Array.from({ length: 10 }, (_, key) => ask('users', `user-${key}`)));
  await workers[0]?.terminate();
  await eventually(async () => (await app.metrics()).sum('holdfast_worker_restarts_total') === 1);
  for (const [key, { pod }] of before.entries()) expect((await ask('users', `user-${key}`)).pod).toBe(pod);
});
