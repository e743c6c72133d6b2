/** Tests of cookies that are the application's (Rewrite, Prefix, Passive, preserve) and of format Plain. */
import { describe, expect, test } from 'vitest';
import { editSetCookie } from '../../../src/affinity/backend-cookies.ts';
import type { LiveAffinity } from '../../../src/affinity/build.ts';
import { editCookies } from '../../../src/affinity/cookies.ts';
import type { LivePool } from '../../../src/model/live.ts';
import type { CompiledPolicy } from '../../../src/model/policy.ts';
import type { CookieRule } from '../../../src/model/sticky-policy.ts';
import type { Answer, TestEnv } from './fixtures.ts';
import { affinity, ask, env, facts, HOUR, NOW, OK, pair, pool, slotOf } from './fixtures.ts';

const ABC = ['a', 'b', 'c'];
const SECONDS = NOW / 1000;

function live(cookie: CookieRule, changes: Partial<CompiledPolicy> = {}): LiveAffinity {
  return affinity([{ name: 'app', cookie: { name: 'APP', ...cookie } }], changes);
}

/** What the client sees of the backend's `line` after the request was decided. */
function seen(one: LiveAffinity, answer: Answer, target: LivePool, line: string, status = 200, on = env()): string {
  return editSetCookie(answer.d, one, target, facts(), { status }, on, line);
}

/** The Cookie of a client whose session the application started on `pod`. */
function startedOn(one: LiveAffinity, pod: string, value = '', on: TestEnv = env()): string {
  const target = pool([pod]);
  return pair(`${seen(one, ask(one, target, facts(), on), target, `APP=${value}; Path=/`, 200, on)};`);
}

describe('Rewrite', () => {
  const one = live({ mode: 'Rewrite' });

  test('F9 H14 Tengine T7 the application decides who has a session', () => {
    const target = pool(ABC);
    const answer = ask(one, target, facts());
    expect(answer).toMatchObject({ verdict: 'stateless no_token', setCookie: undefined });
    expect(seen(one, answer, target, 'OTHER=1')).toBe('OTHER=1');
    expect(answer.d.outcomeName).toBe('stateless');
    const line = seen(one, answer, target, `APP=${'0'.repeat(120)}; Path=/shop; HttpOnly`);
    expect(line).toMatch(/^APP=[\w-]{56}; Path=\/shop; HttpOnly$/);
    expect(answer.d).toMatchObject({ outcomeName: 'new', edited: true, onIssue: true });
    const cookie = pair(line);
    expect(ask(one, target, facts({ cookie }))).toMatchObject({ pod: answer.pod, verdict: 'kept -' });
  });

  test('the token is visible to the application unless it is hidden', () => {
    expect(editCookies('a=1; APP=x', one)).toBe('a=1; APP=x');
    expect(editCookies('a=1; APP=x', live({ mode: 'Rewrite', hideFromBackend: true }))).toBe('a=1');
  });

  test('F9 a further line keeps the session id and its start', () => {
    const cookie = startedOn(one, 'b');
    const on = env({ now: NOW + HOUR });
    const target = pool(ABC);
    const first = ask(one, target, facts({ cookie }), on);
    const again = pair(`${seen(one, first, target, 'APP=', 200, on)};`);
    const second = ask(one, target, facts({ cookie: again }), on);
    expect(second).toMatchObject({ pod: 'b', verdict: 'kept -' });
    expect(second.d.sessionHigh).toBe(first.d.sessionHigh);
    expect(second.d.bound?.issuedAt).toBe(NOW);
  });

  test('a line that expires the cookie stays as it is', () => {
    const target = pool(ABC);
    for (const line of [
      'APP=; Max-Age=0',
      'APP=x; Path=/; expires=Thu, 01-Jan-1970 00:00:01 GMT',
      'APP=x; Expires=Fri, 01 Jan 2100 00:00:00 GMT; Max-Age=-1',
    ]) {
      expect(seen(one, ask(one, target, facts()), target, line)).toBe(line);
    }
    const lives = 'APP=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60';
    expect(seen(one, ask(one, target, facts()), target, lives)).not.toBe(lives);
  });

  test('T58 no token on 304 and preflights, and then no line that would take it away', () => {
    const target = pool(ABC);
    expect(seen(one, ask(one, target, facts()), target, 'APP=x', 304)).toBe('');
    const request = facts({ method: 'OPTIONS' });
    const { d } = ask(one, target, request);
    expect(editSetCookie(d, one, target, request, OK, env(), 'APP=x')).toBe('');
  });

  test('H7 a lost endpoint: all its requests go to one place until the application sets the cookie again', () => {
    const cookie = startedOn(one, 'a');
    const pods = Array.from({ length: 20 }, () => ask(one, pool(['b', 'c', 'd']), facts({ cookie })));
    expect(new Set(pods.map(({ pod }) => pod)).size).toBe(1);
    expect(pods[0]).toMatchObject({ verdict: 'moved endpoint_gone', setCookie: undefined });
  });

  test('a value of the application from before is no forged token', () => {
    const answer = ask(one, pool(ABC), facts({ cookie: 'APP=0123456789abcdef' }));
    expect(answer.verdict).toBe('stateless no_token');
    expect(answer.d.tokenFault).toBe(-1);
    const forged = ask(one, pool(ABC), facts({ cookie: `APP=${'E'.repeat(56)}` }));
    expect(forged.verdict).toBe('stateless invalid_token');
  });

  test('the absolute timeout ends it, the idle one does not: only the application renews', () => {
    const limited = live({ mode: 'Rewrite' }, { idleTimeout: HOUR / 60, absoluteTimeout: HOUR });
    const cookie = startedOn(limited, 'a');
    const later = (ms: number) => ask(limited, pool(ABC), facts({ cookie }), env({ now: NOW + ms })).verdict;
    expect(later(HOUR)).toBe('kept -');
    expect(later(HOUR + 1000)).toBe('stateless absolute_expired');
  });

  test('under `none` the token names the endpoint that answered, and no session is counted', () => {
    const both = affinity([
      { name: 'free', when: { pathSuffixes: ['.css'] }, none: {} },
      { name: 'app', cookie: { name: 'APP', mode: 'Rewrite' } },
    ]);
    const target = pool(ABC);
    const answer = ask(both, target, facts({ path: '/a.css' }));
    const cookie = pair(`${seen(both, answer, target, 'APP=x')};`);
    expect(answer.verdict).toBe('stateless -');
    expect(answer.d.outcomeName).toBe('stateless');
    expect(ask(both, target, facts({ cookie })).pod).toBe(answer.pod);
  });

  test('a rule with Insert behind it issues its own cookie for the same endpoint and session', () => {
    const both = affinity([
      { name: 'app', cookie: { name: 'APP', mode: 'Rewrite' } },
      { name: 'ours', cookie: { name: 'HF' } },
    ]);
    const cookie = startedOn(both, 'b');
    const answer = ask(both, pool(ABC), facts({ cookie }));
    expect(answer).toMatchObject({ pod: 'b', verdict: 'kept -', rule: 0 });
    expect(ask(both, pool(ABC), facts({ cookie: pair(answer.setCookie) }))).toMatchObject({ pod: 'b', rule: 1 });
  });
});

