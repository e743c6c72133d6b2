/** Tests of deciding: the chain of rules, what becomes of sessions, retries. */
import { describe, expect, test } from 'vitest';
import { KeyRing } from '../../../src/affinity/keyring.ts';
import { TokenMemo } from '../../../src/affinity/token-memo.ts';
import { editSetCookie } from '../../../src/affinity/backend-cookies.ts';
import { issueToken } from '../../../src/affinity/issue.ts';
import { Decision } from '../../../src/affinity/decision.ts';
import type { DecideEnv } from '../../../src/affinity/env.ts';
import type { CompiledPolicy } from '../../../src/model/policy.ts';
import type { TestEndpoint, TestRule } from './fixtures.ts';
import {
  affinity,
  again,
  ask,
  COOKIE,
  env,
  facts,
  HOUR,
  key,
  KEYS,
  NOW,
  OK,
  pair,
  pool,
  seeded,
  sessionOn,
  slotOf,
} from './fixtures.ts';

const ABC = ['a', 'b', 'c'];

/** Asks with a token that names `a` while `a` is as given, beside healthy `b` and `c`. */
function withTokenOfA(
  a: Partial<TestEndpoint> | undefined,
  changes: Partial<CompiledPolicy> = {},
  rule: Partial<TestRule> = {},
) {
  const live = affinity([{ ...COOKIE, ...rule }], changes);
  const list = a === undefined ? ['b', 'c'] : [{ id: 'a', ...a }, 'b', 'c'];
  return ask(live, pool(list), facts({ cookie: sessionOn(live, 'a') }));
}

describe('one cookie', () => {
  test('first visit, then kept without another Set-Cookie (T12)', () => {
    const live = affinity();
    const first = ask(live, pool(ABC), facts());
    expect(first).toMatchObject({ verdict: 'new no_token', rule: 0 });
    for (let i = 0; i < 100; i++) {
      const next = ask(live, pool(ABC), facts({ cookie: pair(first.setCookie) }), env({ random: seeded(i) }));
      expect(next).toMatchObject({ pod: first.pod, verdict: 'kept -', rule: 0, setCookie: undefined });
    }
  });

  test('T1 an inherited address is another endpoint', () => {
    const live = affinity();
    const cookie = sessionOn(live, 'a');
    const replaced = pool([{ id: 'a2', address: '10.0.0.1' }, 'b']);
    expect(ask(live, replaced, facts({ cookie })).verdict).toBe('moved endpoint_gone');
  });

  test('T2 the same identity on another address is the same endpoint', () => {
    const live = affinity();
    const back = pool(['b', { id: 'a', address: '10.9.9.9' }]);
    expect(ask(live, back, facts({ cookie: sessionOn(live, 'a') }))).toMatchObject({ pod: 'a', verdict: 'kept -' });
  });

  test('T3 T4 forged, foreign and unknown tokens are no token', () => {
    const live = affinity();
    const foreign = affinity([COOKIE], {}, { scope: 'shop/policy/cart', ownScope: 'shop/policy/cart' });
    const old = KeyRing.from([key(5)]);
    const ask1 = (cookie: string) => ask(live, pool(ABC), facts({ cookie })).verdict;
    expect(ask1('HF=http://10.0.0.5:8080')).toBe('new invalid_token');
    expect(ask1(sessionOn(foreign, 'a'))).toBe('new invalid_token');
    expect(ask1(sessionOn(live, 'a', env({ keys: old })))).toBe('new unknown_key');
    expect(ask1('HF=')).toBe('new no_token');
    expect(ask1('other=1')).toBe('new no_token');
  });

  test('T4 T15 the first that verifies in this scope wins and nothing is counted', () => {
    const live = affinity();
    const foreign = affinity([COOKIE], {}, { scope: 'shop/policy/cart', ownScope: 'shop/policy/cart' });
    const cookie = `HF=junk; ${sessionOn(foreign, 'b')}; ${sessionOn(live, 'a')}; ${sessionOn(live, 'c')}`;
    expect(ask(live, pool(ABC), facts({ cookie }))).toMatchObject({ pod: 'a', verdict: 'kept -' });
  });

  test('T15 an expired one does not hide a live one', () => {
    const live = affinity([COOKIE], { absoluteTimeout: HOUR });
    const cookie = `${sessionOn(live, 'a', env({ now: NOW - 2 * HOUR }))}; ${sessionOn(live, 'b')}`;
    expect(ask(live, pool(ABC), facts({ cookie })).pod).toBe('b');
  });

  test('T16 T17 quoted, in crumbs, among junk', () => {
    const live = affinity();
    const value = sessionOn(live, 'b').slice(3);
    const cookie = `$Version=1; ; ==; HF = "${value}" ;${'x;'.repeat(4000)}`;
    expect(ask(live, pool(ABC), facts({ cookie }))).toMatchObject({ pod: 'b', verdict: 'kept -' });
  });

  test('the memo of a connection does not outlive another cookie, affinity or key ring', () => {
    const live = affinity();
    const d = new Decision();
    const [a, b] = [sessionOn(live, 'a'), sessionOn(live, 'b')];
    expect(ask(live, pool(ABC), facts({ cookie: a }), env(), undefined, d).pod).toBe('a');
    expect(ask(live, pool(ABC), facts({ cookie: b }), env(), undefined, d).pod).toBe('b');
    const foreign = affinity([COOKIE], {}, { scope: 'shop/policy/cart', ownScope: 'shop/policy/cart' });
    expect(ask(foreign, pool(ABC), facts({ cookie: b }), env(), undefined, d).verdict).toBe('new invalid_token');
    const keys = KeyRing.from([key(3)]);
    expect(ask(live, pool(ABC, keys), facts({ cookie: b }), env({ keys }), undefined, d).verdict).toBe(
      'new unknown_key',
    );
  });

  test('T27 50 decisions with one dead token over two replicas: one endpoint, one session', () => {
    const cookie = sessionOn(affinity(), 'dead');
    const results = Array.from({ length: 50 }, (_, i) => {
      const on = env({ memo: new TokenMemo(), random: seeded(i + 1), now: NOW + i });
      const list = i % 2 === 0 ? ['a', 'b', 'c', 'd', 'e'] : ['d', 'b', 'e', 'a', 'c'];
      return ask(affinity(), pool(list), facts({ cookie }), on);
    });
    expect(new Set(results.map((r) => r.verdict))).toEqual(new Set(['moved endpoint_gone']));
    expect(new Set(results.map((r) => r.pod)).size).toBe(1);
    const ids = results.map(({ setCookie }) =>
      Buffer.from(pair(setCookie).slice(3), 'base64url').subarray(0, 17).toString('hex'),
    );
    expect(new Set(ids).size).toBe(1);
  });

  test('T45 T46 the sessions of a lost pod spread evenly, and do not go back', () => {
    const live = affinity();
    const pods = Array.from({ length: 10 }, (_, i) => `p${i}`);
    const on = env();
    const counts = new Map<string, number>();
    for (let i = 0; i < 900; i++) {
      const moved = ask(live, pool(pods.slice(1)), facts({ cookie: sessionOn(live, 'p0', on) }), on);
      counts.set(moved.pod, (counts.get(moved.pod) ?? 0) + 1);
      const back = ask(live, pool(pods), facts({ cookie: pair(moved.setCookie) }), on);
      expect(back).toMatchObject({ pod: moved.pod, verdict: 'kept -', setCookie: undefined });
    }
    expect(counts.size).toBe(9);
    expect(Math.max(...counts.values())).toBeLessThan(150);
  });
});

