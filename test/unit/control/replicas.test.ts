/** How much work a pod has at all replicas: real admin servers that ask one another. */
import { afterEach, describe, expect, test } from 'vitest';
import { startAdmin } from '../../../src/admin/server.ts';
import type { AdminServer } from '../../../src/admin/types.ts';
import type { SessionKey } from '../../../src/affinity/keyring.ts';
import { isProof, proofFor } from '../../../src/control/replica-proof.ts';
import { ReplicaCalls } from '../../../src/control/replica-calls.ts';
import { ReplicaCount } from '../../../src/control/replica-count.ts';
import { readyIn } from '../../../src/control/replica-slices.ts';
import { Replicas } from '../../../src/control/replicas.ts';
import type { EndpointSlice } from '../../../src/model/resources.ts';

const NOW = Date.UTC(2026, 0, 1);
const KEYS: readonly SessionKey[] = [
  { id: 3, key: new Uint8Array(32).fill(1), issueFrom: 0 },
  { id: 4, key: new Uint8Array(32).fill(2), issueFrom: NOW + 60_000 },
];

const servers: AdminServer[] = [];
let now = NOW;
/** Questions that reached a replica. */
let asked: string[] = [];
let listed = 0;

afterEach(async () => {
  now = NOW;
  asked = [];
  listed = 0;
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** Replicas with so many requests in flight each; `hidden` ones do not stand in the slices. */
async function start(inFlight: readonly number[], instances = inFlight.map((_, i) => `r${i}`)): Promise<AdminServer[]> {
  const slices: EndpointSlice[] = [];
  for (const [i, count] of inFlight.entries()) {
    const replicas = new Replicas({
      calls: new ReplicaCalls({
        service: { namespace: 'ns', name: 'replicas' },
        slices: async () => {
          listed++;
          return slices;
        },
        keys: () => KEYS,
        clock: () => now,
      }),
      instance: instances[i] ?? '',
      local: () => ({ sessions: 2 * count, inFlight: count, upgraded: 0, done: count === 0 }),
      clock: () => now,
    });
    const never = (): never => {
      throw new Error('not asked for here');
    };
    const server = await startAdmin({
      address: { host: '127.0.0.1', port: 0 },
      metrics: never,
      readiness: never,
      problems: never,
      version: never,
      sessions: { list: never, here: never, show: never, change: never, orders: never, obey: never },
      authorize: never,
      isReplica: never,
      drain: (namespace, pod) => replicas.all(namespace, pod),
      // From another machine, as it would be.
      drainHere: (namespace, pod, caller) => {
        asked.push(`${i} ${namespace}/${pod}`);
        return replicas.local(namespace, pod, { ...caller, loopback: false });
      },
    });
    servers.push(server);
    slices.push(slice(server.address.port));
  }
  return servers;
}

function slice(port: number): EndpointSlice {
  const meta = {
    namespace: 'ns',
    name: `s${port}`,
    uid: '',
    generation: 1,
    creationTimestamp: undefined,
    annotations: {},
    labels: {},
  };
  const endpoint = {
    index: 0,
    address: '127.0.0.1',
    ready: false,
    serving: undefined,
    terminating: undefined,
    targetRef: undefined,
  };
  const ports = [
    { index: 0, name: 'http', port: 1, protocol: 'TCP' },
    { index: 1, name: 'admin', port, protocol: 'TCP' },
  ];
  return { kind: 'EndpointSlice', meta, service: 'replicas', addressType: 'IPv4', ports, endpoints: [endpoint] };
}

async function drain(
  server: AdminServer | undefined,
  query = '',
  pod = 'shop/web-0',
): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`http://127.0.0.1:${server?.address.port}/api/v1/drain?pod=${pod}${query}`);
  return { status: answer.status, body: await answer.json() };
}

test('all replicas are asked and added up, each once, ready or not', async () => {
  const [first, , third] = await start([1, 2, 4]);
  const body = { sessions: 14, inFlight: 7, upgraded: 0, done: false, replicas: { asked: 3, answered: 3 } };
  expect(await drain(first)).toEqual({ status: 200, body });
  expect(await drain(third)).toEqual({ status: 200, body });
});

test('many who ask about one pod within a moment cost one question to each replica, and one list of them', async () => {
  const [first] = await start([1, 2, 4]);
  const answers = await Promise.all(Array.from({ length: 20 }, () => drain(first)));
  now += 499;
  answers.push(await drain(first));
  for (const { body } of answers) expect(body).toMatchObject({ inFlight: 7 });
  expect(asked.sort()).toEqual(['0 shop/web-0', '1 shop/web-0', '2 shop/web-0']);
  await drain(first, '', 'shop/web-1');
  expect(asked).toHaveLength(6);
  expect(listed).toBe(1);
  now += 1;
  await drain(first);
  expect(asked).toHaveLength(9);
  now += 500;
  await drain(first);
  expect(listed).toBe(2);
  // A clock that was set back keeps nothing for long.
  now -= 3_600_000;
  await drain(first);
  expect(asked).toHaveLength(15);
});

test('questions about many pods at once all get their answer, few at a time', async () => {
  const [first] = await start([1, 2]);
  const pods = Array.from({ length: 60 }, (_, i) => `shop/web-${i}`);
  // From one peer the admin server takes only so many connections.
  for (let i = 0; i < pods.length; i += 20) {
    const answers = await Promise.all(pods.slice(i, i + 20).map((pod) => drain(first, '', pod)));
    for (const { body } of answers) expect(body).toMatchObject({ replicas: { asked: 2, answered: 2 } });
  }
});

