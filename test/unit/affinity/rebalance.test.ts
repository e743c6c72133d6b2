/** Rebalancing: which sessions leave which endpoints, that it comes to rest, and that it keeps to its rate. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LiveAffinity } from '../../../src/affinity/build.ts';
import { hasTooMany } from '../../../src/affinity/rebalance.ts';
import type { SessionRegion, SessionView } from '../../../src/model/live.ts';
import { createChunk, Block } from '../../../src/shared/cells.ts';
import { Turns } from '../../../src/shared/turns.ts';
import { JoinedPool } from '../../../src/worker/joined-pool.ts';
import { affinity, again, ask, COOKIE, env, facts, HOUR, KEYS, NOW, pair, pool, slotOf } from './fixtures.ts';
import type { TestEnv, TestRule } from './fixtures.ts';

const MINUTE = 60_000;
const REBALANCE = { rebalance: { maxMovesPerMinute: 20, idleFor: 10 * MINUTE } };
const PODS = ['a', 'b', 'c'];

/** A table that knows each session by its fingerprint, as far as it has been told. */
class Seen {
  readonly entries = new Map<string, SessionView>();
  find(_: SessionRegion, high: number, low: number, _now: number, view: SessionView): boolean {
    const entry = this.entries.get(`${high} ${low}`);
    if (entry !== undefined) Object.assign(view, entry);
    return entry !== undefined;
  }
}

function world(loads: readonly number[], changes: Partial<TestEnv> = {}): TestEnv {
  const on = env(changes);
  for (const [i, count] of loads.entries()) on.meters.holding.set(slotOf(PODS[i] ?? ''), count);
  return on;
}

/** The Cookie of a session that began on `pod` at `then`. */
function cookieOf(live: LiveAffinity, pod: string, then: number, on = env()): string {
  return pair(ask(live, pool([pod]), facts(), { ...on, now: then }).setCookie);
}