describe('states', () => {
  test.each<[string, Partial<TestEndpoint> | undefined, Partial<CompiledPolicy>, string]>([
    ['ready', {}, {}, 'kept -'],
    ['not ready within grace', { state: 'NotReady', since: NOW - 3000 }, {}, 'kept -'],
    ['not ready after grace', { state: 'NotReady', since: NOW - 3001 }, {}, 'moved not_ready'],
    ['gone', undefined, {}, 'moved endpoint_gone'],
    ['draining', { state: 'Draining' }, {}, 'kept -'],
    ['draining, Move', { state: 'Draining' }, { drain: { action: 'Move', maxDuration: 0 } }, 'moved drain'],
    [
      'draining in time',
      { state: 'Draining', since: NOW - 999 },
      { drain: { action: 'Keep', maxDuration: 1000 } },
      'kept -',
    ],
    [
      'draining too long',
      { state: 'Draining', since: NOW - 1000 },
      { drain: { action: 'Keep', maxDuration: 1000 } },
      'moved drain_timeout',
    ],
  ])('%s', (_title, a, changes, verdict) => expect(withTokenOfA(a, changes).verdict).toBe(verdict));

  test('Reject answers its status, never another endpoint, and issues nothing', () => {
    const lost = { action: 'Reject', statusCode: 410, notReadyGrace: 0, goneGrace: 0, preferVersion: 'Any' } as const;
    expect(withTokenOfA(undefined, { lost })).toMatchObject({
      verdict: 'rejected endpoint_gone',
      status: 410,
      pod: '',
      setCookie: undefined,
    });
    expect(withTokenOfA({ state: 'NotReady' }, { lost })).toMatchObject({ verdict: 'rejected not_ready', status: 410 });
    expect(withTokenOfA({ state: 'Draining' }, { lost, drain: { action: 'Move', maxDuration: 0 } }).verdict).toBe(
      'moved drain',
    );
  });

  test('force is kept whatever the state, never another endpoint', () => {
    const rule = { force: true };
    expect(withTokenOfA({ state: 'NotReady' }, {}, rule)).toMatchObject({ pod: 'a', verdict: 'kept -' });
    expect(withTokenOfA({ state: 'Draining' }, { drain: { action: 'Move', maxDuration: 0 } }, rule).pod).toBe('a');
    expect(withTokenOfA(undefined, {}, rule)).toMatchObject({
      pod: '',
      verdict: 'rejected endpoint_gone',
      status: 503,
    });
  });

  test('T32 a draining endpoint rather than 503', () => {
    const live = affinity();
    const target = pool([
      { id: 'a', state: 'Draining' },
      { id: 'b', state: 'NotReady' },
    ]);
    expect(ask(live, target, facts())).toMatchObject({ pod: 'a', verdict: 'new drain' });
    expect(ask(live, target, facts({ cookie: sessionOn(live, 'a') }))).toMatchObject({ pod: 'a', verdict: 'kept -' });
    const moving = affinity([COOKIE], { drain: { action: 'Move', maxDuration: 0 } });
    expect(ask(moving, target, facts({ cookie: sessionOn(moving, 'a') }))).toMatchObject({
      pod: 'a',
      verdict: 'kept -',
    });
  });

  test('T39 no new session on an endpoint that is not ready; none at all is 503', () => {
    const target = pool([{ id: 'a', state: 'NotReady', since: NOW }]);
    expect(ask(affinity(), target, facts())).toMatchObject({
      verdict: 'rejected no_endpoints',
      status: 503,
      setCookie: undefined,
    });
    expect(ask(affinity(), pool([]), facts())).toMatchObject({ verdict: 'rejected no_endpoints', status: 503 });
    expect(ask(undefined, pool([]), facts())).toMatchObject({ verdict: 'rejected no_endpoints', status: 503 });
  });
});

