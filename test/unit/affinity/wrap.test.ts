/** Tests of mode Wrap: our token in front of a header's value that the backend minted. */
import { describe, expect, test } from 'vitest';
import type { LiveAffinity } from '../../../src/affinity/build.ts';
import { KeyRing } from '../../../src/affinity/keyring.ts';
import { unwrapHeader, wrapHeader } from '../../../src/affinity/wrap.ts';
import type { LivePool } from '../../../src/model/live.ts';
import type { CompiledPolicy } from '../../../src/model/policy.ts';
import type { Answer, TestEnv, TestRule } from './fixtures.ts';
import { affinity, ask, COOKIE, env, facts, HOUR, key, KEYS, NOW, pair, pool, sessionOn } from './fixtures.ts';

const ABC = ['a', 'b', 'c'];
const MCP: TestRule = { name: 'mcp', header: { name: 'Mcp-Session-Id', mode: 'Wrap' } };
const NAME = 'mcp-session-id';
const WRAPPED = /^[\w-]{56}\.[^.]+$/;

const live = (changes: Partial<CompiledPolicy> = {}, rules: readonly TestRule[] = [MCP]): LiveAffinity =>
  affinity(rules, changes);
const withId = (value: string, cookie = '') => facts({ head: { [NAME]: value }, cookie });

/** What the client sees of the backend's value. */
function seen(
  one: LiveAffinity,
  answer: Answer,
  target: LivePool,
  value: string,
  request = facts(),
  on = env(),
  status = 200,
) {
  return wrapHeader(answer.d, one, NAME, target, request, { status }, on, value);
}

/** The value of a client whose session began on `pod`. */
function begunOn(one: LiveAffinity, pod: string, value = 'id-1', on: TestEnv = env()): string {
  const target = pool([pod], on.keys);
  return seen(one, ask(one, target, facts(), on), target, value, facts(), on);
}

describe('the value', () => {
  const one = live();

  test('begins a session, leads back to it, and comes to the backend as it was', () => {
    const target = pool(ABC);
    const answer = ask(one, target, facts());
    expect(answer).toMatchObject({ verdict: 'stateless no_token', rule: 0, setCookie: undefined });
    const value = seen(one, answer, target, 'id~1-2');
    expect(value).toMatch(WRAPPED);
    expect(answer.d).toMatchObject({ outcomeName: 'new', edited: true, onIssue: true });
    for (let i = 0; i < 5; i++) {
      const back = ask(one, target, withId(value), env({ random: () => i }));
      expect(back).toMatchObject({ pod: answer.pod, verdict: 'kept -', rule: 0, setCookie: undefined });
      expect([back.d.sessionHigh, back.d.sessionLow]).toEqual([answer.d.sessionHigh, answer.d.sessionLow]);
    }
    expect(unwrapHeader(value, one, env())).toBe('id~1-2');
  });

  test('is never issued anew: what the client has comes back to it as it has it', () => {
    const value = begunOn(one, 'b');
    const target = pool(ABC);
    const on = env({ now: NOW + HOUR });
    const answer = ask(one, target, withId(value), on);
    expect(seen(one, answer, target, 'id-1', withId(value), on)).toBe(value);
    expect(answer.d.edited).toBe(false);
  });

  test('another value is another session', () => {
    const value = begunOn(one, 'b');
    const target = pool(ABC);
    const answer = ask(one, target, withId(value), env({ random: () => 99 }));
    const before = answer.d.sessionHigh;
    const other = seen(one, answer, target, 'id-2', withId(value), env({ random: () => 99 }));
    expect(other).toMatch(WRAPPED);
    expect(other.slice(0, 56)).not.toBe(value.slice(0, 56));
    expect(answer.d.sessionHigh).not.toBe(before);
    expect(ask(one, target, withId(other)).pod).toBe('b');
  });

  test('T3 forged and foreign ones pass as they are, and bind nobody', () => {
    const value = begunOn(one, 'b');
    const other = affinity([MCP], {}, { scope: 'other' });
    const cases: readonly (readonly [string, string])[] = [
      ['id-1', 'no_token'],
      ['', 'no_token'],
      ['.', 'no_token'],
      [`${'A'.repeat(56)}.id-1`, 'invalid_token'],
      [`${value.slice(0, 40)}${value[40] === 'x' ? 'y' : 'x'}${value.slice(41)}`, 'invalid_token'],
      [begunOn(other, 'b'), 'invalid_token'],
      ['.'.repeat(8192), 'invalid_token'],
      [`${value.slice(0, 56)}~id-1`, 'no_token'],
    ];
    for (const [text, why] of cases) {
      expect(unwrapHeader(text, one, env())).toBe(text);
      const answer = ask(one, pool(ABC), withId(text));
      expect(answer.verdict).toBe(`stateless ${why}`);
      expect(answer.d.tokenFault >= 0).toBe(why === 'invalid_token');
    }
  });

  test('T55 T58 no token on preflights and 304, and then no raw value either', () => {
    const target = pool(ABC);
    expect(seen(one, ask(one, target, facts()), target, 'x', facts(), env(), 304)).toBe('');
    expect(seen(one, ask(one, target, facts()), target, 'x', facts(), env(), 103)).toBe('');
    const preflight = facts({ method: 'OPTIONS' });
    expect(seen(one, ask(one, target, preflight), target, 'x', preflight)).toBe('');
    expect(seen(one, ask(one, target, facts()), target, 'x', facts(), env(), 500)).toMatch(WRAPPED);
    expect(seen(one, ask(one, target, facts()), target, '')).toBe('');
  });
});

