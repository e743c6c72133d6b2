/** Tests of the algorithms that choose an endpoint for a new session. */
import { describe, expect, test } from 'vitest';
import { pickNew } from '../../../src/affinity/pick-new.ts';
import type { Algorithm } from '../../../src/model/sticky-policy.ts';
import { affinity, ask, env, facts, NOW, pool, seeded, sessionOn, slotOf } from './fixtures.ts';

const PODS = ['a', 'b', 'c', 'd'];

function counts(algorithm: Algorithm, requests: number, pods = PODS, on = env()): Record<string, number> {
  const live = affinity(undefined, { algorithm });
  const target = pool(pods);
  const result: Record<string, number> = Object.fromEntries(pods.map((pod) => [pod, 0]));
  for (let i = 0; i < requests; i++) {
    const { pod } = ask(live, target, facts(), on);
    result[pod] = (result[pod] ?? 0) + 1;
  }
  return result;
}

describe('balance', () => {
  test.each(['LeastRequests', 'RoundRobin'] as const)('%s is exact over idle endpoints', (algorithm) => {
    expect(counts(algorithm, 400)).toEqual({ a: 100, b: 100, c: 100, d: 100 });
  });

  test.each(['Random', 'PowerOfTwo'] as const)('%s is even over idle endpoints', (algorithm) => {
    for (const count of Object.values(counts(algorithm, 4000))) expect(Math.abs(count - 1000)).toBeLessThan(130);
  });

  test('LeastRequests takes the fewest in flight', () => {
    const on = env();
    for (const [i, pod] of PODS.entries()) on.meters.flying.set(slotOf(pod), pod === 'c' ? 0 : i + 1);
    expect(counts('LeastRequests', 20, PODS, on)).toEqual({ a: 0, b: 0, c: 20, d: 0 });
  });

  test('LeastSessions takes the fewest sessions, whatever is in flight', () => {
    const on = env();
    for (const [i, pod] of PODS.entries()) {
      on.meters.holding.set(slotOf(pod), pod === 'd' ? 1 : i + 2);
      on.meters.flying.set(slotOf(pod), pod === 'd' ? 50 : 0);
    }
    expect(counts('LeastSessions', 20, PODS, on)).toEqual({ a: 0, b: 0, c: 0, d: 20 });
    on.meters.holding.clear();
    expect(counts('LeastSessions', 400, PODS, on)).toEqual({ a: 100, b: 100, c: 100, d: 100 });
  });

  test('PowerOfTwo never takes the busiest', () => {
    const on = env();
    on.meters.flying.set(slotOf('b'), 9);
    expect(counts('PowerOfTwo', 500, PODS, on)['b']).toBe(0);
  });

  test('LeastRequests starts at a random one', () => {
    const live = affinity();
    const firsts = new Set<string>();
    const shared = env();
    for (let i = 0; i < 60; i++) firsts.add(ask(live, pool(PODS), facts(), env({ random: shared.random })).pod);
    expect([...firsts].sort()).toEqual(PODS);
  });

  test('LeastRequests of many samples and still spreads', () => {
    const pods = Array.from({ length: 400 }, (_, i) => `many-${i}`);
    const on = env();
    for (const pod of pods.slice(0, 200)) on.meters.flying.set(slotOf(pod), 5);
    const result = counts('LeastRequests', 2000, pods, on);
    const busy = pods.slice(0, 200).reduce((sum, pod) => sum + (result[pod] ?? 0), 0);
    expect(busy).toBeLessThan(10);
    expect(Math.max(...Object.values(result))).toBeLessThan(20);
  });

  test('the order of choice wraps around', () => {
    const on = env();
    on.meters.chosen.set(slotOf('a'), 2 ** 31 - 5);
    on.meters.chosen.set(slotOf('b'), -(2 ** 31) + 5);
    on.meters.chosen.set(slotOf('c'), 2 ** 31 - 9);
    expect(ask(affinity(), pool(['a', 'b', 'c']), facts(), on).pod).toBe('c');
  });

  test.each(['LeastRequests', 'RoundRobin', 'Random', 'PowerOfTwo'] as const)('%s with one endpoint', (algorithm) => {
    expect(counts(algorithm, 3, ['a'])).toEqual({ a: 3 });
  });
});

const MANY = Array.from({ length: 400 }, (_, i) => `many-${i}`);