test('HEAD of a session that has moved: its answer says so as that to a GET does', () => {
  const live = affinity();
  const answer = ask(live, pool(ABC), facts({ method: 'HEAD', cookie: sessionOn(live, 'gone') }));
  expect(answer.verdict).toBe('moved endpoint_gone');
  const next = ask(live, pool(ABC), facts({ cookie: pair(answer.setCookie) }));
  expect(next).toMatchObject({ pod: answer.pod, verdict: 'kept -', setCookie: undefined });
});

describe('timeouts', () => {
  const live = affinity([COOKIE], { idleTimeout: 8 * HOUR, absoluteTimeout: 100 * HOUR });
  const later = (hours: number, cookie: string) =>
    ask(live, pool(ABC), facts({ cookie }), env({ now: NOW + hours * HOUR }));

  test('T11 an active client keeps its pod for many times idleTimeout', () => {
    let cookie = sessionOn(live, 'b');
    for (let hours = 4; hours <= 48; hours += 4) {
      const answer = later(hours, cookie);
      expect(answer).toMatchObject({ pod: 'b', verdict: 'kept -' });
      cookie = pair(answer.setCookie);
    }
    expect(later(56, cookie).verdict).toBe('kept -');
    expect(later(58, cookie).verdict).toBe('new idle_expired');
  });

  test('absolute', () => {
    let cookie = sessionOn(live, 'b');
    for (let hours = 5; hours <= 100; hours += 5) cookie = pair(later(hours, cookie).setCookie);
    expect(later(101, cookie).verdict).toBe('new absolute_expired');
  });

  test.each([-60_000, 60_000])(
    'a replica whose clock is off by %i ms keeps the session, idle timeout or not',
    (skew) => {
      for (const idleTimeout of [0, 10 * 60_000]) {
        const live = affinity([COOKIE], { idleTimeout });
        const answer = ask(live, pool(ABC), facts({ cookie: sessionOn(live, 'b') }), env({ now: NOW + skew }));
        expect(answer).toMatchObject({ pod: 'b', verdict: 'kept -', setCookie: undefined });
      }
    },
  );

  test('T9 a cookie that has run out in the browser is over here too', () => {
    const short = affinity([{ name: 'r', cookie: { name: 'HF', maxAge: '1h' } }]);
    const at = (now: number) => ask(short, pool(ABC), facts({ cookie: sessionOn(short, 'b') }), env({ now })).verdict;
    expect(at(NOW + HOUR)).toBe('kept -');
    expect(at(NOW + 2 * HOUR)).toBe('new idle_expired');
  });

  test('T9 no timeout by default; T67 a policy that gains one keeps the sessions it has', () => {
    const cookie = sessionOn(affinity(), 'b');
    const on = env({ now: NOW + 9000 * HOUR });
    expect(ask(affinity(), pool(ABC), facts({ cookie }), on).verdict).toBe('kept -');
    const gained = ask(affinity([COOKIE], { idleTimeout: HOUR }), pool(ABC), facts({ cookie }), on);
    expect(gained).toMatchObject({ pod: 'b', verdict: 'kept -' });
    expect(gained.setCookie).toBeDefined();
  });
});