describe('a lost endpoint', () => {
  test('T27 the id goes to the rendezvous choice, the same for all, and keeps its token', () => {
    const one = live();
    const value = begunOn(one, 'gone');
    const target = pool(ABC);
    const pods = Array.from({ length: 20 }, (_, i) => ask(one, target, withId(value), env({ random: () => i })));
    expect(new Set(pods.map(({ pod }) => pod)).size).toBe(1);
    expect(pods[0]?.verdict).toBe('moved endpoint_gone');
    expect(unwrapHeader(value, one, env())).toBe('id-1');
  });

  test('Reject and draining as for other sessions', () => {
    const reject = live({ lost: { ...live().policy.lost, action: 'Reject', statusCode: 404 } });
    expect(ask(reject, pool(ABC), withId(begunOn(reject, 'gone')))).toMatchObject({
      verdict: 'rejected endpoint_gone',
      status: 404,
    });
    const value = begunOn(live(), 'b');
    const draining = pool(['a', { id: 'b', state: 'Draining' }]);
    expect(ask(live(), draining, withId(value))).toMatchObject({ pod: 'b', verdict: 'kept -' });
  });
});

describe('time', () => {
  test('idleTimeout counts from what the session table has seen, else from the beginning', () => {
    const one = live({ idleTimeout: HOUR });
    const value = begunOn(one, 'b');
    const at = (now: number, lastSeen = 0) =>
      ask(
        one,
        pool(ABC),
        withId(value),
        env({
          now,
          sessions: {
            find(_region, _high, _low, _now, view) {
              view.lastSeen = lastSeen;
              return lastSeen > 0;
            },
          },
        }),
      ).verdict;
    expect(at(NOW + HOUR)).toBe('kept -');
    expect(at(NOW + HOUR + 1000)).toBe('stateless idle_expired');
    expect(at(NOW + 5 * HOUR, NOW + 4 * HOUR)).toBe('kept -');
    expect(at(NOW + 5 * HOUR + 1000, NOW + 4 * HOUR)).toBe('stateless idle_expired');
    // The backend sees its own value all the same, and answers what it answers.
    expect(unwrapHeader(value, one, env({ now: NOW + 5 * HOUR }))).toBe('id-1');
  });

  test('absoluteTimeout', () => {
    const one = live({ absoluteTimeout: HOUR });
    const value = begunOn(one, 'b');
    expect(ask(one, pool(ABC), withId(value), env({ now: NOW + HOUR })).verdict).toBe('kept -');
    const over = ask(one, pool(ABC), withId(value), env({ now: NOW + HOUR + 1000 }));
    expect(over.verdict).toBe('stateless absolute_expired');
  });

  test('T6 an older key is good for absoluteTimeout after a newer one signs, or else for a day', () => {
    const rotated = KeyRing.from([key(0), key(1, NOW + HOUR)]);
    for (const [absoluteTimeout, life] of [
      [0, 24 * HOUR],
      [48 * HOUR, 47 * HOUR],
    ] as const) {
      const one = live({ absoluteTimeout });
      const value = begunOn(one, 'b', 'id-1', env({ keys: KEYS }));
      const at = (now: number) => ask(one, pool(ABC, rotated), withId(value), env({ now, keys: rotated })).verdict;
      expect(at(NOW + HOUR + life - 1000)).toBe('kept -');
      expect(at(NOW + HOUR + life + 1000)).toMatch(/^stateless (unknown_key|absolute_expired)$/);
    }
    const one = live();
    const old = begunOn(one, 'b');
    const without = KeyRing.from([key(1, NOW)]);
    expect(ask(one, pool(ABC, without), withId(old), env({ keys: without })).verdict).toBe('stateless unknown_key');
  });
});