describe('Prefix', () => {
  const one = live({ mode: 'Prefix' });

  test('H13 Tengine T8 the token goes before the value and is taken off again', () => {
    const target = pool(ABC);
    const answer = ask(one, target, facts());
    const line = seen(one, answer, target, 'APP=a~b=c; Path=/');
    expect(line).toMatch(/^APP=[\w-]{56}~a~b=c; Path=\/$/);
    const cookie = pair(line);
    expect(ask(one, target, facts({ cookie }))).toMatchObject({ pod: answer.pod, verdict: 'kept -' });
    expect(editCookies(cookie, one)).toBe('APP=a~b=c');
    expect(editCookies(`x=1;  ${cookie} ;y="2"`, one)).toBe('x=1;  APP=a~b=c ;y="2"');
    expect(editCookies(`APP="${cookie.slice(4)}"`, one)).toBe('APP="a~b=c"');
  });

  test.each(['APP=plain', 'APP=', 'APP=a~b', 'other=a~b', 'APP', ';;APP;=', ''])('T18 %s stays as it is', (cookie) => {
    expect(editCookies(cookie, one)).toBe(cookie);
    expect(ask(one, pool(ABC), facts({ cookie })).verdict).toBe('stateless no_token');
  });

  test('T18 a token that has become invalid is taken off all the same', () => {
    expect(editCookies(`APP=${'E'.repeat(56)}~mine; b=2`, one)).toBe('APP=mine; b=2');
  });

  test('another delimiter, quoted and blank values', () => {
    const other = live({ mode: 'Prefix', delimiter: '!' });
    for (const value of ['"q v"', '', 'v!w']) {
      const cookie = startedOn(other, 'c', value);
      expect(editCookies(cookie, other)).toBe(`APP=${value}`);
      expect(ask(other, pool(ABC), facts({ cookie }))).toMatchObject({ pod: 'c', verdict: 'kept -' });
    }
  });

  test('format Plain: `id~value`', () => {
    const plain = live({ mode: 'Prefix', format: 'Plain' });
    const cookie = startedOn(plain, 'b', 'v~w');
    expect(cookie).toBe('APP=b~v~w');
    expect(editCookies(cookie, plain)).toBe('APP=v~w');
    expect(ask(plain, pool(ABC), facts({ cookie }))).toMatchObject({ pod: 'b', verdict: 'kept -' });
  });

  test('many pairs are taken in linear time', () => {
    const cookie = `${'APP=a;'.repeat(20_000)}${'x;'.repeat(20_000)}=`;
    const begin = performance.now();
    expect(editCookies(cookie, one)).toBe(cookie);
    expect(performance.now() - begin).toBeLessThan(2000);
  });
});