describe('failing endpoints', () => {
  const failing = (pods: Record<string, number>) => {
    const on = env();
    for (const [pod, since] of Object.entries(pods)) on.meters.failing.set(slotOf(pod), since);
    return on;
  };
  const live = affinity();
  const cookie = sessionOn(live, 'a');

  test('new picks skip them at once, unless there is nothing else', () => {
    for (let i = 0; i < 20; i++) expect(ask(live, pool(ABC), facts(), failing({ a: NOW, b: NOW })).pod).toBe('c');
    expect(ask(live, pool(['a']), facts(), failing({ a: NOW }))).toMatchObject({ pod: 'a', verdict: 'new no_token' });
  });

  test('kept sessions wait within grace, then move', () => {
    const within = ask(live, pool(ABC), facts({ cookie }), failing({ a: NOW - 3000 }));
    expect(within).toMatchObject({ pod: 'a', verdict: 'kept -' });
    expect(within.d.retryOwn).toBe(true);
    const after = ask(live, pool(ABC), facts({ cookie }), failing({ a: NOW - 3001 }));
    expect(after.verdict).toBe('moved connect_failed');
    expect(after.d.retryOwn).toBe(false);
  });

  test('changeOnFailure: false never moves', () => {
    const fixed = affinity([COOKIE], { retry: { attempts: 2, changeOnFailure: false } });
    const mine = facts({ cookie: sessionOn(fixed, 'a') });
    const on = failing({ a: NOW - HOUR });
    const answer = ask(fixed, pool(ABC), mine, on);
    expect(answer).toMatchObject({ pod: 'a', verdict: 'kept -' });
    answer.d.tried.push(slotOf('a'));
    expect(again(answer.d, fixed, pool(ABC), mine, on)).toMatchObject({
      verdict: 'rejected connect_failed',
      status: 502,
      setCookie: undefined,
    });
  });

  test('T28 T29 T30 each retry takes another endpoint; the last answer names it; all refuse: 502 without Set-Cookie', () => {
    const on = env();
    const request = facts({ cookie });
    const first = ask(live, pool(ABC), request, on);
    expect(first.pod).toBe('a');
    first.d.tried.push(slotOf('a'));
    const second = again(first.d, live, pool(ABC), request, on);
    expect(second.verdict).toBe('moved connect_failed');
    expect(['b', 'c']).toContain(second.pod);
    expect(ask(live, pool(ABC), facts({ cookie: pair(second.setCookie) })).pod).toBe(second.pod);
    second.d.tried.push(slotOf(second.pod));
    const third = again(first.d, live, pool(ABC), request, on);
    expect(new Set([first.pod, second.pod, third.pod]).size).toBe(3);
    third.d.tried.push(slotOf(third.pod));
    expect(again(first.d, live, pool(ABC), request, on)).toMatchObject({
      verdict: 'rejected connect_failed',
      status: 502,
      setCookie: undefined,
    });
  });

  test('a new session keeps its id over retries', () => {
    const on = env();
    const d = new Decision();
    const id = (setCookie: string | undefined) =>
      Buffer.from(pair(setCookie).slice(3), 'base64url').subarray(9, 17).toString('hex');
    const first = ask(live, pool(ABC), facts(), on, undefined, d);
    d.tried.push(slotOf(first.pod));
    const second = again(d, live, pool(ABC), facts(), on);
    expect(second.pod).not.toBe(first.pod);
    expect(id(second.setCookie)).toBe(id(first.setCookie));
    expect(id(ask(live, pool(ABC), facts(), on, undefined, d).setCookie)).not.toBe(id(first.setCookie));
  });

  test('a session does not leave a failing endpoint for another failing one', () => {
    const on = failing({ a: NOW - HOUR, b: NOW - HOUR });
    expect(ask(live, pool(['a', 'b']), facts({ cookie }), on)).toMatchObject({ pod: 'a', verdict: 'kept -' });
  });
});

describe('several requests of one client', () => {
  const live = affinity([COOKIE], { idleTimeout: HOUR });

  test('T57 parallel first requests each get a session; the last cookie wins, and then it stays', () => {
    const on = env();
    const firsts = Array.from({ length: 20 }, () => ask(live, pool(ABC), facts(), on));
    for (const first of firsts) expect(first.setCookie).toBeDefined();
    const last = firsts.at(-1);
    const cookie = pair(last?.setCookie);
    for (let i = 0; i < 20; i++) {
      expect(ask(live, pool(ABC), facts({ cookie }), on)).toMatchObject({ pod: last?.pod, verdict: 'kept -' });
    }
  });

  test('T13 two parallel renewals name the same pod', () => {
    const cookie = sessionOn(live, 'b');
    const renewed = [1, 2].map((ms) => ask(live, pool(ABC), facts({ cookie }), env({ now: NOW + HOUR / 2 + ms })));
    for (const { setCookie } of renewed) {
      const next = ask(live, pool(ABC), facts({ cookie: pair(setCookie) }), env({ now: NOW + HOUR / 2 + 10 }));
      expect(next).toMatchObject({ pod: 'b', verdict: 'kept -', setCookie: undefined });
    }
  });

  test('T33 pods that come get new sessions at once', () => {
    const on = env();
    for (let i = 0; i < 10; i++) ask(live, pool(ABC), facts(), on);
    const grown = pool([...ABC, 'd', 'e', 'f']);
    const pods = Array.from({ length: 3 }, () => ask(live, grown, facts(), on).pod);
    expect(pods.sort()).toEqual(['d', 'e', 'f']);
  });

  test('a key that left the ring between request and answer is no error', () => {
    const d = new Decision();
    const request = facts({ cookie: sessionOn(live, 'b') });
    const on = env();
    ask(live, pool(ABC), request, on, undefined, d);
    const keys = KeyRing.from([key(4)]);
    const both = KeyRing.from([key(0), key(4)]);
    const issued = issueToken(d, live, pool(ABC, both), request, OK, env({ keys }));
    expect(issued.setCookie).toBeDefined();
  });
});

