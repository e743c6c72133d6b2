/** Tests of rule keys: defaults, and reading the value to hash from a request. */
import { describe, expect, test } from 'vitest';
import type { CompiledRule } from '../../../src/model/policy.ts';
import type { Rule } from '../../../src/model/sticky-policy.ts';
import { compileRe2, regexProblem } from '../../../src/rules/re2.ts';
import { compileRuleKey, keyReader } from '../../../src/rules/rules.ts';
import { facts } from '../affinity/fixtures.ts';

function read(rule: Omit<Rule, 'name'>, request: Parameters<typeof facts>[0]): string | undefined {
  const key = compileRuleKey({ name: 'r', ...rule });
  const compiled: CompiledRule = { name: 'r', when: undefined, onMissing: 'Next', force: false, key };
  return keyReader(compiled, compileRe2, () => undefined)?.(facts(request));
}

describe('defaults', () => {
  test('of an Insert cookie', () => {
    expect(compileRuleKey({ name: 'r', cookie: {} })).toEqual({
      kind: 'cookie',
      mode: 'Insert',
      name: undefined,
      path: '/',
      domains: [],
      secure: 'Auto',
      httpOnly: true,
      sameSite: 'Lax',
      conditionalSameSiteNone: false,
      partitioned: false,
      maxAge: 0,
      attributes: [],
      emit: 'OnChange',
      emitMethods: [],
      emitStatusBelow: 0,
      cacheable: 'MarkPrivate',
      hideFromBackend: true,
      format: 'Signed',
      preserve: false,
      delimiter: '~',
      accept: [],
    });
  });

  test('maxAge is in whole seconds', () => {
    expect(compileRuleKey({ name: 'r', cookie: { maxAge: '1h30m' } })).toMatchObject({ maxAge: 5400 });
  });

  test('of the hashed keys', () => {
    expect(compileRuleKey({ name: 'r', cookie: { mode: 'Hash', name: 'sid' } })).toEqual({
      kind: 'cookie',
      mode: 'Hash',
      algorithm: 'Rendezvous',
      maxLoadFactor: 0,
      name: 'sid',
      extract: undefined,
      hideFromBackend: false,
    });
    expect(compileRuleKey({ name: 'r', sourceIP: { mode: 'Hash' } })).toMatchObject({
      ipv4Prefix: 32,
      ipv6Prefix: 128,
    });
    expect(compileRuleKey({ name: 'r', path: { mode: 'Hash' } })).toMatchObject({ depth: 0, includeQuery: false });
    expect(compileRuleKey({ name: 'r', header: { mode: 'Hash', name: 'X-Id' } })).toMatchObject({ name: 'x-id' });
    expect(compileRuleKey({ name: 'r', none: {} })).toEqual({ kind: 'none' });
  });

  test.each([
    ['cookie', { name: 'sid', mode: 'Table' }],
    ['header', { name: 'x-id', mode: 'Learn' }],
    ['query', { name: 'id', mode: 'Table' }],
    ['path', { mode: 'Table' }],
    ['host', { mode: 'Table' }],
    ['sourceIP', { mode: 'Table' }],
  ] as const)('L2 L3 of the table of a %s', (kind, key) => {
    const { mode } = key;
    const compiled = (table?: object, idleTimeout?: number) =>
      compileRuleKey({ name: 'r', [kind]: { ...key, table } }, idleTimeout);
    expect(compiled()).toMatchObject({ mode, idleTimeout: 360_000, extendWhileActive: 120_000 });
    expect(compiled({}, 60_000)).toMatchObject({ idleTimeout: 60_000 });
    const own = { idleTimeout: '5m', extendWhileActive: '60s' };
    expect(compiled(own, 60_000)).toMatchObject({ idleTimeout: 300_000, extendWhileActive: 60_000 });
  });

  test.each([
    ['cookie', { name: 'sid', mode: 'Hash' }],
    ['header', { name: 'x-id', mode: 'Hash' }],
    ['query', { name: 'id', mode: 'Hash' }],
    ['path', { mode: 'Hash' }],
    ['host', { mode: 'Hash' }],
    ['sourceIP', { mode: 'Hash' }],
  ] as const)('of the hash of a %s', (kind, key) => {
    const hash = (settings?: object) => compileRuleKey({ name: 'r', [kind]: { ...key, hash: settings } });
    for (const unset of [undefined, {}]) {
      expect(hash(unset)).toMatchObject({ mode: 'Hash', algorithm: 'Rendezvous', maxLoadFactor: 0 });
    }
    expect(hash({ algorithm: 'Ring', maxLoadFactor: 1.25 })).toMatchObject({ algorithm: 'Ring', maxLoadFactor: 1.25 });
  });
});