describe('many endpoints', () => {
  const SAMPLED = ['LeastRequests', 'LeastSessions', 'Random', 'PowerOfTwo', 'PeakEwma'] as const;

  test.each(SAMPLED)('%s gives each its share', (algorithm) => {
    const result = Object.values(counts(algorithm, 20_000, MANY));
    // Binomial: 50 with a standard deviation of 7; ties by the last choice are more even than that.
    expect(Math.min(...result)).toBeGreaterThan(15);
    expect(Math.max(...result)).toBeLessThan(85);
  });

  test('RoundRobin is exact', () => {
    expect(new Set(Object.values(counts('RoundRobin', 1200, MANY)))).toEqual(new Set([3]));
  });

  test('LeastRequests of 128 always finds the only idle one, of more as often as it is among 16', () => {
    const found = (pods: readonly string[]): number => {
      const on = env();
      for (const pod of pods.slice(1)) on.meters.flying.set(slotOf(pod), 1);
      return counts('LeastRequests', 400, [...pods], on)['many-0'] ?? 0;
    };
    expect(found(MANY.slice(0, 128))).toBe(400);
    expect(Math.abs(found(MANY.slice(0, 160)) - 40)).toBeLessThan(25);
  });

  test.each(SAMPLED)('%s finds the few that are fit, and each of them', (algorithm) => {
    const on = env();
    for (const pod of MANY.slice(3)) on.meters.failing.set(slotOf(pod), NOW - 1);
    const result = counts(algorithm, 600, MANY, on);
    for (const [i, pod] of MANY.entries()) {
      if (i >= 3) expect(result[pod]).toBe(0);
      else expect(Math.abs((result[pod] ?? 0) - 200)).toBeLessThan(70);
    }
  });

  test.each([200, 399, 400])(
    'with %i endpoints at their cap a session begins at one of the others, if there are any',
    (full) => {
      const live = affinity(undefined, { maxSessionsPerEndpoint: 5, onFull: 'Reject' });
      const target = pool(MANY);
      const on = env();
      for (const pod of MANY.slice(0, full)) on.meters.holding.set(slotOf(pod), 5);
      const roomy = new Set(MANY.slice(full));
      for (let i = 0; i < 100; i++) {
        const { pod, status } = ask(live, target, facts(), on);
        if (full === 400) expect(status).toBe(503);
        else expect(roomy).toContain(pod);
      }
    },
  );

  test('one that was tried is not drawn', () => {
    const target = pool(MANY);
    const tried = MANY.slice(1, 300).map(slotOf);
    const on = env();
    for (let i = 0; i < 200; i++) {
      const index = pickNew({ algorithm: 'Random', slowStart: 0 }, target, tried, on);
      expect(index === 0 || index >= 300).toBe(true);
    }
  });

  test('a new one starts slowly, too', () => {
    const live = affinity(undefined, { slowStart: 60_000 });
    const target = pool([...MANY, { id: 'fresh', since: NOW }]);
    const on = env();
    for (const pod of MANY) on.meters.flying.set(slotOf(pod), 9);
    for (let i = 0; i < 400; i++) expect(ask(live, target, facts(), on).pod).not.toBe('fresh');
  });
});

const ALL = ['LeastRequests', 'LeastSessions', 'RoundRobin', 'Random', 'PowerOfTwo', 'PeakEwma'] as const;

