/** How much work a pod has at all replicas: real admin servers that ask one another. */
import { afterEach, describe, expect, test } from 'vitest';
import { startAdmin } from '../../../src/admin/server.ts';
import type { AdminServer } from '../../../src/admin/types.ts';
import type { SessionKey } from '../../../src/affinity/keyring.ts';
import { isProof, proofFor } from '../../../src/control/replica-proof.ts';
import { Replicas } from '../../../src/control/replicas.ts';
import type { EndpointSlice } from '../../../src/model/resources.ts';

const NOW = Date.UTC(2026, 0, 1);
const KEYS: readonly SessionKey[] = [
  { id: 3, key: new Uint8Array(32).fill(1), issueFrom: 0 },
  { id: 4, key: new Uint8Array(32).fill(2), issueFrom: NOW + 60_000 },
];

const servers: AdminServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** Replicas with so many requests in flight each; `hidden` ones do not stand in the slices. */
async function start(inFlight: readonly number[], instances = inFlight.map((_, i) => `r${i}`)): Promise<AdminServer[]> {
  const slices: EndpointSlice[] = [];
  for (const [i, count] of inFlight.entries()) {
    const replicas = new Replicas({
      service: { namespace: 'ns', name: 'replicas' },
      instance: instances[i] ?? '',
      local: () => ({ sessions: 2 * count, inFlight: count, upgraded: 0, done: count === 0 }),
      slices: async () => slices,
      keys: () => KEYS,
      clock: () => NOW,
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
      drain: (namespace, pod) => replicas.all(namespace, pod),
      // From another machine, as it would be.
      drainHere: (namespace, pod, caller) => replicas.local(namespace, pod, { ...caller, loopback: false }),
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
    addresses: ['127.0.0.1'],
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

async function drain(server: AdminServer | undefined, query = ''): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`http://127.0.0.1:${server?.address.port}/api/v1/drain?pod=shop/web-0${query}`);
  return { status: answer.status, body: await answer.json() };
}

test('all replicas are asked and added up, each once, ready or not', async () => {
  const [first, , third] = await start([1, 2, 4]);
  const body = { sessions: 14, inFlight: 7, upgraded: 0, done: false, replicas: { asked: 3, answered: 3 } };
  expect(await drain(first)).toEqual({ status: 200, body });
  expect(await drain(third)).toEqual({ status: 200, body });
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
  const service = { namespace: 'ns', name: 'replicas' };
  const common = { service, instance: 'a', local, keys: () => KEYS, clock: () => NOW };
  expect((await new Replicas({ ...common, slices: async () => [] }).all('shop', 'web-0')).done).toBe(false);
  const failing = new Replicas({ ...common, slices: () => Promise.reject(new Error('away')) });
  expect((await failing.all('shop', 'web-0')).done).toBe(false);
  const alone = new Replicas({ ...common, service: undefined, slices: async () => [] });
  expect((await alone.all('shop', 'web-0')).done).toBe(true);
});

test('one replica alone answers only those who have the keys', async () => {
  const [first] = await start([1]);
  expect((await drain(first, '&local=1')).status).toBe(401);
});

describe('the proof', () => {
  const target = '/api/v1/drain?pod=shop%2Fweb-0&local=1';
  const proof = proofFor(KEYS, target, NOW) ?? '';

  test('is made with the key that signs, and good for two minutes', () => {
    expect(proof).toMatch(/^Holdfast-Replica 3\./);
    expect(isProof(proof, KEYS, target, NOW + 119_000)).toBe(true);
    expect(isProof(proof, KEYS, target, NOW - 119_000)).toBe(true);
    expect(isProof(proof, KEYS, target, NOW + 121_000)).toBe(false);
  });

  test.each([
    ['another question', proof, KEYS, `${target}x`],
    ['other keys', proof, [{ ...KEYS[0]!, key: new Uint8Array(32) }], target],
    ['no such key', proof, KEYS.slice(1), target],
    ['another time', proof.replace(String(NOW), String(NOW + 1)), KEYS, target],
    ['nothing', '', KEYS, target],
    ['noise', 'Holdfast-Replica 3.1.x', KEYS, target],
  ])('%s is refused', (_name, text, keys, asked) => {
    expect(isProof(text, keys, asked, NOW)).toBe(false);
  });

  test('without keys there is none', () => {
    expect(proofFor([], target, NOW)).toBeUndefined();
  });
});
