/** Tests of when a token is issued, and what it says. */
import { describe, expect, test } from 'vitest';
import { KeyRing } from '../../../src/affinity/keyring.ts';
import { verifyToken } from '../../../src/affinity/token.ts';
import type { VerifiedToken } from '../../../src/affinity/token.ts';
import type { CookieRule } from '../../../src/model/sticky-policy.ts';
import { affinity, ask, COOKIE, env, facts, HOUR, key, KEYS, NOW, pair, pool, sessionOn } from './fixtures.ts';

const ABC = ['a', 'b', 'c'];
const answer = (status: number, cacheable = false) => ({ status, cacheable, setCookieNames: () => [] });
const insert = (cookie: CookieRule = {}) => affinity([{ name: 'r', cookie: { name: 'HF', ...cookie } }]);

function token(setCookie: string | undefined, now = NOW, keys = KEYS): VerifiedToken {
  const result = verifyToken(pair(setCookie).slice(3), 'shop/policy/web', keys, now);
  if (typeof result === 'string') throw new Error(result);
  return result;
}

describe('answers that carry no token', () => {
  test.each([100, 102, 103, 304])('T58 status %i', (status) => {
    expect(ask(insert(), pool(ABC), facts(), env(), answer(status)).setCookie).toBeUndefined();
  });

  test.each([101, 200, 302, 404, 500])('T54 status %i does', (status) => {
    expect(ask(insert(), pool(ABC), facts(), env(), answer(status)).setCookie).toBeDefined();
  });

  test('T55 a preflight, whose POST then keeps its session', () => {
    const live = insert({ emit: 'Always' });
    const cookie = sessionOn(live, 'a');
    expect(ask(live, pool(ABC), facts({ method: 'OPTIONS' })).setCookie).toBeUndefined();
    expect(ask(live, pool(ABC), facts({ method: 'OPTIONS', cookie })).setCookie).toBeUndefined();
    expect(ask(live, pool(ABC), facts({ method: 'POST', cookie })).pod).toBe('a');
  });

  test('T56 cacheable answers', () => {
    const cached = (cookie: CookieRule) => ask(insert(cookie), pool(ABC), facts(), env(), answer(200, true));
    expect(cached({})).toMatchObject({ markPrivate: true });
    expect(cached({}).setCookie).toBeDefined();
    expect(cached({ cacheable: 'Ignore' })).toMatchObject({ markPrivate: false });
    expect(cached({ cacheable: 'Ignore' }).setCookie).toBeDefined();
    expect(cached({ cacheable: 'Skip' })).toMatchObject({ markPrivate: false, setCookie: undefined });
    expect(ask(insert(), pool(ABC), facts()).markPrivate).toBe(false);
  });

  test('emitOn governs new and moved tokens, renewals go on any answer', () => {
    const live = affinity([{ name: 'r', cookie: { name: 'HF', emitOn: { methods: ['POST'], statusBelow: 400 } } }], {
      idleTimeout: HOUR,
    });
    const post = facts({ method: 'POST' });
    expect(ask(live, pool(ABC), facts()).setCookie).toBeUndefined();
    expect(ask(live, pool(ABC), post, env(), answer(404)).setCookie).toBeUndefined();
    const cookie = pair(ask(live, pool(['a']), post).setCookie);
    expect(ask(live, pool(['b']), facts({ cookie })).setCookie).toBeUndefined();
    expect(ask(live, pool(ABC), facts({ cookie }), env({ now: NOW + HOUR / 2 })).setCookie).toBeDefined();
  });
});

