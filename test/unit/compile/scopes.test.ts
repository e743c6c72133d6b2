/** Scopes and the names made from them, which clients hold for months: they must never change by accident. */
import { describe, expect, it } from 'vitest';
import { cookiePlaces } from '../../../src/compile/passes/cookie-places.ts';
import { compilePolicy } from '../../../src/compile/passes/policies.ts';
import { defaultCookieName, scopeText, shortHash } from '../../../src/compile/scopes.ts';
import type { TokenCookieKey } from '../../../src/model/policy.ts';

describe('scopes', () => {
  it('names whose session it is', () => {
    expect(scopeText('shop', 'p', 'cart', undefined)).toBe('policy/shop/p/cart');
    expect(scopeText('shop', 'p', 'cart', 'checkout')).toBe('group/shop/checkout');
  });

  it('gives names that stay', () => {
    expect(shortHash('')).toBe('e3b0c442');
    expect(defaultCookieName('policy/shop/p/cart')).toBe('hf-' + shortHash('policy/shop/p/cart'));
  });
});

describe('cookiePlaces', () => {
  function insertKey(domains: readonly string[], path = '/'): TokenCookieKey {
    const { rules } = compilePolicy(
      { id: 'ns/p', namespace: 'ns', name: 'p' },
      { rules: [{ name: 'r', cookie: { domains, path } }] },
    );
    const key = rules[0]?.key;
    if (key?.kind !== 'cookie' || key.mode !== 'Insert') throw new Error('not an Insert cookie');
    return key;
  }

  it.each<[string[], string[], string[]]>([
    [[], ['a.example'], ['host a.example\0/']],
    [['example'], ['a.example', 'b.example'], ['domain example\0/']],
    [['.A.example'], ['a.example', 'b.a.example', 'ba.example'], ['domain a.example\0/', 'host ba.example\0/']],
    [['shop.example'], ['*.shop.example', '*.other.example'], ['domain shop.example\0/', 'host *.other.example\0/']],
    [['shop.example'], [''], ['domain shop.example\0/', 'host \0/']],
  ])('domains %j on hosts %j', (domains, hosts, places) => {
    expect(cookiePlaces(insertKey(domains), hosts)).toEqual(places);
  });

  it('keeps nested paths apart', () => {
    expect(cookiePlaces(insertKey([], '/api'), ['a.example'])).toEqual(['host a.example\0/api']);
  });
});