describe('hashed keys', () => {
  const live = affinity([{ name: 'apps', header: { name: 'x-id', mode: 'Hash' } }]);
  const user = (id: string) => facts({ head: { 'x-id': id } });

  test('the same key, the same endpoint, whatever the order (T40)', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 60; i++) {
      const answer = ask(live, pool(ABC), user(`u${i}`));
      expect(answer).toMatchObject({ verdict: 'new -', rule: 0, setCookie: undefined });
      expect(ask(live, pool(['c', 'a', 'b']), user(`u${i}`)).pod).toBe(answer.pod);
      seen.add(answer.pod);
    }
    expect(seen.size).toBe(3);
  });

  test('T41 a missing key is balanced evenly, and says so', () => {
    const on = env();
    const counts = new Map<string, number>();
    for (let i = 0; i < 999; i++) {
      const answer = ask(live, pool(ABC), facts(), on);
      expect(answer).toMatchObject({ verdict: 'stateless missing_key', setCookie: undefined });
      counts.set(answer.pod, (counts.get(answer.pod) ?? 0) + 1);
    }
    expect([...counts.values()]).toEqual([333, 333, 333]);
  });

  test('NotReady within grace and failing within grace keep their keys, draining and lost ones do not', () => {
    const own = ask(live, pool(ABC), user('u1')).pod;
    const others = ABC.filter((pod) => pod !== own);
    const at = (state: Partial<TestEndpoint>, on = env()) =>
      ask(live, pool([{ id: own, ...state }, ...others]), user('u1'), on).pod;
    const failing = (since: number) => {
      const on = env();
      on.meters.failing.set(slotOf(own), since);
      return on;
    };
    expect(at({ state: 'NotReady', since: NOW - 1 })).toBe(own);
    expect(at({}, failing(NOW - 1))).toBe(own);
    const heir = ask(live, pool(others), user('u1')).pod;
    expect(at({ state: 'NotReady' })).toBe(heir);
    expect(at({ state: 'Draining' })).toBe(heir);
    expect(at({ state: 'NotReady', since: NOW - 1, wasReady: false })).toBe(heir);
    expect(at({}, failing(NOW - HOUR))).toBe(heir);
  });

  test("retries go down the key's order, then 502", () => {
    const on = env();
    const d = new Decision();
    const pods = [ask(live, pool(ABC), user('u1'), on, undefined, d).pod];
    for (let i = 0; i < 2; i++) {
      d.tried.push(slotOf(pods.at(-1) ?? ''));
      pods.push(again(d, live, pool(ABC), user('u1'), on).pod);
    }
    expect([...pods].sort()).toEqual(ABC);
    d.tried.push(slotOf(pods[2] ?? ''));
    expect(again(d, live, pool(ABC), user('u1'), on)).toMatchObject({
      verdict: 'rejected connect_failed',
      status: 502,
    });
  });

  test('T43 one address is one endpoint, a network too', () => {
    const byNet = affinity([{ name: 'rest', sourceIP: { mode: 'Hash', ipv4Prefix: 24 } }]);
    const pods = new Set(
      Array.from({ length: 200 }, (_, i) => ask(byNet, pool(ABC), facts({ clientAddress: `192.0.2.${i}` })).pod),
    );
    expect(pods.size).toBe(1);
  });

  test('T42 an address needs no entry that somebody else could keep alive or let run out', () => {
    const byAddress = affinity([{ name: 'rest', sourceIP: { mode: 'Hash' } }]);
    const client = facts({ clientAddress: '192.0.2.7' });
    const first = ask(byAddress, pool(ABC), client);
    // Health checks of other addresses in between, a day later, on a replica that has seen no request at all.
    const shared = env();
    for (let i = 0; i < 100; i++) ask(byAddress, pool(ABC), facts({ clientAddress: `198.51.100.${i}` }), shared);
    const later = ask(byAddress, pool(ABC), client, { ...shared, now: NOW + 24 * HOUR });
    const elsewhere = ask(byAddress, pool(ABC), client, env({ now: NOW + 24 * HOUR, random: seeded(99) }));
    expect([later.pod, elsewhere.pod]).toEqual([first.pod, first.pod]);
    expect([first, later, elsewhere].map(({ setCookie }) => setCookie)).toEqual([undefined, undefined, undefined]);
  });

  test('force takes the first of all, whatever its state', () => {
    const forced = affinity([{ name: 'f', force: true, header: { name: 'x-id', mode: 'Hash' } }]);
    const own = ask(forced, pool(ABC), user('u1')).pod;
    const target = pool([{ id: own, state: 'NotReady' }, ...ABC.filter((pod) => pod !== own)]);
    expect(ask(forced, target, user('u1')).pod).toBe(own);
  });
});

