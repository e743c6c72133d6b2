/** Sessions that were moved or ended by hand: what becomes of their tokens, older and newer. */
import { describe, expect, test } from 'vitest';
import type { LiveAffinity } from '../../../src/affinity/build.ts';
import { Overrides } from '../../../src/affinity/overrides.ts';
import type { Override } from '../../../src/model/override.ts';
import {
  affinity,
  ask,
  COOKIE,
  env,
  facts,
  HOUR,
  KEYS,
  NOW,
  pair,
  pool,
  seeded,
  sessionOn,
  slotOf,
} from './fixtures.ts';
import type { TestEnv } from './fixtures.ts';

const PODS = pool(['a', 'b', 'c']);
const MINUTE = 60_000;

/** What is in force about the session of `cookie`, said at `from`. */
function said(
  live: LiveAffinity,
  cookie: string,
  from: number,
  pod: string | undefined,
  changes: Partial<TestEnv> = {},
): TestEnv {
  const { d } = ask(live, PODS, facts({ cookie }), env({ now: from, ...changes }));
  return withOverride(
    { high: d.entryHigh, low: d.entryLow, from, until: from + 24 * HOUR, to: prefixOf(pod) },
    changes,
  );
}

function withOverride(override: Override, changes: Partial<TestEnv> = {}): TestEnv {
  const overrides = new Overrides();
  overrides.set(override);
  return env({ overrides, random: seeded(77), ...changes });
}

function prefixOf(pod: string | undefined): string | undefined {
  return pod === undefined ? undefined : KEYS.endpointPrefix(0, `uid:${pod}`);
}

describe('moved', () => {
  const live = affinity();
  const old = sessionOn(live, 'a', env({ now: NOW - HOUR }));

  test('a token made before leads to the new endpoint, and the answer carries one that does', () => {
    const on = said(live, old, NOW, 'c');
    const answer = ask(live, PODS, facts({ cookie: old }), { ...on, now: NOW + 60_000 });
    expect(answer).toMatchObject({ verdict: 'moved override', pod: 'c' });
    // The same session, and from now on its token says where it is.
    const cookie = pair(answer.setCookie);
    expect(cookie.slice(3 + 12, 3 + 22)).toBe(old.slice(3 + 12, 3 + 22));
    expect(ask(live, PODS, facts({ cookie }), on)).toMatchObject({ verdict: 'kept -', pod: 'c', setCookie: undefined });
  });

  test('a token made while replicas hear of it is an older one; one made later is not', () => {
    const timed = affinity([COOKIE], { idleTimeout: HOUR });
    const at = (time: number) => sessionOn(timed, 'a', env({ now: time }));
    const verdict = (cookie: string) => {
      const on = said(timed, cookie, NOW, 'c', { now: NOW + MINUTE });
      return ask(timed, PODS, facts({ cookie }), on).verdict;
    };
    expect(verdict(at(NOW + 9_000))).toBe('moved override');
    expect(verdict(at(NOW + 12_000))).toBe('kept -');
  });

  test('one that was lost there and moved on does not come back, although its policy dates no tokens', () => {
    const on = said(live, old, NOW, 'c');
    const there = pair(ask(live, PODS, facts({ cookie: old }), { ...on, now: NOW + MINUTE }).setCookie);
    const gone = ask(live, pool(['a', 'b']), facts({ cookie: there }), { ...on, now: NOW + HOUR });
    expect(gone.verdict).toBe('moved endpoint_gone');
    const back = ask(live, PODS, facts({ cookie: pair(gone.setCookie) }), { ...on, now: NOW + 2 * HOUR });
    expect(back).toMatchObject({ verdict: 'kept -', pod: gone.pod });
  });

  test.each([
    ['gone', pool(['a', 'b'])],
    ['draining', pool(['a', 'b', { id: 'c', state: 'Draining' }])],
    ['not ready', pool(['a', 'b', { id: 'c', state: 'NotReady' }])],
  ])('an endpoint that is %s takes nobody: the session stays', (_, target) => {
    expect(ask(live, target, facts({ cookie: old }), said(live, old, NOW, 'c'))).toMatchObject({
      verdict: 'kept -',
      pod: 'a',
    });
  });

  test('an endpoint that cannot be connected to: the session stays', () => {
    const on = said(live, old, NOW, 'c');
    on.meters.failing.set(slotOf('c'), NOW - 1);
    expect(ask(live, PODS, facts({ cookie: old }), on)).toMatchObject({ verdict: 'kept -', pod: 'a' });
  });

  test('other sessions, of the same endpoint and of other scopes, mind nothing', () => {
    const on = said(live, old, NOW, 'c');
    const other = sessionOn(live, 'a', env({ random: seeded(5) }));
    expect(ask(live, PODS, facts({ cookie: other }), on).verdict).toBe('kept -');
    const elsewhere = affinity([COOKIE], {}, { scope: 'shop/other/web' });
    const cookie = sessionOn(elsewhere, 'a', env({ now: NOW - HOUR }));
    expect(ask(elsewhere, PODS, facts({ cookie }), on).verdict).toBe('kept -');
  });

  test('a token of mode Wrap is led there each time, and stays as it is', () => {
    const wraps = affinity([{ name: 'w', header: { name: 'x-id', mode: 'Wrap' } }]);
    const head = { 'x-id': `${old.slice(3)}.id-1` };
    const { d } = ask(wraps, PODS, facts({ head }));
    const on = withOverride({ high: d.entryHigh, low: d.entryLow, from: NOW, until: Infinity, to: prefixOf('b') });
    for (let i = 0; i < 2; i++)
      expect(ask(wraps, PODS, facts({ head }), on)).toMatchObject({
        verdict: 'moved override',
        pod: 'b',
        setCookie: undefined,
      });
  });

  test('a hashed key goes there, seen before or not', () => {
    const hashed = affinity([{ name: 'h', header: { name: 'x-id', mode: 'Hash' } }]);
    const request = facts({ head: { 'x-id': 'alice' } });
    const { d, pod } = ask(hashed, PODS, request);
    const to = pod === 'a' ? 'b' : 'a';
    const on = withOverride({ high: d.entryHigh, low: d.entryLow, from: NOW, until: Infinity, to: prefixOf(to) });
    expect(ask(hashed, PODS, request, on)).toMatchObject({ verdict: 'new -', pod: to });
    const seen = {
      ...on,
      sessions: {
        find: (_r: number, _h: number, _l: number, _n: number, view: object) =>
          Object.assign(view, { ref: slotOf(pod) }) !== undefined,
      },
      placeOf: (ref: number) => ({ pool: PODS, index: PODS.endpoints.findIndex((endpoint) => endpoint.ref === ref) }),
    };
    expect(ask(hashed, PODS, request, seen)).toMatchObject({ verdict: 'moved override', pod: to });
  });
});