describe('what it says', () => {
  test('a moved token keeps session id and issued-at', () => {
    const live = affinity([COOKIE], { idleTimeout: HOUR });
    const first = ask(live, pool(['a']), facts());
    const now = NOW + 60_000;
    const moved = ask(live, pool(['b', 'c']), facts({ cookie: pair(first.setCookie) }), env({ now }));
    expect(moved.verdict).toBe('moved endpoint_gone');
    const { sessionHigh, sessionLow, issuedAt } = token(first.setCookie);
    expect(token(moved.setCookie, now)).toMatchObject({ sessionHigh, sessionLow, issuedAt, lastSeen: now });
  });

  test('last-seen is there with idleTimeout or maxAge only', () => {
    expect(token(ask(insert(), pool(ABC), facts()).setCookie).lastSeen).toBe(0);
    expect(token(ask(insert({ maxAge: '1h' }), pool(ABC), facts()).setCookie).lastSeen).toBe(NOW);
    expect(token(ask(affinity([COOKIE], { idleTimeout: HOUR }), pool(ABC), facts()).setCookie).lastSeen).toBe(NOW);
  });

  test('renewal is due after an eighth of idleTimeout, and after half of maxAge', () => {
    const idle = affinity([COOKIE], { idleTimeout: 8 * HOUR });
    const aged = insert({ maxAge: '2h' });
    const renewed = (live: typeof idle, after: number) =>
      ask(live, pool(ABC), facts({ cookie: sessionOn(live, 'b') }), env({ now: NOW + after })).setCookie !== undefined;
    expect([HOUR, HOUR + 1].map((after) => renewed(idle, after))).toEqual([false, true]);
    expect([HOUR, HOUR + 1].map((after) => renewed(aged, after))).toEqual([false, true]);
  });

  test('emit Always', () => {
    const live = insert({ emit: 'Always' });
    const kept = ask(live, pool(ABC), facts({ cookie: sessionOn(live, 'b') }));
    expect(kept.verdict).toBe('kept -');
    expect(kept.setCookie).toBeDefined();
  });

  test('T6 a token of an older key is re-issued under the new one and counts as kept', () => {
    const rotated = KeyRing.from([key(0), key(1, NOW + 1000)]);
    const live = affinity();
    const cookie = sessionOn(live, 'b');
    const before = ask(live, pool(ABC, rotated), facts({ cookie }), env({ keys: rotated }));
    expect(before).toMatchObject({ pod: 'b', verdict: 'kept -', setCookie: undefined });
    const now = NOW + 1000;
    const after = ask(live, pool(ABC, rotated), facts({ cookie }), env({ keys: rotated, now }));
    expect(after).toMatchObject({ pod: 'b', verdict: 'kept -' });
    expect(token(after.setCookie, now, rotated)).toMatchObject({
      keyId: 1,
      sessionHigh: token(cookie + ';').sessionHigh,
    });
    const only = KeyRing.from([key(1)]);
    const mine = facts({ cookie: pair(after.setCookie) });
    expect(ask(live, pool(ABC, only), mine, env({ keys: only })).verdict).toBe('kept -');
    expect(ask(live, pool(ABC, only), facts({ cookie }), env({ keys: only })).verdict).toBe('new unknown_key');
    // A replica whose clock is behind does not take it back to the older key.
    expect(ask(live, pool(ABC, rotated), mine, env({ keys: rotated })).setCookie).toBeUndefined();
  });

  test('a pool that does not know the newest key yet issues under the one it knows', () => {
    const rotated = KeyRing.from([key(0), key(1, NOW)]);
    const answered = ask(affinity(), pool(ABC, KEYS), facts(), env({ keys: rotated }));
    expect(token(answered.setCookie)).toMatchObject({ keyId: 0 });
  });

  test('T6, T12 a request that was under way when the newest key came is not given its own token again', () => {
    const rotated = KeyRing.from([key(0), key(1, NOW)]);
    const cookie = sessionOn(affinity(), 'b');
    const answered = ask(affinity(), pool(ABC, KEYS), facts({ cookie }), env({ keys: rotated }));
    expect(answered).toMatchObject({ pod: 'b', verdict: 'kept -', setCookie: undefined });
  });

  test('a token under another spelling of the name is kept and written under the right one', () => {
    const cookieNames = [{ issue: 'HF-11111111', read: ['HF-11111111', 'HF'], own: undefined }];
    const live = affinity([COOKIE], {}, { cookieNames });
    const old = sessionOn(affinity(), 'b');
    const kept = ask(live, pool(ABC), facts({ cookie: old }));
    expect(kept).toMatchObject({ pod: 'b', verdict: 'kept -' });
    expect(pair(kept.setCookie)).toMatch(/^HF-11111111=/);
    const both = facts({ cookie: `${old}; ${pair(kept.setCookie)}` });
    expect(ask(live, pool(ABC), both)).toMatchObject({ pod: 'b', setCookie: undefined });
    expect(live.hiddenCookies).toEqual(['HF-11111111', 'HF']);
  });

  test('the tokens of other Services of the policy are hidden from the backend, and left to their Services', () => {
    const live = affinity([COOKIE], {}, { siblingCookies: ['HF-22222222'] });
    expect(live.hiddenCookies).toEqual(['HF', 'HF-22222222']);
    expect(live.ownedSetCookies).toEqual(['HF']);
  });

  test('T5 two pods, two unrelated tokens, no name in them', () => {
    const text = ask(insert(), pool(['very-special-pod']), facts()).setCookie ?? '';
    const decoded = Buffer.from(pair(text).slice(3), 'base64url').toString('latin1');
    for (const word of ['very', 'special', 'shop', 'web', '10.0']) expect(text + decoded).not.toContain(word);
  });
});