describe('Passive', () => {
  const one = live({ mode: 'Passive' });

  test('F10 H4 the backend writes the id, we only read it', () => {
    const answer = ask(one, pool(ABC), facts({ cookie: 'APP=b' }));
    expect(answer).toMatchObject({ pod: 'b', verdict: 'kept -', setCookie: undefined });
    const line = 'APP=b; Path=/';
    expect(seen(one, answer, pool(ABC), line)).toBe(line);
    expect(editCookies('APP=b', one)).toBe('APP=b');
  });

  test('a lost endpoint moves all requests of a client to one place, clients to several', () => {
    const at = (clientAddress: string) => ask(one, pool(['b', 'c', 'd']), facts({ cookie: 'APP=a', clientAddress }));
    expect(at('192.0.2.1').verdict).toBe('moved endpoint_gone');
    expect(at('192.0.2.1').pod).toBe(at('192.0.2.1').pod);
    const pods = new Set(Array.from({ length: 40 }, (_, i) => at(`192.0.2.${i}`).pod));
    expect(pods).toEqual(new Set(['b', 'c', 'd']));
  });

  test('what is no id at all leads nowhere', () => {
    for (const value of ['', 'a b', 'a|x', 'a|1|2|3', 'é', '"', 'x'.repeat(254)]) {
      expect(ask(one, pool(ABC), facts({ cookie: `APP=${value}` })).verdict).toBe('stateless no_token');
    }
  });
});

