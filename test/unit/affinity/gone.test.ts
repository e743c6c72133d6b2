/** Tests of `onEndpointLost.goneGrace`: a session whose endpoint has vanished is told to wait for it, and for how long. */
import { describe, expect, test } from 'vitest';
import { Decision } from '../../../src/affinity/decision.ts';
import type { LivePool } from '../../../src/model/live.ts';
import type { CompiledPolicy } from '../../../src/model/policy.ts';
import { affinity, again, ask, COOKIE, env, facts, NOW, pool, sessionOn } from './fixtures.ts';
import type { TestEndpoint } from './fixtures.ts';

const GRACE = 30_000;
const lost: CompiledPolicy['lost'] = {
  action: 'Reassign',
  statusCode: 410,
  notReadyGrace: 3000,
  goneGrace: GRACE,
  preferVersion: 'Any',
};
const live = affinity(undefined, { lost });
const cookie = sessionOn(live, 'a');
const request = facts({ cookie });
/** The prefix by which the token calls pod `a`. */
const NAME = cookie.slice('HF='.length, 'HF='.length + 12);

/** A pool that `a` has left so many ms ago. */
function without(age: number, pods: readonly (string | TestEndpoint)[] = ['b', 'c']): LivePool {
  return { ...pool(pods), left: new Map([[NAME, NOW - age]]) };
}

describe('a session whose endpoint has vanished', () => {
  test('waits from when it vanished, without another endpoint and without a token', () => {
    const { d, verdict, status, setCookie, pod } = ask(live, without(10_000), request);
    expect([verdict, status, setCookie, pod]).toEqual(['rejected endpoint_gone', 503, undefined, '']);
    expect([d.waitUntil, d.waitFor]).toEqual([NOW - 10_000 + GRACE, NAME]);
    expect(d.region).toBe(-1);
  });

  test('is kept once the endpoint is back, and moves once the time is over', () => {
    const d = new Decision();
    d.begin();
    again(d, live, without(10_000), request, env());
    expect(again(d, live, pool(['a', 'b']), request, env())).toMatchObject({ pod: 'a', verdict: 'kept -' });
    expect(d.waitUntil).toBe(0);
    again(d, live, without(10_000), request, env());
    const late = env({ now: NOW + GRACE });
    expect(again(d, live, without(10_000), request, late).verdict).toBe('moved endpoint_gone');
    expect(d.waitUntil).toBe(0);
  });

  test('moves at once when it vanished long ago, or without a grace', () => {
    expect(ask(live, without(GRACE), request).verdict).toBe('moved endpoint_gone');
    expect(ask(live, pool(['b']), request).verdict).toBe('moved endpoint_gone');
    expect(ask(affinity(), without(0), request).verdict).toBe('moved endpoint_gone');
  });

  test('waits also when this process has just started and cannot know that it has vanished', () => {
    const fresh = { ...pool(['b']), firstSeen: NOW - 1000 };
    expect(ask(live, fresh, request).d.waitUntil).toBe(NOW - 1000 + GRACE);
  });

  test('then the policy decides: Reject answers its status', () => {
    const strict = affinity(undefined, { lost: { ...lost, action: 'Reject' } });
    expect(ask(strict, without(5), request)).toMatchObject({ status: 503 });
    expect(ask(strict, without(GRACE), request)).toMatchObject({ status: 410, verdict: 'rejected endpoint_gone' });
  });

  test('waits on while the endpoint that was made anew is starting, not when it was there before', () => {
    const starting = without(1000, [{ id: 'a', state: 'NotReady', wasReady: false, since: NOW }, 'b']);
    expect(ask(live, starting, request).d.waitUntil).toBe(NOW - 1000 + GRACE);
    const faltering = without(1000, [{ id: 'a', state: 'NotReady', since: NOW }, 'b']);
    expect(ask(live, faltering, request)).toMatchObject({ pod: 'a', verdict: 'kept -' });
    const forced = affinity([{ ...COOKIE, force: true }], { lost });
    expect(ask(forced, starting, request)).toMatchObject({ pod: 'a', verdict: 'kept -' });
    expect(ask(forced, without(1000), request).d.waitUntil).toBe(NOW - 1000 + GRACE);
  });

  test('requests without a session do not wait', () => {
    expect(ask(live, without(5), facts())).toMatchObject({ verdict: 'new no_token' });
    expect(ask(live, without(5), facts({ cookie: 'HF=junk' }))).toMatchObject({ verdict: 'new invalid_token' });
  });

  test('F26: a Service of a group that never had the endpoint waits as well', () => {
    const grouped = affinity(undefined, { lost, group: 'g' }, { groupPools: ['shop/other:80'] });
    const token = sessionOn(grouped, 'a');
    const on = env({ poolOf: () => without(2000) });
    expect(ask(grouped, pool(['b']), facts({ cookie: token }), on).d.waitUntil).toBe(NOW - 2000 + GRACE);
    const long = env({ poolOf: () => pool(['c']) });
    expect(ask(grouped, pool(['b']), facts({ cookie: token }), long).verdict).toBe('moved endpoint_gone');
  });

  test('H21: a plain value waits by its id', () => {
    const plain = affinity([{ name: 'p', cookie: { name: 'HF', format: 'Plain' } }], { lost });
    const target = { ...pool(['b']), left: new Map([['a', NOW - 3000]]) };
    expect(ask(plain, target, facts({ cookie: 'HF=a' })).d).toMatchObject({
      waitUntil: NOW - 3000 + GRACE,
      waitFor: 'a',
    });
  });
});
