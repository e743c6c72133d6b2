/** Tests of reading and editing Cookie headers, and of writing Set-Cookie. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cookieValues, removeCookies, setCookieName } from '../../../src/affinity/cookies.ts';
import { serializeSetCookie } from '../../../src/affinity/set-cookie.ts';
import type { TokenCookieKey } from '../../../src/model/policy.ts';
import { compileRuleKey } from '../../../src/rules/rules.ts';
import type { CookieRule } from '../../../src/model/sticky-policy.ts';
import { facts, NOW } from './fixtures.ts';

describe('cookieValues', () => {
  test.each([
    ['hf=a', ['a']],
    ['hf="a"', ['a']],
    ['x=1; hf=a; hf=b', ['a', 'b']],
    ['$Version=1;hf = a ;;; =; junk; hf=', ['a', '']],
    ['junk; junk; hf=a', ['a']],
    ['HF=a; xhf=b; hfx=c', []],
    ['a="x; hf=b"', ['b"']],
    ['hf=a=b', ['a=b']],
    ['é=ü; hf=a', ['a']],
    ['', []],
  ])('T16 %s', (cookie, expected) => expect(cookieValues(cookie, ['hf'])).toEqual(expected));

  test('T16 finds the value among 8 KiB of noise and never throws', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), fc.string({ maxLength: 200 }), (a, b) => {
        const noise = `${a};`.repeat(20);
        expect(cookieValues(`${noise} hf=tok ;${b}`, ['hf'])).toContain('tok');
      }),
    );
    expect(cookieValues(`${'x;'.repeat(4000)}hf=tok`, ['hf'])).toEqual(['tok']);
  });
});

describe('removeCookies', () => {
  test.each([
    ['hf=a', ''],
    ['hf=a; x=1', 'x=1'],
    ['x=1; hf=a', 'x=1'],
    ['x=1; hf=a; y="2"', 'x=1; y="2"'],
    ['x=1;hf=a;y=2', 'x=1;y=2'],
    ['hf=a; x=1; hf=b; y=2; hf=c', 'x=1; y=2'],
    ['hf=a;', ''],
    ['x=1; hf=a;', 'x=1'],
    ['  hf=a ;  ', ''],
    ['x = 1 ;  y=2; hf=a', 'x = 1 ;  y=2'],
    ['x=1; junk; hf=a; junk', 'x=1; junk; junk'],
  ])('T18 %s leaves "%s"', (cookie, expected) => expect(removeCookies(cookie, ['hf'])).toBe(expected));

  test('T18 leaves everything else byte for byte', () => {
    fc.assert(
      fc.property(fc.string(), (cookie) => {
        fc.pre(cookieValues(cookie, ['hf']).length === 0);
        expect(removeCookies(cookie, ['hf'])).toBe(cookie);
      }),
    );
    const pairs = fc.array(fc.constantFrom('a=1', 'b="2"', 'c', 'hf=x'), { minLength: 1 });
    fc.assert(
      fc.property(pairs, (list) => {
        const kept = list.filter((pair) => pair !== 'hf=x').join('; ');
        expect(removeCookies(list.join('; '), ['hf'])).toBe(kept);
      }),
    );
  });
});

test('setCookieName', () => {
  expect(setCookieName('a=b; Path=/')).toBe('a');
  expect(setCookieName(' a =b')).toBe('a');
  expect(setCookieName('a; x=y')).toBe('');
  expect(setCookieName('')).toBe('');
});

describe('serializeSetCookie', () => {
  const key = (cookie: CookieRule): TokenCookieKey => {
    const compiled = compileRuleKey({ name: 'r', cookie });
    if (compiled?.kind !== 'cookie' || compiled.mode !== 'Insert') throw new Error('not an Insert cookie');
    return compiled;
  };
  const write = (cookie: CookieRule, request: Parameters<typeof facts>[0] = {}, now = NOW) =>
    serializeSetCookie(key(cookie), 'HF', 'v', facts(request), now);

  test('T10 defaults are a session cookie', () => {
    expect(write({})).toBe('HF=v; Path=/; HttpOnly; SameSite=Lax');
  });

  test('all attributes', () => {
    const cookie: CookieRule = {
      path: '/shop',
      secure: 'Always',
      httpOnly: false,
      sameSite: 'None',
      partitioned: true,
      maxAge: '1m',
      attributes: ['Priority=High'],
    };
    expect(write(cookie)).toBe(
      'HF=v; Path=/shop; Max-Age=60; Expires=Tue, 01 Jan 2030 00:01:00 GMT; Secure; SameSite=None; Partitioned; Priority=High',
    );
  });

  test('T8 Expires is computed per response', () => {
    expect(write({ maxAge: '1m' }, {}, NOW + 45_000)).toContain('Expires=Tue, 01 Jan 2030 00:01:45 GMT');
  });

  test('T21 Secure follows the scheme of the facts', () => {
    expect(write({}, { scheme: 'https' })).toContain('; Secure');
    expect(write({ secure: 'Never' }, { scheme: 'https' })).not.toContain('Secure');
  });

  test('the domain that covers the host', () => {
    const domains = ['other.example', 'shop.example'];
    expect(write({ domains }, { host: 'a.shop.example' })).toContain('; Domain=shop.example;');
    expect(write({ domains }, { host: 'shop.example' })).toContain('; Domain=shop.example;');
    expect(write({ domains }, { host: 'workshop.example' })).not.toContain('Domain');
  });

  test.each([
    ['Mozilla/5.0 (Windows) Chrome/51.0 Safari/537', false],
    ['Mozilla/5.0 (Windows) Chrome/120.0 Safari/537', true],
    ['Mozilla/5.0 (iPhone; CPU iPhone OS 12_4 like Mac OS X)', false],
    ['Mozilla/5.0 (iPad; CPU OS 12_4 like Mac OS X)', false],
    ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) Version/12.1 Safari/605', false],
    ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) Chrome/80.0 Safari/537', true],
    ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Version/13 Safari/605', true],
    [undefined, true],
  ])('T23 SameSite=None for %s: %s', (agent, written) => {
    const head: Record<string, string> = agent === undefined ? {} : { 'user-agent': agent };
    const text = write({ sameSite: 'None', secure: 'Always', conditionalSameSiteNone: true }, { head });
    expect(text.includes('SameSite=None')).toBe(written);
  });
});