describe('beside other rules', () => {
  test('the first rule that issues does so: no cookie where the header comes first', () => {
    const one = live({}, [MCP, COOKIE]);
    const target = pool(ABC);
    expect(ask(one, target, facts()).setCookie).toBeUndefined();
    expect(ask(one, target, withId(begunOn(one, 'b'))).setCookie).toBeUndefined();
    // A session that a cookie has is found.
    expect(ask(one, target, facts({ cookie: sessionOn(affinity([COOKIE]), 'c') })).pod).toBe('c');
  });

  test('where a cookie comes first it is issued, and the header is wrapped all the same', () => {
    const one = live({}, [COOKIE, MCP]);
    const target = pool(ABC);
    const answer = ask(one, target, facts());
    expect(answer).toMatchObject({ verdict: 'new no_token' });
    expect(pair(answer.setCookie)).toMatch(/^HF=/);
    const value = seen(one, answer, target, 'id-1');
    expect(value).toMatch(WRAPPED);
    expect(answer.d.outcomeName).toBe('new');
    expect(ask(one, target, withId(value))).toMatchObject({ pod: answer.pod, verdict: 'kept -', rule: 1 });
  });

  test('a rule that balances freely begins no session, but what the backend mints is wrapped', () => {
    const one = live({}, [{ name: 'free', none: {} }, MCP]);
    const target = pool(ABC);
    const answer = ask(one, target, facts());
    expect(seen(one, answer, target, 'id-1')).toMatch(WRAPPED);
    expect(answer.verdict).toBe('stateless -');
    expect(answer.d.onIssue).toBe(false);
    expect(ask(one, target, withId(begunOn(live(), 'b'))).verdict).toBe('stateless ignored');
  });

  test('onMissing', () => {
    expect(ask(live({}, [{ ...MCP, onMissing: 'Reject' }]), pool(ABC), facts()).status).toBe(400);
    expect(ask(live({}, [{ ...MCP, onMissing: 'Balance' }, COOKIE]), pool(ABC), facts()).verdict).toBe(
      'stateless no_token',
    );
  });

  test('F26 the session of another Service of the group is left alone', () => {
    const elsewhere = pool(['x'], KEYS, 'cart');
    const one = affinity([MCP], { group: 'g' }, { groupPools: ['shop/cart:80'] });
    const value = begunOn(one, 'x');
    const on = env({ poolOf: () => elsewhere });
    expect(ask(one, pool(ABC), withId(value), on).verdict).toBe('stateless no_token');
    expect(ask(one, elsewhere, withId(value), on).verdict).toBe('kept -');
  });
});
