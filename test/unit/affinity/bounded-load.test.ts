/** Tests of hashed keys of every algorithm in decisions: states of endpoints, retries, and bounded load against hot keys. */
import { describe, expect, test } from 'vitest';
import { Decision } from '../../../src/affinity/decision.ts';
import type { HashSettings } from '../../../src/model/sticky-policy.ts';
import { affinity, again, ask, COOKIE, env, facts, HOUR, NOW, pair, pool, sessionOn, slotOf } from './fixtures.ts';
import type { TestEndpoint, TestEnv, TestRule } from './fixtures.ts';

const ALGORITHMS = ['Rendezvous', 'Maglev', 'Ring'] as const;
const PODS = ['a', 'b', 'c', 'd', 'e'];
const ALL = pool(PODS);
const REVERSED = pool([...PODS].reverse());
const user = (id: string) => facts({ head: { 'x-id': id } });
const rule = (hash: HashSettings, more: Partial<TestRule> = {}): TestRule => ({
  name: 'apps',
  header: { name: 'x-id', mode: 'Hash', hash },
  ...more,
});

/** An environment in which each of `pods` has so many requests in flight. */
function busy(loads: Readonly<Record<string, number>>, on = env()): TestEnv {
  for (const [pod, load] of Object.entries(loads)) on.meters.flying.set(slotOf(pod), load);
  return on;
}