describe('the chain', () => {
  const assets: TestRule = { name: 'assets', when: { pathSuffixes: ['.css'] }, none: {} };
  const apps: TestRule = { name: 'apps', header: { name: 'x-id', mode: 'Hash' } };
  const rest: TestRule = { name: 'rest', sourceIP: { mode: 'Hash' } };
  const live = affinity([assets, COOKIE, apps, rest]);

  test('a first visit gets its cookie although a later rule chose, and uses it from then on', () => {
    const first = ask(live, pool(ABC), facts());
    expect(first).toMatchObject({ verdict: 'new -', rule: 3 });
    const cookie = pair(first.setCookie);
    const elsewhere = ask(live, pool(ABC), facts({ cookie, clientAddress: '203.0.113.77', head: { 'x-id': 'z' } }));
    expect(elsewhere).toMatchObject({ pod: first.pod, verdict: 'kept -', rule: 1, setCookie: undefined });
  });

  test('none ends the chain and issues nothing, token or not', () => {
    expect(ask(live, pool(ABC), facts({ path: '/x.css' }))).toMatchObject({
      verdict: 'stateless -',
      rule: 0,
      setCookie: undefined,
    });
    const cookie = sessionOn(live, 'a');
    expect(ask(live, pool(ABC), facts({ path: '/x.css', cookie }))).toMatchObject({
      verdict: 'stateless ignored',
      setCookie: undefined,
    });
    expect(live.hiddenCookies).toEqual(['HF']);
    expect(live.ownedSetCookies).toEqual(['HF']);
  });

  test('T52 without an affinity: balanced, no token', () => {
    expect(ask(undefined, pool(ABC), facts({ cookie: sessionOn(live, 'a') }))).toMatchObject({
      verdict: 'stateless -',
      setCookie: undefined,
    });
  });

  test('a hashed key before the cookie rule decides; the cookie follows it once', () => {
    const order = affinity([apps, COOKIE]);
    const request = facts({ head: { 'x-id': 'u1' } });
    const first = ask(order, pool(ABC), request);
    expect(first).toMatchObject({ rule: 0, verdict: 'new -' });
    const cookie = pair(first.setCookie);
    const second = ask(order, pool(ABC), facts({ head: { 'x-id': 'u1' }, cookie }));
    expect(second).toMatchObject({ pod: first.pod, setCookie: undefined });
    expect(ask(order, pool(ABC), facts({ cookie }))).toMatchObject({ pod: first.pod, rule: 1, verdict: 'kept -' });
    const other = ABC.find((pod) => pod !== first.pod) ?? '';
    const stray = ask(order, pool(ABC), facts({ head: { 'x-id': 'u1' }, cookie: sessionOn(order, other) }));
    expect(stray).toMatchObject({ pod: first.pod, rule: 0 });
    expect(ask(order, pool(ABC), facts({ cookie: pair(stray.setCookie) })).pod).toBe(first.pod);
  });

  test('of two token rules the first that holds issues, a later one may choose', () => {
    const two = affinity([
      { name: 'api', when: { pathPrefixes: ['/api'] }, cookie: { name: 'API' } },
      { name: 'all', cookie: { name: 'ALL' } },
    ]);
    const all = pair(ask(two, pool(['b']), facts()).setCookie);
    expect(all).toMatch(/^ALL=/);
    const api = ask(two, pool(ABC), facts({ path: '/api', cookie: all }));
    expect(api).toMatchObject({ pod: 'b', rule: 1, verdict: 'kept -' });
    expect(pair(api.setCookie)).toMatch(/^API=/);
    const both = ask(two, pool(ABC), facts({ path: '/api', cookie: `${all}; ${pair(api.setCookie)}` }));
    expect(both).toMatchObject({ pod: 'b', rule: 0, setCookie: undefined });
  });

  test('onMissing', () => {
    const key = { header: { name: 'x-id', mode: 'Hash' } } as const;
    const reject = affinity([{ name: 'r', onMissing: 'Reject', ...key }, rest]);
    expect(ask(reject, pool(ABC), facts())).toMatchObject({
      verdict: 'rejected missing_key',
      status: 400,
      rule: 0,
      pod: '',
    });
    const balance = affinity([{ name: 'b', onMissing: 'Balance', ...key }, rest]);
    expect(ask(balance, pool(ABC), facts())).toMatchObject({ verdict: 'stateless missing_key', rule: 0 });
    const token = affinity([{ ...COOKIE, onMissing: 'Balance' }, rest]);
    const answer = ask(token, pool(ABC), facts());
    expect(answer).toMatchObject({ verdict: 'new no_token', rule: 0 });
    expect(answer.setCookie).toBeDefined();
    const strict = affinity([{ ...COOKIE, onMissing: 'Reject' }]);
    expect(ask(strict, pool(ABC), facts())).toMatchObject({
      verdict: 'rejected no_token',
      status: 400,
      setCookie: undefined,
    });
  });

  test('no rule that holds: balanced', () => {
    const post = affinity([{ ...COOKIE, when: { methods: ['POST'] } }]);
    expect(ask(post, pool(ABC), facts())).toMatchObject({ verdict: 'stateless -', rule: -1, setCookie: undefined });
  });
});