describe('ended', () => {
  const live = affinity();
  const old = sessionOn(live, 'a', env({ now: NOW - HOUR }));

  test('its token begins a new session, which goes on', () => {
    const on = said(live, old, NOW, undefined);
    const answer = ask(live, PODS, facts({ cookie: old }), on);
    expect(answer.verdict).toBe('new override');
    const cookie = pair(answer.setCookie);
    expect(cookie.slice(15, 25)).not.toBe(old.slice(15, 25));
    expect(ask(live, PODS, facts({ cookie }), on)).toMatchObject({ verdict: 'kept -', pod: answer.pod });
  });

  test('its id never comes back, however new the token', () => {
    const timed = affinity([COOKIE], { idleTimeout: HOUR });
    const cookie = sessionOn(timed, 'a', env({ now: NOW + MINUTE }));
    const on = said(timed, cookie, NOW, undefined, { now: NOW + 2 * MINUTE });
    expect(ask(timed, PODS, facts({ cookie }), on).verdict).toBe('new override');
  });

  test('another cookie of the same request that lives is found all the same', () => {
    const on = said(live, old, NOW, undefined);
    const other = sessionOn(live, 'b', env({ random: seeded(9) }));
    expect(ask(live, PODS, facts({ cookie: `${old}; ${other}` }), on)).toMatchObject({ verdict: 'kept -', pod: 'b' });
  });

  test('a plain cookie of the same place and address, begun later, lives', () => {
    const plain = affinity([{ name: 'p', cookie: { name: 'HF', format: 'Plain' } }]);
    const on = said(plain, 'HF=a', NOW, undefined);
    const answer = ask(plain, pool(['a']), facts({ cookie: 'HF=a' }), on);
    expect(answer.verdict).toBe('new override');
    const cookie = pair(answer.setCookie);
    expect(cookie).toMatch(/^HF=a\|\d+\|\d+$/);
    expect(ask(plain, pool(['a']), facts({ cookie }), on).verdict).toBe('kept -');
  });

  test('a token of mode Wrap counts as none', () => {
    const wraps = affinity([{ name: 'w', header: { name: 'x-id', mode: 'Wrap' } }]);
    const head = { 'x-id': `${old.slice(3)}.id-1` };
    const { d } = ask(wraps, PODS, facts({ head }));
    const on = withOverride({ high: d.entryHigh, low: d.entryLow, from: NOW, until: Infinity });
    expect(ask(wraps, PODS, facts({ head }), on).verdict).toBe('stateless override');
  });

  test('it does not begin again by the cookie of another product', () => {
    const accepts = affinity([
      { name: 'c', cookie: { name: 'HF', accept: [{ product: 'HAProxy', name: 'SRV', ids: { one: 'b' } }] } },
    ]);
    const on = said(accepts, old, NOW, undefined);
    expect(ask(accepts, PODS, facts({ cookie: `${old}; SRV=one` }), on).verdict).toBe('new override');
  });
});

test('overrides are found by both words, replaced and taken away', () => {
  const all = new Overrides();
  const one = { high: 1, low: 2, from: 0, until: 1 };
  all.set(one);
  all.set({ ...one, low: 3 });
  all.set({ ...one, from: 5 });
  expect(all.size).toBe(2);
  expect([all.find(1, 2)?.from, all.find(1, 3)?.from, all.find(2, 1)]).toEqual([5, 0, undefined]);
  all.delete(one);
  all.delete(one);
  all.delete({ high: 9, low: 9 });
  expect([...all]).toEqual([{ ...one, low: 3 }]);
  all.delete({ high: 1, low: 3 });
  expect(all.size).toBe(0);
});
