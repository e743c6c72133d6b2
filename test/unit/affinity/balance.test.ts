/** Tests of the algorithms that choose an endpoint for a new session. */
import { describe, expect, test } from 'vitest';
import type { Algorithm } from '../../../src/model/sticky-policy.ts';
import { affinity, ask, env, facts, pool, slotOf } from './fixtures.ts';

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