describe('groups (F26)', () => {
  const rule: TestRule = { name: 'g', cookie: { name: 'G' } };
  const scope = 'shop/checkout';
  const member = (service: string, others: string[]) =>
    affinity([rule], { group: 'checkout' }, { service, scope, ownScope: `shop/policy/${service}`, groupPools: others });
  const web = member('web', ['shop/cart:80']);
  const cart = member('cart', ['shop/web:80']);
  const webPool = pool(['a', 'b'], KEYS, 'web');
  const cartPool = pool(['b', 'c', 'd'], KEYS, 'cart');
  const on = env({
    poolOf: (name) => (name === 'shop/cart:80' ? cartPool : name === 'shop/web:80' ? webPool : undefined),
  });

  test('T53 the same pod in both Services is the same session', () => {
    const cookie = pair(ask(web, pool(['b'], KEYS, 'web'), facts(), on).setCookie);
    expect(ask(cart, cartPool, facts({ cookie }), on)).toMatchObject({
      pod: 'b',
      verdict: 'kept -',
      setCookie: undefined,
    });
  });

  test("a Service without that pod makes its own choice and leaves the group's token alone", () => {
    const cookie = pair(ask(web, pool(['a'], KEYS, 'web'), facts(), on).setCookie);
    const own = ask(cart, cartPool, facts({ cookie }), on);
    expect(own.verdict).toBe('new no_token');
    expect(pair(own.setCookie)).toMatch(/^G-cart=/);
    const jar = `${cookie}; ${pair(own.setCookie)}`;
    for (let i = 0; i < 20; i++) {
      expect(ask(cart, cartPool, facts({ cookie: jar }), on)).toMatchObject({
        pod: own.pod,
        verdict: 'kept -',
        setCookie: undefined,
      });
      expect(ask(web, webPool, facts({ cookie: jar }), on)).toMatchObject({
        pod: 'a',
        verdict: 'kept -',
        setCookie: undefined,
      });
    }
    const left = cartPool.endpoints.map((endpoint) => endpoint.pod).filter((pod) => pod !== own.pod);
    const moved = ask(cart, pool(left, KEYS, 'cart'), facts({ cookie: jar }), on);
    expect(moved.verdict).toBe('moved endpoint_gone');
    expect(pair(moved.setCookie)).toMatch(/^G-cart=/);
  });

  test("a group's pod that is gone everywhere: the session moves, to the own choice where there is one", () => {
    const cookie = pair(ask(web, pool(['gone'], KEYS, 'web'), facts(), on).setCookie);
    const moved = ask(cart, cartPool, facts({ cookie }), on);
    expect(moved.verdict).toBe('moved endpoint_gone');
    expect(pair(moved.setCookie)).toMatch(/^G=/);
  });

  test("an own token is not valid as the group's", () => {
    const cookie = pair(ask(web, pool(['a'], KEYS, 'web'), facts(), on).setCookie);
    const own = pair(ask(cart, cartPool, facts({ cookie }), on).setCookie).replace('G-cart=', 'G=');
    expect(ask(cart, cartPool, facts({ cookie: own }), on).verdict).toBe('new invalid_token');
  });
});

describe('a cap on sessions', () => {
  const full = (...pods: readonly string[]) => {
    const on = env();
    for (const pod of pods) on.meters.holding.set(slotOf(pod), 5);
    return on;
  };

  test('full endpoints get no new sessions, and keep those that they have', () => {
    const live = affinity([COOKIE], { maxSessionsPerEndpoint: 5 });
    const on = full('a', 'b');
    for (let i = 0; i < 20; i++)
      expect(ask(live, pool(ABC), facts(), on)).toMatchObject({ pod: 'c', verdict: 'new no_token' });
    const cookie = sessionOn(live, 'a');
    expect(ask(live, pool(ABC), facts({ cookie }), on)).toMatchObject({ pod: 'a', verdict: 'kept -' });
  });

  test('moves ignore it', () => {
    const live = affinity([COOKIE], { maxSessionsPerEndpoint: 5, onFull: 'Reject' });
    const cookie = sessionOn(live, 'gone');
    expect(ask(live, pool(ABC), facts({ cookie }), full(...ABC)).verdict).toBe('moved endpoint_gone');
  });

  test('when all are full: one takes it all the same, or the client is refused', () => {
    const overflow = affinity([COOKIE], { maxSessionsPerEndpoint: 5, onFull: 'Overflow' });
    expect(ask(overflow, pool(ABC), facts(), full(...ABC)).verdict).toBe('new capacity');
    const reject = affinity([COOKIE], { maxSessionsPerEndpoint: 5, onFull: 'Reject' });
    const answer = ask(reject, pool(ABC), facts(), full(...ABC));
    expect(answer).toMatchObject({ verdict: 'rejected capacity', status: 503, setCookie: undefined });
  });

  test('requests that begin no session are not limited', () => {
    const live = affinity([{ name: 'free', none: {} }], { maxSessionsPerEndpoint: 5, onFull: 'Reject' });
    expect(ask(live, pool(ABC), facts(), full(...ABC)).verdict).toBe('stateless -');
    const insert = affinity([COOKIE], { maxSessionsPerEndpoint: 5, onFull: 'Reject' });
    expect(ask(insert, pool(ABC), facts({ method: 'OPTIONS' }), full(...ABC)).verdict).toBe('stateless no_token');
  });

  test('an endpoint that drains takes it when no other is Ready', () => {
    const live = affinity([COOKIE], { maxSessionsPerEndpoint: 5, onFull: 'Reject' });
    expect(ask(live, pool([{ id: 'a', state: 'Draining' }]), facts(), full('a')).verdict).toBe('new drain');
  });
});