describe('which sessions move', () => {
  const live = affinity([COOKIE], REBALANCE);
  const old = cookieOf(live, 'a', NOW - HOUR);

  test('one that is idle leaves an endpoint with too many, and the answer says so', () => {
    const answer = ask(live, pool(PODS), facts({ cookie: old }), world([9, 2, 1]));
    expect(answer.verdict).toBe('moved rebalance');
    expect(['b', 'c']).toContain(answer.pod);
    const after = ask(live, pool(PODS), facts({ cookie: pair(answer.setCookie) }), world([9, 2, 1]));
    expect(after).toMatchObject({ verdict: 'kept -', pod: answer.pod, setCookie: undefined });
  });

  test.each([
    ['all have the same', [4, 4, 4]],
    ['there is but one more than the mean of few', [1, 1, 1]],
    ['it has less than one above the mean', [2, 1, 1]],
    ['it has no more than 1.2 times the mean', [120, 90, 90]],
    ['another one has too many', [4, 9, 1]],
  ])('it stays: %s', (_, loads) => {
    expect(ask(live, pool(PODS), facts({ cookie: old }), world(loads)).verdict).toBe('kept -');
  });

  test('an eighth of idleFor is allowed for, because tokens are written anew only so often', () => {
    const at = (age: number) =>
      ask(live, pool(PODS), facts({ cookie: cookieOf(live, 'a', NOW - age) }), world([9, 2, 1])).verdict;
    expect(at(11 * MINUTE)).toBe('kept -');
    expect(at(11.5 * MINUTE)).toBe('moved rebalance');
  });

  test('one that the table has seen meanwhile stays: a stream that is open', () => {
    const on = world([9, 2, 1], {
      sessions: {
        find: (_r, _h, _l, _n, view) =>
          Object.assign(view, { ref: slotOf('a'), lastSeen: NOW - 9 * MINUTE, firstSeen: 0 }) !== undefined,
      },
    });
    const target = pool(PODS);
    const placeOf = (ref: number) => ({ pool: target, index: target.endpoints.findIndex((e) => e.ref === ref) });
    expect(ask(live, target, facts({ cookie: old }), { ...on, placeOf }).verdict).toBe('kept -');
  });

  test('requests that come with one that moves follow it, without a turn of their own', () => {
    const target = pool(PODS);
    const seen = new Seen();
    const placeOf = (ref: number) => ({ pool: target, index: target.endpoints.findIndex((e) => e.ref === ref) });
    const on = { ...world([9, 2, 1], { sessions: seen, placeOf }) };
    const first = ask(live, target, facts({ cookie: old }), on);
    seen.entries.set(`${first.d.entryHigh} ${first.d.entryLow}`, {
      ref: slotOf(first.pod),
      lastSeen: NOW,
      firstSeen: NOW,
    });
    const late = { ...on, now: NOW + 100, takeMove: () => false };
    expect(ask(live, target, facts({ cookie: old }), late)).toMatchObject({
      verdict: 'moved rebalance',
      pod: first.pod,
    });
    // The table of another replica has the session where it was: the newer token counts.
    seen.entries.set(`${first.d.entryHigh} ${first.d.entryLow}`, {
      ref: slotOf('a'),
      lastSeen: NOW - 20 * MINUTE,
      firstSeen: 0,
    });
    expect(ask(live, target, facts({ cookie: pair(first.setCookie) }), late)).toMatchObject({
      verdict: 'kept -',
      pod: first.pod,
    });
  });

  test('of several backends it stays at its own, whose part is for the weights to say', () => {
    const of = [PODS, ['g1', 'g2']].map((pods, i) => ({
      ref: { live: pool(pods, KEYS, `s${i}`) },
      weight: i === 0 ? 90 : 10,
    }));
    const target = new JoinedPool(of, () => KEYS).live;
    const begun = pair(ask(live, target, facts(), { ...env({ random: () => 0 }), now: NOW - HOUR }).setCookie);
    const { pod } = ask(live, target, facts({ cookie: begun }), world([4, 4, 4]));
    expect(PODS).toContain(pod);
    expect(ask(live, target, facts({ cookie: begun }), world([4, 4, 4])).verdict).toBe('kept -');
    const heavy = ask(live, target, facts({ cookie: begun }), world(PODS.map((one) => (one === pod ? 9 : 1))));
    expect(heavy.verdict).toBe('moved rebalance');
    expect(PODS).toContain(heavy.pod);
  });

  test('where requests are balanced near their endpoint (stickTo) nothing has to move', () => {
    const near = affinity([COOKIE], { ...REBALANCE, stickTo: 'Service' });
    expect(ask(near, pool(PODS), facts({ cookie: old }), world([9, 2, 1])).verdict).toBe('kept -');
  });

  test('a new endpoint that cannot be connected to: the session stays where it was', () => {
    const target = pool(PODS);
    const on = world([9, 2, 1]);
    const first = ask(live, target, facts({ cookie: old }), on);
    first.d.tried.push(slotOf(first.pod));
    const next = again(first.d, live, target, facts({ cookie: old }), { ...on, takeMove: () => false });
    expect(next).toMatchObject({ verdict: 'kept -', pod: 'a' });
  });

  test.each<[string, TestRule, string]>([
    ['force', { ...COOKIE, force: true }, 'HF'],
    ['Rewrite', { name: 'r', cookie: { name: 'HF', mode: 'Rewrite' } }, 'HF'],
    ['Prefix', { name: 'r', cookie: { name: 'HF', mode: 'Prefix' } }, 'HF'],
    ['Passive', { name: 'r', cookie: { name: 'HF', mode: 'Passive' } }, 'HF'],
    ['emitOn for another method', { name: 'r', cookie: { name: 'HF', emitOn: { methods: ['POST'] } } }, 'HF'],
  ])('never with %s', (_, rule) => {
    const other = affinity([rule], REBALANCE);
    const value = old.slice(3);
    const cookie =
      rule.cookie?.mode === 'Prefix' ? `HF=${value}~x` : rule.cookie?.mode === 'Passive' ? `HF=a|1|1` : old;
    expect(ask(other, pool(PODS), facts({ cookie }), world([9, 2, 1]))).toMatchObject({ pod: 'a', verdict: 'kept -' });
  });

  test('never in mode Wrap, whose tokens are written once', () => {
    const other = affinity([{ name: 'w', header: { name: 'x-id', mode: 'Wrap' } }], REBALANCE);
    const head = { 'x-id': `${old.slice(3)}.id-1` };
    expect(ask(other, pool(PODS), facts({ head }), world([9, 2, 1]))).toMatchObject({ pod: 'a', verdict: 'kept -' });
  });

  test('a token that does not say when it was last seen is written anew, and the session stays', () => {
    const before = cookieOf(affinity([COOKIE]), 'a', NOW - HOUR);
    const answer = ask(live, pool(PODS), facts({ cookie: before }), world([9, 2, 1]));
    expect(answer).toMatchObject({ pod: 'a', verdict: 'kept -' });
    expect(answer.setCookie).toContain('HF=');
  });

  test('keys of the table move when the table says that they are idle', () => {
    const keyed = affinity([{ name: 't', header: { name: 'x-id', mode: 'Table' } }], REBALANCE);
    const target = pool(PODS);
    const placeOf = (ref: number) => ({ pool: target, index: target.endpoints.findIndex((e) => e.ref === ref) });
    const at = (lastSeen: number, force = false) => {
      const sessions = {
        find: (_r: SessionRegion, _h: number, _l: number, _n: number, view: SessionView) =>
          Object.assign(view, { ref: slotOf('a'), lastSeen, firstSeen: 0 }) !== undefined,
      };
      const rules = force
        ? affinity([{ name: 't', force, header: { name: 'x-id', mode: 'Table' } }], REBALANCE)
        : keyed;
      return ask(rules, target, facts({ head: { 'x-id': 'alice' } }), world([9, 2, 1], { sessions, placeOf })).verdict;
    };
    expect(at(NOW - 11 * MINUTE)).toBe('moved rebalance');
    expect(at(NOW - 9 * MINUTE)).toBe('kept -');
    expect(at(NOW - 11 * MINUTE, true)).toBe('kept -');
  });

  test('an endpoint that drains or refuses connections takes none', () => {
    const target = pool(['a', { id: 'b', state: 'Draining' }, 'c']);
    const on = world([9, 0, 1]);
    expect(ask(live, target, facts({ cookie: old }), on).pod).toBe('c');
    on.meters.failing.set(slotOf('c'), NOW - 1);
    expect(ask(live, target, facts({ cookie: old }), on)).toMatchObject({ pod: 'a', verdict: 'kept -' });
  });
});