describe.each(ALGORITHMS)('%s', (algorithm) => {
  const live = affinity([rule({ algorithm })]);
  const key = 'u1';
  const own = ask(live, ALL, user(key)).pod;
  const others = PODS.filter((pod) => pod !== own);
  const at = (state: Partial<TestEndpoint>, on = env(), policy = live) =>
    ask(policy, pool([{ id: own, ...state }, ...others]), user(key), on).pod;
  const failing = (since: number) => {
    const on = env();
    on.meters.failing.set(slotOf(own), since);
    return on;
  };

  test('equal keys reach one endpoint on every replica, many keys reach all (T40)', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 100; i++) {
      const answer = ask(live, ALL, user(`u${i}`));
      expect(answer).toMatchObject({ rule: 0, status: 0, setCookie: undefined });
      expect(ask(live, REVERSED, user(`u${i}`)).pod).toBe(answer.pod);
      seen.add(answer.pod);
    }
    expect([...seen].sort()).toEqual(PODS);
  });

  test('NotReady and failing endpoints keep their keys within the grace and lose them after it; draining ones do at once', () => {
    expect(at({ state: 'NotReady', since: NOW - 3000 })).toBe(own);
    expect(at({}, failing(NOW - 3000))).toBe(own);
    expect(at({ state: 'Draining' })).not.toBe(own);
    expect(at({ state: 'NotReady', since: NOW - 3001 })).not.toBe(own);
    expect(at({}, failing(NOW - 3001))).not.toBe(own);
  });

  test('a key whose endpoint drains, or is NotReady for long, moves once: it stays where it is when the pod is gone', () => {
    for (const lost of PODS) {
      const left = PODS.filter((pod) => pod !== lost);
      const [gone, ...leaving] = [
        pool(left),
        pool([{ id: lost, state: 'Draining' }, ...left]),
        pool([{ id: lost, state: 'NotReady' }, ...left]),
      ];
      for (let i = 0; i < 100; i++) {
        if (ask(live, ALL, user(`u${i}`)).pod !== lost) continue;
        const heir = ask(live, gone, user(`u${i}`)).pod;
        expect(leaving.map((target) => ask(live, target, user(`u${i}`)).pod)).toEqual([heir, heir]);
      }
    }
  });

  test("retries go down the key's order, none twice, then 502", () => {
    const [on, d] = [env(), new Decision()];
    const pods = [ask(live, ALL, user(key), on, undefined, d).pod];
    while (pods.length < PODS.length) {
      d.tried.push(slotOf(pods.at(-1) ?? ''));
      pods.push(again(d, live, ALL, user(key), on).pod);
    }
    expect([...pods].sort()).toEqual(PODS);
    d.tried.push(slotOf(pods.at(-1) ?? ''));
    expect(again(d, live, ALL, user(key), on)).toMatchObject({
      verdict: 'rejected connect_failed',
      status: 502,
    });
  });

  test('only draining ones left: those rather than a 503', () => {
    const draining = pool(PODS.map((id) => ({ id, state: 'Draining' as const })));
    expect(PODS).toContain(ask(live, draining, user(key)).pod);
    expect(ask(live, pool([]), user(key))).toMatchObject({ verdict: 'rejected no_endpoints', status: 503 });
  });

  test('force: the first of all, draining, NotReady or overloaded', () => {
    const forced = affinity([rule({ algorithm, maxLoadFactor: 1.1 }, { force: true })]);
    const first = ask(forced, ALL, user(key)).pod;
    const left = PODS.filter((pod) => pod !== first);
    for (const state of ['Draining', 'NotReady'] as const) {
      expect(ask(forced, pool([{ id: first, state }, ...left]), user(key)).pod).toBe(first);
    }
    expect(ask(forced, ALL, user(key), busy({ [first]: 1000 }))).toMatchObject({ pod: first });
  });

  describe('with maxLoadFactor', () => {
    const bounded = affinity([rule({ algorithm, maxLoadFactor: 1.25 })]);
    const decideAt = (loads: Readonly<Record<string, number>>, on = env()) =>
      ask(bounded, ALL, user(key), busy(loads, on));

    test('below eight requests nothing is full', () => {
      expect(decideAt({ [own]: 7 }).pod).toBe(own);
      expect(decideAt({ [own]: 7 }).verdict).not.toMatch(/capacity/);
      expect(decideAt({ [own]: 8 })).toMatchObject({ verdict: 'kept capacity', status: 0 });
    });

    test('the bound is the factor times the mean, this request counted', () => {
      // 100 in flight over five: ceil(1.25 × 101 / 5) = 26.
      const rest = Object.fromEntries(others.map((pod, i) => [pod, i === 0 ? 15 : 20]));
      expect(decideAt({ ...rest, [own]: 25 }).pod).toBe(own);
      const more = Object.fromEntries(others.map((pod, i) => [pod, i === 0 ? 14 : 20]));
      expect(decideAt({ ...more, [own]: 26 })).toMatchObject({ verdict: 'kept capacity' });
    });

    test("the surplus goes down the key's order, past full and failing ones, and comes back when there is room", () => {
      const second = decideAt({ [own]: 50 }).pod;
      expect(second).not.toBe(own);
      expect(decideAt({ [own]: 50 }).pod).toBe(second);
      const third = decideAt({ [own]: 50, [second]: 50 }).pod;
      expect([own, second]).not.toContain(third);
      const on = env();
      on.meters.failing.set(slotOf(second), NOW - 1);
      expect(decideAt({ [own]: 50 }, on).pod).toBe(third);
      expect(decideAt({}).pod).toBe(own);
    });

    test('a surplus request that fails elsewhere goes on, and does not wait', () => {
      const [on, d] = [busy({ [own]: 50 }), new Decision()];
      const second = ask(bounded, ALL, user(key), on, undefined, d).pod;
      expect(d.retryOwn).toBe(false);
      d.tried.push(slotOf(second));
      const next = again(d, bounded, ALL, user(key), on);
      expect([own, second]).not.toContain(next.pod);
      expect(next.verdict).toBe('kept capacity');
    });

    test('where no other works, the own one takes it all the same', () => {
      const target = pool([own, ...others.map((id): TestEndpoint => ({ id, state: 'NotReady', since: NOW - HOUR }))]);
      const one = ask(bounded, target, user(key), busy({ [own]: 50 }));
      expect(one.pod).toBe(own);
      expect(one.verdict).not.toMatch(/capacity/);
    });

    test('keys that were chosen to hit one endpoint load none above the bound', () => {
      const attack = Array.from({ length: 5000 }, (_, i) => `try-${i}`)
        .filter((id) => ask(live, ALL, user(id)).pod === own)
        .slice(0, 500);
      const most = (policy: typeof live) => {
        const on = env();
        for (const id of attack) {
          const slot = slotOf(ask(policy, ALL, user(id), on).pod);
          on.meters.flying.set(slot, on.meters.inFlight(slot) + 1);
        }
        return Math.max(...PODS.map((pod) => on.meters.inFlight(slotOf(pod))));
      };
      expect(attack).toHaveLength(500);
      expect(most(live)).toBe(500);
      expect(most(bounded)).toBeLessThanOrEqual(Math.ceil((1.25 * 500) / PODS.length));
    });
  });
});

describe('a cookie beside a bounded key', () => {
  const live = affinity([rule({ maxLoadFactor: 1.25 }), COOKIE]);
  const own = ask(live, ALL, user('u1')).pod;

  test('a surplus request leaves the token alone', () => {
    const request = facts({ head: { 'x-id': 'u1' }, cookie: sessionOn(live, own) });
    const away = ask(live, ALL, request, busy({ [own]: 50 }));
    expect(away).toMatchObject({ verdict: 'kept capacity', setCookie: undefined });
    expect(away.pod).not.toBe(own);
    expect(ask(live, ALL, request)).toMatchObject({ pod: own, setCookie: undefined });
  });

  test('a client without one gets one for where it went', () => {
    const first = ask(live, ALL, user('u1'), busy({ [own]: 50 }));
    expect(first.pod).not.toBe(own);
    expect(ask(live, ALL, facts({ cookie: pair(first.setCookie) })).pod).toBe(first.pod);
  });
});