describe('the session table', () => {
  /** A table that has seen every session on `pod`, last at `lastSeen`. */
  const seen = (pod: string, lastSeen = NOW, list: Parameters<typeof pool>[0] = ABC) => {
    const target = pool(list);
    const index = target.endpoints.findIndex((endpoint) => endpoint.pod === pod);
    const find: DecideEnv['sessions']['find'] = (_region, _high, _low, _now, view) => {
      Object.assign(view, { ref: slotOf(pod), lastSeen });
      return true;
    };
    return {
      target,
      on: env({ sessions: { find }, placeOf: () => (index < 0 ? undefined : { pool: target, index }) }),
    };
  };
  const hash = affinity([{ name: 'h', header: { name: 'x-id', mode: 'Hash' } }]);
  const request = facts({ head: { 'x-id': 'alice' } });
  const own = ask(hash, pool(ABC), request).pod;
  const other = ABC.find((pod) => pod !== own) ?? '';

  test('says whether a hashed key is new, kept or has moved', () => {
    expect(ask(hash, pool(ABC), request).verdict).toBe('new -');
    const kept = seen(own);
    expect(ask(hash, kept.target, request, kept.on)).toMatchObject({ pod: own, verdict: 'kept -' });
    const moved = seen(other);
    expect(ask(hash, moved.target, request, moved.on)).toMatchObject({ pod: own, verdict: 'moved rehash' });
    const gone = seen('gone');
    expect(ask(hash, gone.target, request, gone.on)).toMatchObject({ pod: own, verdict: 'moved rehash' });
  });

  test('keeps a hashed key on an endpoint that drains, unless the policy moves it', () => {
    const list = ABC.map((id) => (id === own ? { id, state: 'Draining' as const } : { id }));
    const { target, on } = seen(own, NOW, list);
    expect(ask(hash, target, request, on)).toMatchObject({ pod: own, verdict: 'kept -' });
    const rules = [{ name: 'h', header: { name: 'x-id', mode: 'Hash' as const } }];
    const move = affinity(rules, { drain: { action: 'Move', maxDuration: 0 } });
    expect(ask(move, target, request, on).verdict).toBe('moved rehash');
  });

  test('a token that looks idle lives while the table has seen its session', () => {
    const live = affinity([COOKIE], { idleTimeout: HOUR });
    const cookie = sessionOn(live, 'a');
    const later = NOW + 2 * HOUR;
    expect(ask(live, pool(ABC), facts({ cookie }), env({ now: later })).verdict).toBe('new idle_expired');
    const { target, on } = seen('a', later - HOUR / 2);
    const answer = ask(live, target, facts({ cookie }), { ...on, now: later });
    expect(answer).toMatchObject({ pod: 'a', verdict: 'kept -' });
    // Its cookie catches up.
    expect(answer.setCookie).toBeDefined();
  });

  test('knows a session of format Plain by the value that the client will bring', () => {
    const modes = [{ mode: 'Insert' }, { mode: 'Rewrite' }, { mode: 'Prefix' }] as const;
    for (const changes of [{}, { idleTimeout: HOUR }]) {
      for (const { mode } of modes) {
        const live = affinity([{ name: 'r', cookie: { name: 'HF', format: 'Plain', mode } }], changes);
        const first = ask(live, pool(['a']), facts());
        const line =
          mode === 'Insert' ? first.setCookie : editSetCookie(first.d, live, pool(['a']), facts(), OK, env(), 'HF=x');
        expect(first.d).toMatchObject({ outcomeName: 'new', onIssue: true });
        const { region, entryHigh, entryLow, entryScope } = first.d;
        const again = ask(live, pool(['a']), facts({ cookie: pair(`${line};`) }));
        expect(again.verdict).toBe('kept -');
        expect(again.d).toMatchObject({ region, entryHigh, entryLow, entryScope });
      }
    }
  });

  test('a plain value that looks idle lives while the table has seen that session', () => {
    const live = affinity([{ name: 'r', cookie: { name: 'HF', format: 'Plain' } }], { idleTimeout: HOUR });
    const first = ask(live, pool(['a']), facts());
    const { entryHigh, entryLow } = first.d;
    const later = NOW + 2 * HOUR;
    const find: DecideEnv['sessions']['find'] = (_region, high, low, _now, view) => {
      Object.assign(view, { ref: slotOf('a'), lastSeen: later - HOUR / 2 });
      return high === entryHigh && low === entryLow;
    };
    const on = env({ now: later, sessions: { find } });
    const cookie = pair(first.setCookie);
    expect(ask(live, pool(ABC), facts({ cookie }), on)).toMatchObject({ pod: 'a', verdict: 'kept -' });
    const stranger = facts({ cookie, clientAddress: '192.0.2.2' });
    expect(ask(live, pool(ABC), stranger, on).verdict).toBe('new idle_expired');
  });
});