test('whatever the loads, it comes to rest, no endpoint gets too many by it, and no session moves twice', () => {
  const live = affinity([COOKIE], REBALANCE);
  const target = pool(PODS);
  const cookies = PODS.map((pod) =>
    Array.from({ length: 30 }, (_, i) => cookieOf(live, pod, NOW - HOUR, { ...env(), random: () => i * 7919 + 1 })),
  );
  const loads = fc.tuple(fc.nat(30), fc.nat(30), fc.nat(30));
  fc.assert(
    fc.property(loads, (counts) => {
      const on = world(counts);
      const at = new Map<string, string>();
      for (const [i, pod] of PODS.entries())
        for (const cookie of (cookies[i] ?? []).slice(0, counts[i])) at.set(cookie, pod);
      const moved = new Set<string>();
      const holding = (pod: string): number => on.meters.holding.get(slotOf(pod)) ?? 0;
      const mean = counts.reduce((sum, count) => sum + count, 0) / PODS.length;
      for (const _round of [1, 2]) {
        for (const [cookie, pod] of at) {
          if (pod !== '' && !moved.has(cookie)) {
            const answer = ask(live, target, facts({ cookie }), on);
            if (answer.verdict === 'moved rebalance') {
              expect(hasTooMany(holding(pod), mean)).toBe(true);
              moved.add(cookie);
              on.meters.holding.set(slotOf(pod), holding(pod) - 1);
              on.meters.holding.set(slotOf(answer.pod), holding(answer.pod) + 1);
              expect(hasTooMany(holding(answer.pod), mean)).toBe(false);
              at.set(cookie, '');
            } else expect(hasTooMany(holding(pod), mean)).toBe(false);
          }
        }
      }
      for (const pod of PODS) expect(hasTooMany(holding(pod), mean)).toBe(false);
    }),
    { numRuns: 200 },
  );
});

describe('turns', () => {
  function turns(): Turns {
    const block = new Block('turn', 2);
    block.attach(createChunk('turn', 0, 2));
    return new Turns(block);
  }

  test('never more in a minute than there are, whenever they are asked for', () => {
    const times = fc.array(fc.nat(5000), { minLength: 50, maxLength: 300 });
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 600 }), (pauses, perMinute) => {
        const one = turns();
        const taken: number[] = [];
        let now = NOW;
        for (const pause of pauses) if (one.take(3, MINUTE / perMinute, (now += pause))) taken.push(now);
        expect(taken.length).toBeGreaterThan(0);
        for (const [i, first] of taken.entries()) {
          const within = taken.slice(i).filter((time) => time < first + MINUTE).length;
          expect(within).toBeLessThanOrEqual(perMinute);
        }
      }),
    );
  });

  test('each policy has its own, and half of them with two replicas', () => {
    const one = turns();
    expect([one.take(1, 3000, NOW), one.take(2, 3000, NOW), one.take(1, 3000, NOW + 2999)]).toEqual([
      true,
      true,
      false,
    ]);
    expect(one.take(1, 3000, NOW + 3000)).toBe(true);
    const asked: number[] = [];
    const live = affinity([COOKIE], REBALANCE);
    const on = world([9, 2, 1], { replicas: 2, takeMove: (_, every) => asked.push(every) > 0 });
    ask(live, pool(PODS), facts({ cookie: cookieOf(live, 'a', NOW - HOUR) }), on);
    expect(asked).toEqual([6000]);
  });

  test('a cell that was last written 40 days ago, when its 32 bits have come round, stops nobody for longer than a turn', () => {
    const one = turns();
    one.take(1, 3000, NOW);
    const later = NOW + 2 ** 32 + 100;
    expect(one.take(1, 3000, NOW + 40 * 24 * HOUR)).toBe(true);
    expect(one.take(1, 3000, later + 3000)).toBe(true);
  });
});

test('caps are divided by the replicas, rounded up', () => {
  const live = affinity([COOKIE], { maxSessionsPerEndpoint: 5, onFull: 'Reject' });
  const at = (held: number, replicas: number) => ask(live, pool(['a']), facts(), world([held], { replicas })).verdict;
  expect(at(4, 1)).toBe('new no_token');
  expect(at(5, 1)).toBe('rejected capacity');
  expect(at(2, 2)).toBe('new no_token');
  expect(at(3, 2)).toBe('rejected capacity');
  expect(at(0, 100)).toBe('new no_token');
  expect(at(1, 100)).toBe('rejected capacity');
});
