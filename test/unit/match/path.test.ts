/** Path normalisation: what two spellings of one path have in common. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalizePath, normalizeRoutePath } from '../../../src/match/path.ts';

describe('normalizePath', () => {
  it.each([
    ['', '/'],
    ['/', '/'],
    ['/a/b', '/a/b'],
    ['/a/b/', '/a/b/'],
    ['//a///b//', '/a/b/'],
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/b/.', '/a/b/'],
    ['/..', '/'],
    ['/../../x', '/x'],
    ['/a//../b', '/b'],
    ['/.well-known/x', '/.well-known/x'],
    ['/a/..b', '/a/..b'],
    ['/a.', '/a.'],
    ['/%61%7Eb', '/a~b'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/a/%2e%2E/b', '/b'],
    ['/a%2fb', '/a%2Fb'],
    ['/a%2F..%2fb', '/a%2F..%2Fb'],
    ['/a/%2F/../b', '/a/b'],
    ['/100%', '/100%'],
    ['/%zz/%4', '/%zz/%4'],
    ['/%252e', '/%252e'],
    ['/a;v=1/b', '/a;v=1/b'],
    ['/a\\..\\b', '/a\\..\\b'],
  ])('%s is %s', (raw, normal) => {
    expect(normalizePath(raw)).toBe(normal);
  });

  it.each(['*', 'a/b', '?x', '.'])('%s is no path', (raw) => {
    expect(normalizePath(raw)).toBeUndefined();
  });

  it('gives a path without dot or empty segments, whatever the bytes', () => {
    const piece = fc.constantFrom('/', '.', '..', '%', '%2e', '%2E', '%2f', '%41', 'a', ';', '%c3%a9', '%z');
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const normal = normalizePath(`/${pieces.join('')}`) ?? '';
        expect(normal.startsWith('/')).toBe(true);
        expect(normal).not.toMatch(/\/\/|\/\.\.?(\/|$)/);
      }),
    );
  });

  it('is idempotent where escapes are well formed', () => {
    const piece = fc.constantFrom('/', '.', '..', '%2e', '%2f', '%41', '%25', 'a', '%c3%A9');
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const once = normalizePath(`/${pieces.join('')}`) ?? '';
        expect(normalizePath(once)).toBe(once);
      }),
    );
  });

  it('never throws on any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(normalizePath(`/${text}`)).toMatch(/^\//);
        expect(normalizeRoutePath(text)).toMatch(/^\//);
      }),
    );
  });
});

describe('normalizeRoutePath', () => {
  it('escapes what a request can only send escaped', () => {
    expect(normalizeRoutePath('/café au lait')).toBe('/caf%C3%A9%20au%20lait');
    expect(normalizePath('/caf%c3%a9%20au%20lait')).toBe('/caf%C3%A9%20au%20lait');
  });
});