describe('slow start', () => {
  const MINUTE = 60_000;

  /** New sessions of each of four pods; `d` became Ready `age` ms ago. */
  function shares(algorithm: Algorithm, age: number, requests = 4000): Record<string, number> {
    const live = affinity(undefined, { algorithm, slowStart: MINUTE });
    const target = pool(['a', 'b', 'c', { id: 'd', since: NOW - age }]);
    const on = env();
    const result: Record<string, number> = { a: 0, b: 0, c: 0, d: 0 };
    for (let i = 0; i < requests; i++) result[ask(live, target, facts(), on).pod]!++;
    return result;
  }

  // HAProxy: `server … slowstart`.
  test.each(ALL)('HAProxy slowstart: %s gives a new endpoint a share that grows linearly', (algorithm) => {
    for (const [age, part] of [
      [0, 0],
      [MINUTE / 10, 0.1],
      [MINUTE / 2, 0.5],
      [MINUTE, 1],
    ] as const) {
      const { d = 0 } = shares(algorithm, age);
      expect(Math.abs(d - (4000 * part) / (3 + part)), `after ${age} ms: ${d}`).toBeLessThan(130);
      if (part === 0) expect(d).toBe(0);
    }
  });

  test.each(['LeastRequests', 'RoundRobin'] as const)('%s stays exact over the others', (algorithm) => {
    const { a = 0, b = 0, c = 0 } = shares(algorithm, MINUTE / 2);
    expect(Math.max(a, b, c) - Math.min(a, b, c)).toBeLessThanOrEqual(1);
  });

  test('endpoints that are all equally new are not slow, and the oldest of several sets the measure', () => {
    const live = affinity(undefined, { algorithm: 'RoundRobin', slowStart: MINUTE });
    const on = env();
    const fresh = pool(['a', 'b', 'c'].map((id) => ({ id, since: NOW })));
    const pods = Array.from({ length: 6 }, () => ask(live, fresh, facts(), on).pod);
    expect(pods).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
    const staggered = pool([
      { id: 'a', since: NOW - 2000 },
      { id: 'b', since: NOW - 1000 },
    ]);
    let b = 0;
    for (let i = 0; i < 3000; i++) if (ask(live, staggered, facts(), on).pod === 'b') b++;
    expect(Math.abs(b - 1000)).toBeLessThan(130);
  });

  test('the only endpoint is used, a clock that is set back harms nothing', () => {
    const live = affinity(undefined, { slowStart: MINUTE });
    expect(ask(live, pool([{ id: 'a', since: NOW + 5000 }]), facts()).pod).toBe('a');
    expect(ask(live, pool(['a', { id: 'b', since: NOW + 5000 }]), facts()).pod).toBe('a');
  });

  test('moves and hashed keys ignore it', () => {
    const live = affinity(undefined, { slowStart: MINUTE });
    const moved = new Set<string>();
    const target = pool(['b', { id: 'c', since: NOW }]);
    const random = seeded(7);
    for (let i = 0; i < 40; i++) {
      const on = env({ random });
      const cookie = sessionOn(live, 'a', on);
      moved.add(ask(live, target, facts({ cookie }), on).pod);
    }
    expect([...moved].sort()).toEqual(['b', 'c']);
    const hash = affinity([{ name: 'id', header: { name: 'x', mode: 'Hash' } }], { slowStart: MINUTE });
    const hashed = Array.from({ length: 40 }, (_, i) => ask(hash, target, facts({ head: { x: `${i}` } })).pod);
    expect(new Set(hashed).size).toBe(2);
  });
});

describe('PeakEwma', () => {
  test('takes the lower latency × (requests in flight + 1)', () => {
    const on = env();
    on.meters.slowness.set(slotOf('a'), 10).set(slotOf('b'), 30);
    on.meters.flying.set(slotOf('a'), 1);
    expect(counts('PeakEwma', 20, ['a', 'b'], on)).toEqual({ a: 20, b: 0 });
    on.meters.flying.set(slotOf('a'), 3);
    expect(counts('PeakEwma', 20, ['a', 'b'], on)).toEqual({ a: 0, b: 20 });
  });

  test('of four the slowest gets nothing while the others are quick', () => {
    const on = env();
    for (const pod of PODS) on.meters.slowness.set(slotOf(pod), pod === 'c' ? 500 : 5);
    const { a = 0, b = 0, c = 0, d = 0 } = counts('PeakEwma', 900, PODS, on);
    expect(c).toBe(0);
    for (const count of [a, b, d]) expect(Math.abs(count - 300)).toBeLessThan(80);
  });

  test('an endpoint of which nothing is known gets one request, and the next one only when that is answered', () => {
    const on = env();
    on.meters.slowness.set(slotOf('a'), 50);
    on.meters.flying.set(slotOf('a'), 9);
    expect(counts('PeakEwma', 5, ['a', 'b'], on)).toEqual({ a: 0, b: 5 });
    on.meters.flying.set(slotOf('b'), 1);
    expect(counts('PeakEwma', 5, ['a', 'b'], on)).toEqual({ a: 5, b: 0 });
  });

  test('is even over endpoints of which nothing is known', () => {
    for (const count of Object.values(counts('PeakEwma', 4000))) expect(Math.abs(count - 1000)).toBeLessThan(130);
  });
});
