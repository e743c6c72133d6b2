/** Who leads, over a real API of a Lease, with the time in hand. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Leader } from '../../../src/control/leader.ts';
import type { KubeClient } from '../../../src/source/kubernetes/client.ts';
import { ApiServer, logged, TestClock, until } from './api-server.ts';

const PATH = '/apis/coordination.k8s.io/v1/namespaces/ns/leases/lead';
const LEASE = { namespace: 'ns', name: 'lead' };

let server: ApiServer;
let client: KubeClient;
let clock: TestClock;
let leaders: Leader[];
let changes: string[];
/** Candidates that have not been stopped; each waits for one timer between its rounds. */
let running: number;

beforeEach(async () => {
  ({ server, client } = await ApiServer.start());
  clock = new TestClock();
  leaders = [];
  changes = [];
  running = 0;
});

afterEach(async () => {
  for (const leader of leaders) await leader.stop();
  await server.close();
});

function candidate(identity: string): Leader {
  const { logger } = logged();
  const onChange = (leading: boolean): void => void changes.push(`${identity} ${leading}`);
  const leader = new Leader({ api: client, lease: LEASE, identity, clock, random: () => 0, logger, onChange });
  leaders.push(leader);
  leader.start();
  running++;
  return leader;
}

function spec(): Record<string, unknown> {
  return server.objects.get(PATH)?.['spec'] as Record<string, unknown>;
}

/** Moves on once every candidate waits, and until all wait again. */
async function round(ms: number): Promise<void> {
  await waiting();
  clock.advance(ms);
  await waiting();
}

async function waiting(): Promise<void> {
  await until(() => expect(clock.pending).toBe(running));
}

test('makes the lease, renews it with one request, and gives it back', async () => {
  const a = candidate('a');
  await until(() => expect(a.leading).toBe(true));
  expect(spec()).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 });
  expect(spec()['renewTime']).toBe('2026-01-01T00:00:00.000000Z');
  const before = server.seen.length;
  await round(2000);
  await until(() => expect(spec()['renewTime']).toBe('2026-01-01T00:00:02.000000Z'));
  expect(spec()['acquireTime']).toBe('2026-01-01T00:00:00.000000Z');
  expect(server.seen.slice(before).map(({ method }) => method)).toEqual(['PUT']);
  running--;
  await a.stop();
  expect(spec()).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
  expect(changes).toEqual(['a true', 'a false']);
});

test('who is about to end does not take the lead, but keeps it', async () => {
  const a = candidate('a');
  await until(() => expect(a.leading).toBe(true));
  const b = candidate('b');
  await waiting();
  a.retire();
  b.retire();
  // The one that waits ends its rounds.
  clock.advance(5000);
  running = 1;
  await waiting();
  expect(a.leading).toBe(true);
  expect(spec()).toMatchObject({ holderIdentity: 'a', renewTime: '2026-01-01T00:00:02.000000Z' });
  running--;
  await a.stop();
  const before = server.seen.length;
  clock.advance(60_000);
  expect([b.leading, server.seen.length]).toEqual([false, before]);
});

test('takes an empty lease that the chart made, with what is written on it', async () => {
  server.put(PATH, { metadata: { labels: { app: 'holdfast' } } });
  const a = candidate('a');
  await until(() => expect(a.leading).toBe(true));
  expect(server.objects.get(PATH)?.metadata).toMatchObject({ labels: { app: 'holdfast' } });
});

test('another waits until the record has not changed for its duration, by its own clock, and counts the transition', async () => {
  server.put(PATH, {
    spec: { holderIdentity: 'gone', leaseDurationSeconds: 15, renewTime: '2020-01-01T00:00:00Z', leaseTransitions: 4 },
  });
  const b = candidate('b');
  // The renewal is years ago by the other's clock, which says nothing.
  await until(() => expect(server.seen).toHaveLength(1));
  for (let seconds = 2; seconds < 15; seconds += 2) await round(2000);
  expect(b.leading).toBe(false);
  await round(2000);
  await until(() => expect(b.leading).toBe(true));
  expect(spec()).toMatchObject({ holderIdentity: 'b', leaseTransitions: 5 });
});

test('an exception in what is done with the lead stops no renewal', async () => {
  const { logger, lines } = logged();
  const onChange = (): void => {
    throw new Error('broken');
  };
  const a = new Leader({ api: client, lease: LEASE, identity: 'a', clock, random: () => 0, logger, onChange });
  leaders.push(a);
  a.start();
  running++;
  await until(() => expect(a.leading).toBe(true));
  for (let seconds = 2; seconds <= 20; seconds += 2) await round(2000);
  expect(spec()['renewTime']).toBe('2026-01-01T00:00:20.000000Z');
  expect(a.leading).toBe(true);
  expect(lines.filter((line) => line.includes('broken'))).toHaveLength(1);
});

test('a lease that was given back is taken at the next try', async () => {
  const a = candidate('a');
  await until(() => expect(a.leading).toBe(true));
  const b = candidate('b');
  await until(() => expect(server.seen.filter(({ method }) => method === 'GET')).toHaveLength(2));
  running--;
  await a.stop();
  await round(2000);
  await until(() => expect(b.leading).toBe(true));
  expect(changes).toEqual(['a true', 'a false', 'b true']);
});

test('a leader that cannot renew gives up before others may take over, and leads again when it can', async () => {
  const a = candidate('a');
  await until(() => expect(a.leading).toBe(true));
  server.intercept = () => 503;
  for (let seconds = 0; seconds < 8; seconds += 2) await round(2000);
  expect(a.leading).toBe(true);
  await round(2000);
  expect(a.leading).toBe(false);
  await until(() => expect(changes).toEqual(['a true', 'a false']));
  server.intercept = () => undefined;
  await round(2000);
  await until(() => expect(a.leading).toBe(true));
});

test('a lease that somebody else has written is lost at once', async () => {
  const a = candidate('a');
  await until(() => expect(a.leading).toBe(true));
  server.put(PATH, { spec: { holderIdentity: 'thief', leaseDurationSeconds: 15, leaseTransitions: 9 } });
  await round(2000);
  await until(() => expect(changes).toEqual(['a true', 'a false']));
  expect(spec()['holderIdentity']).toBe('thief');
});

test('of two that start at once one leads', async () => {
  const both = [candidate('a'), candidate('b')];
  await until(() => expect(both.some(({ leading }) => leading)).toBe(true));
  await until(() => expect(server.seen.length).toBeGreaterThanOrEqual(4));
  expect(both.filter(({ leading }) => leading)).toHaveLength(1);
});