describe('Insert in format Plain', () => {
  const plain = (changes: Partial<CompiledPolicy> = {}) => live({ format: 'Plain' }, changes);

  test('H3 H6 H18 Tengine T13 the id alone without timeouts', () => {
    const answer = ask(plain(), pool(['web-1']), facts());
    expect(answer.setCookie).toBe('APP=web-1; Path=/; HttpOnly; SameSite=Lax');
    const next = ask(plain(), pool(['web-0', 'web-1']), facts({ cookie: 'APP=web-1' }));
    expect(next).toMatchObject({ pod: 'web-1', verdict: 'kept -', setCookie: undefined });
  });

  test('Tengine T14 T15 T17 T18 stamps: last-seen is renewed, both begin anew after the idle timeout', () => {
    const timed = plain({ idleTimeout: 30_000, absoluteTimeout: HOUR });
    const at = (seconds: number, cookie = '') =>
      ask(timed, pool(['a']), facts({ cookie }), env({ now: NOW + seconds * 1000 }));
    const first = pair(at(0).setCookie);
    expect(first).toBe(`APP=a|${SECONDS}|${SECONDS}`);
    const second = at(18, first);
    expect(second.verdict).toBe('kept -');
    expect(pair(second.setCookie)).toBe(`APP=a|${SECONDS + 18}|${SECONDS}`);
    expect(at(1, first).setCookie).toBeUndefined();
    const over = at(35, first);
    expect(over.verdict).toBe('new idle_expired');
    expect(pair(over.setCookie)).toBe(`APP=a|${SECONDS + 35}|${SECONDS + 35}`);
  });

  test('Tengine T11 first-seen ends it whatever its use', () => {
    const timed = plain({ absoluteTimeout: HOUR });
    const old = `APP=a|${SECONDS}|${SECONDS - 3601}`;
    expect(ask(timed, pool(ABC), facts({ cookie: old })).verdict).toBe('new absolute_expired');
  });

  test('H18 a stamp that is missing is accepted and made good', () => {
    const timed = plain({ idleTimeout: HOUR, absoluteTimeout: HOUR });
    for (const cookie of ['APP=b', `APP=b|${SECONDS}`]) {
      const answer = ask(timed, pool(ABC), facts({ cookie }));
      expect(answer).toMatchObject({ pod: 'b', verdict: 'kept -' });
      expect(pair(answer.setCookie)).toBe(`APP=b|${SECONDS}|${SECONDS}`);
    }
  });

  test('Tengine T16 T19 malformed values and stamps of the day after tomorrow: a new session', () => {
    for (const value of ['a b', 'a|', `a|${SECONDS + 90_000}|${SECONDS}`]) {
      const answer = ask(plain(), pool(ABC), facts({ cookie: `APP=${value}` }));
      expect(answer.verdict).toBe('new invalid_token');
      expect(answer.setCookie).toBeDefined();
    }
  });

  test('H7 Tengine T12 a lost endpoint: moved, or refused when the policy says so', () => {
    const moved = ask(plain(), pool(['b', 'c']), facts({ cookie: 'APP=a' }));
    expect(moved.verdict).toBe('moved endpoint_gone');
    expect(pair(moved.setCookie)).toBe(`APP=${moved.pod}`);
    const strict = plain({
      lost: { action: 'Reject', statusCode: 502, notReadyGrace: 0, goneGrace: 0, preferVersion: 'Any' },
    });
    expect(ask(strict, pool(['b']), facts({ cookie: 'APP=a' }))).toMatchObject({ status: 502, setCookie: undefined });
  });

  test('H20 H21 the id of the annotation; of endpoints with one id the first Ready by name', () => {
    const three = pool(['z', { id: 'c', state: 'NotReady' }, 'd']);
    const named: LivePool = { ...three, endpoints: three.endpoints.map((e) => ({ ...e, cookieValue: 'app' })) };
    expect(ask(plain(), named, facts({ cookie: 'APP=app' }))).toMatchObject({ pod: 'd', verdict: 'kept -' });
    expect(pair(ask(plain(), named, facts()).setCookie)).toBe('APP=app');
    expect(ask(plain(), named, facts({ cookie: 'APP=d' })).verdict).toBe('moved endpoint_gone');
  });

  test('T67 a signed cookie from before the format was changed keeps its endpoint', () => {
    const cookie = pair(ask(live({}), pool(['b']), facts()).setCookie);
    const answer = ask(plain(), pool(ABC), facts({ cookie }));
    expect(answer).toMatchObject({ pod: 'b', verdict: 'kept -' });
    expect(pair(answer.setCookie)).toBe('APP=b');
  });

  test('a signed cookie never takes a plain value', () => {
    expect(ask(live({}), pool(ABC), facts({ cookie: 'APP=b' })).verdict).toBe('new invalid_token');
  });

  test('of several values one that names an endpoint here is meant', () => {
    expect(ask(plain(), pool(ABC), facts({ cookie: 'APP=gone; APP=c' }))).toMatchObject({ pod: 'c' });
  });

  test('a connect failure is followed as with signed tokens', () => {
    const on = env();
    on.meters.failing.set(slotOf('a'), NOW - HOUR);
    expect(ask(plain(), pool(ABC), facts({ cookie: 'APP=a' }), on).verdict).toBe('moved connect_failed');
  });
});

describe('preserve', () => {
  const one = live({ preserve: true });
  const setting = { ...OK, setCookieNames: () => ['x', 'APP'] };

  test('H6 H10 the backend’s cookie is left untouched, and ours is not sent', () => {
    const answer = ask(one, pool(ABC), facts(), env(), setting);
    expect(answer.setCookie).toBeUndefined();
    expect(seen(one, answer, pool(ABC), 'APP=b; Path=/')).toBe('APP=b; Path=/');
    expect(ask(one, pool(ABC), facts()).setCookie).toBeDefined();
    expect(seen(live({}), answer, pool(ABC), 'APP=b; Path=/')).toBe('');
  });

  test('a plain value binds, and stays the backend’s', () => {
    const cookie = 'APP=b';
    for (const emit of ['OnChange', 'Always'] as const) {
      const answer = ask(live({ preserve: true, emit }), pool(ABC), facts({ cookie }));
      expect(answer).toMatchObject({ pod: 'b', verdict: 'kept -', setCookie: undefined });
    }
  });

  test('a signed token is found behind a value that is no id of an endpoint', () => {
    const ours = pair(ask(one, pool(['a']), facts()).setCookie);
    const cookie = `APP=gone; ${ours}`;
    expect(ask(one, pool(ABC), facts({ cookie }))).toMatchObject({ pod: 'a', verdict: 'kept -' });
    expect(ask(one, pool(['b']), facts({ cookie }))).toMatchObject({ pod: 'b', verdict: 'moved endpoint_gone' });
  });

  test('H7 a plain value whose endpoint is gone, and any other value, begin a session of ours', () => {
    for (const value of ['gone', 'some other text', 'e30.e30']) {
      const answer = ask(one, pool(ABC), facts({ cookie: `APP=${value}` }));
      expect(answer.verdict).toBe('new no_token');
      expect(answer.setCookie).toMatch(/^APP=[\w-]{56};/);
    }
  });
});