describe('reading', () => {
  test.each([
    ['header', { header: { name: 'X-Id', mode: 'Hash' } }, { head: { 'x-id': 'a' } }, 'a'],
    ['an empty header is missing', { header: { name: 'X-Id', mode: 'Hash' } }, { head: { 'x-id': '' } }, undefined],
    ['query', { query: { name: 'id', mode: 'Hash' } }, { query: 'x=1&id=a%20b+c&id=2' }, 'a b c'],
    ['query with broken escapes', { query: { name: 'id', mode: 'Hash' } }, { query: 'id=%ff%zz' }, '%ff%zz'],
    ['query without =', { query: { name: 'id', mode: 'Hash' } }, { query: 'a&b&id=7' }, '7'],
    ['cookie', { cookie: { name: 'sid', mode: 'Hash' } }, { cookie: 'a=1; sid="x y"; sid=2' }, 'x y'],
    ['host', { host: { mode: 'Hash' } }, { host: 'a.example' }, 'a.example'],
    ['no host', { host: { mode: 'Hash' } }, { host: '' }, undefined],
    ['path', { path: { mode: 'Hash' } }, { path: '/a/b', query: 'q' }, '/a/b'],
    ['path with depth', { path: { mode: 'Hash', depth: 2 } }, { path: '/a/b/c' }, '/a/b'],
    ['path shorter than depth', { path: { mode: 'Hash', depth: 3 } }, { path: '/a/b' }, '/a/b'],
    ['path with query', { path: { mode: 'Hash', includeQuery: true } }, { path: '/a', query: 'q=1' }, '/a?q=1'],
    ['address', { sourceIP: { mode: 'Hash', ipv4Prefix: 24 } }, { clientAddress: '192.0.2.9' }, '192.0.2.0'],
    ['no address', { sourceIP: { mode: 'Hash' } }, { clientAddress: '' }, undefined],
  ] as const)('%s', (_title, rule, request, expected) => expect(read(rule, request)).toBe(expected));
});

describe('extract', () => {
  const take = (extract: NonNullable<NonNullable<Rule['header']>['extract']>, value: string) =>
    read({ header: { name: 'x', mode: 'Hash', extract } }, { head: { x: value } });

  test.each([
    [{ offset: 2 }, 'abcdef', 'cdef'],
    [{ offset: 2, length: 3 }, 'abcdef', 'cde'],
    [{ length: 2 }, 'abcdef', 'ab'],
    [{ offset: 9 }, 'abc', undefined],
    [{ after: '?type=', skip: 6, until: '&' }, '/x?type=cgi&y', 'cgi'],
    [{ after: 'type=', until: '&' }, '/x?type=cgi&y', 'cgi'],
    [{ after: 'type=', until: '&' }, '/x?type=cgi', 'cgi'],
    [{ after: 'type=', skip: 0 }, '/x?type=cgi', 'type=cgi'],
    [{ after: 'type=', until: '&' }, '/x?type=&y', undefined],
    [{ after: 'nope' }, 'abc', undefined],
    [{ regex: 'id-(\\d+)' }, 'x id-42 y', '42'],
    [{ regex: '\\d+' }, 'x 42', '42'],
    [{ regex: 'id-(\\d+)' }, 'none', undefined],
  ])('%j of %s', (extract, value, expected) => expect(take(extract, value)).toBe(expected));
});

test('bad regular expressions are named, and RE2 alone is the judge', () => {
  expect(regexProblem('a(b')).toContain('missing closing )');
  expect(regexProblem('(?!x)')).toBeDefined();
  expect(regexProblem('^a.*$')).toBeUndefined();
  expect(compileRe2('^AB$', true).test('ab')).toBe(true);
});
