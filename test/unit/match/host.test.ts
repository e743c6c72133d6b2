/** Authority to host name. */
import { describe, expect, it } from 'vitest';
import { normalizeHost } from '../../../src/match/host.ts';

describe('normalizeHost', () => {
  it.each([
    ['shop.example', 'shop.example'],
    ['Shop.EXAMPLE', 'shop.example'],
    ['shop.example:8080', 'shop.example'],
    ['shop.example:', 'shop.example'],
    ['shop.example.', 'shop.example'],
    ['Shop.Example.:443', 'shop.example'],
    ['a_b.example', 'a_b.example'],
    ['127.0.0.1:80', '127.0.0.1'],
    ['[2001:DB8::1]:80', '[2001:db8::1]'],
    ['[::1]', '[::1]'],
    ['', ''],
  ])('%s is %s', (authority, host) => {
    expect(normalizeHost(authority)).toBe(host);
  });

  it.each([
    'user@host',
    'a b',
    'a/b',
    'a:80:90',
    'a:x',
    'a:65536',
    ':80',
    '.',
    '*.a.example',
    'a%2e',
    '[::1',
    '::1',
    'a,b',
    'é.example',
    'a\t',
  ])('%s is refused', (authority) => {
    expect(normalizeHost(authority)).toBeUndefined();
  });
});