test('a replica at two addresses counts once', async () => {
  const [first] = await start([1, 2, 2], ['a', 'b', 'b']);
  expect((await drain(first)).body).toMatchObject({ inFlight: 3 });
});

test('done when none has work and all have answered', async () => {
  const [first, second] = await start([0, 0]);
  expect((await drain(first)).body).toEqual({
    sessions: 0,
    inFlight: 0,
    upgraded: 0,
    done: true,
    replicas: { asked: 2, answered: 2 },
  });
  await second?.close();
  now += 500;
  expect((await drain(first)).body).toEqual({
    sessions: 0,
    inFlight: 0,
    upgraded: 0,
    done: false,
    replicas: { asked: 2, answered: 1 },
  });
});

test('not done while no replica is known', async () => {
  const local = () => ({ sessions: 0, inFlight: 0, upgraded: 0, done: true });
  const of = (slices: () => Promise<EndpointSlice[]>, service?: { namespace: string; name: string }): Replicas => {
    const calls = new ReplicaCalls({ service, slices, keys: () => KEYS, clock: () => NOW });
    return new Replicas({ calls, instance: 'a', local, clock: () => NOW });
  };
  const service = { namespace: 'ns', name: 'replicas' };
  expect((await of(async () => [], service).all('shop', 'web-0')).done).toBe(false);
  expect((await of(() => Promise.reject(new Error('away')), service).all('shop', 'web-0')).done).toBe(false);
  expect((await of(async () => []).all('shop', 'web-0')).done).toBe(true);
});

test('one replica alone answers only those who have the keys', async () => {
  const [first] = await start([1]);
  expect((await drain(first, '&local=1')).status).toBe(401);
});

describe('the proof', () => {
  const target = '/api/v1/drain?pod=shop%2Fweb-0&local=1';
  const proof = proofFor(KEYS, { target }, NOW) ?? '';

  test('is made with the key that signs, and good for two minutes', () => {
    expect(proof).toMatch(/^Holdfast-Replica 3\./);
    expect(isProof(proof, KEYS, { target }, NOW + 119_000)).toBe(true);
    expect(isProof(proof, KEYS, { target }, NOW - 119_000)).toBe(true);
    expect(isProof(proof, KEYS, { target }, NOW + 121_000)).toBe(false);
  });

  test.each([
    ['another question', proof, KEYS, `${target}x`],
    ['other keys', proof, [{ ...KEYS[0]!, key: new Uint8Array(32) }], target],
    ['no such key', proof, KEYS.slice(1), target],
    ['another time', proof.replace(String(NOW), String(NOW + 1)), KEYS, target],
    ['nothing', '', KEYS, target],
    ['noise', 'Holdfast-Replica 3.1.x', KEYS, target],
  ])('%s is refused', (_name, text, keys, asked) => {
    expect(isProof(text, keys, { target: asked }, NOW)).toBe(false);
  });

  test('of a POST holds for its body alone', () => {
    const question = { target: '/api/v1/sessions/orders', body: '[1]' };
    const posted = proofFor(KEYS, question, NOW) ?? '';
    expect(isProof(posted, KEYS, question, NOW)).toBe(true);
    for (const other of [{ ...question, body: '[2]' }, { ...question, body: '' }, { target: question.target }])
      expect(isProof(posted, KEYS, other, NOW)).toBe(false);
  });

  test('without keys there is none', () => {
    expect(proofFor([], { target }, NOW)).toBeUndefined();
  });
});

describe('how many replicas are Ready', () => {
  const of = (port: number, changes: object): EndpointSlice => {
    const one = slice(port);
    return { ...one, endpoints: one.endpoints.map((endpoint) => ({ ...endpoint, ready: true, ...changes })) };
  };

  test('those that serve and do not end, each once, whatever a Service publishes as ready', () => {
    const targetRef = { kind: 'Pod', namespace: 'ns', name: 'p', uid: 'u' };
    expect(readyIn([])).toBe(0);
    expect(readyIn([of(1, {}), of(2, {}), of(2, {})])).toBe(2);
    expect(readyIn([of(1, { serving: false }), of(2, { ready: false })])).toBe(0);
    expect(readyIn([of(1, { serving: true, terminating: true })])).toBe(0);
    // The same pod by its other family.
    expect(readyIn([of(1, { targetRef }), of(1, { targetRef, address: '::1' })])).toBe(1);
  });

  test('the figure follows them; it stays while nobody can tell, and is never below one', async () => {
    let slices: () => Promise<EndpointSlice[]> = async () => [of(1, {}), of(2, {})];
    const told: number[] = [];
    const count = new ReplicaCount(
      () => slices(),
      (replicas) => told.push(replicas),
    );
    await count.look();
    await count.look();
    slices = () => Promise.reject(new Error('away'));
    await count.look();
    slices = async () => [];
    await count.look();
    expect(told).toEqual([2]);
    slices = async () => [of(1, { serving: false })];
    await count.look();
    expect(told).toEqual([2, 1]);
  });

  test('an answer that comes late does not undo a later one', async () => {
    const slow = Promise.withResolvers<EndpointSlice[]>();
    const answers = [slow.promise, Promise.resolve([of(1, {}), of(2, {}), of(3, {})])];
    const told: number[] = [];
    const count = new ReplicaCount(
      async () => (await answers.shift()) ?? [],
      (replicas) => told.push(replicas),
    );
    const first = count.look();
    await count.look();
    slow.resolve([of(1, {}), of(2, {})]);
    await first;
    expect(told).toEqual([3]);
  });
});
