/** The annotations of a canary: ingress-nginx's names and values, and what is reported. */
import { describe, expect, test } from 'vitest';
import { readAnnotations } from '../../../src/api/annotations.ts';
import type { Canary } from '../../../src/model/canary.ts';

const NGINX = 'nginx.ingress.kubernetes.io/';
const OVERRIDES = 'holdfast.dev/canary-overrides-session';

/** Names without a prefix are ingress-nginx's. */
function read(annotations: Record<string, string>) {
  const full = Object.entries(annotations).map(([name, value]) => [name.includes('/') ? name : NGINX + name, value]);
  const meta = { namespace: 'shop', name: 'shop', uid: '', generation: 0, creationTimestamp: undefined, labels: {} };
  const ref = { kind: 'Ingress', namespace: 'shop', name: 'shop' };
  return readAnnotations({ ...meta, annotations: Object.fromEntries(full) as Record<string, string> }, ref);
}

const NOBODY: Canary = {
  header: undefined,
  cookie: undefined,
  weight: 0,
  total: 100,
  legacy: false,
  overrides: false,
};

describe('accepted', () => {
  test.each<[Record<string, string>, Partial<Canary>]>([
    [{}, {}],
    [{ canary: 'T' }, {}],
    [{ 'canary-weight': '100' }, { weight: 100 }],
    [{ 'canary-weight': '130' }, { weight: 100 }],
    [
      { 'canary-weight': '5', 'canary-weight-total': '1000' },
      { weight: 5, total: 1000 },
    ],
    // As in ingress-nginx, a total below 100 does not count.
    [
      { 'canary-weight': '5', 'canary-weight-total': '50' },
      { weight: 5, total: 100 },
    ],
    [{ 'canary-by-header': 'X-Canary' }, { header: { name: 'x-canary' } }],
    [
      { 'canary-by-header': 'X-Canary', 'canary-by-header-value': 'yes', 'canary-by-header-pattern': '^y' },
      { header: { name: 'x-canary', value: 'yes' } },
    ],
    [
      { 'canary-by-header': 'X-Region', 'canary-by-header-pattern': '^(us|eu)-' },
      { header: { name: 'x-region', pattern: '^(us|eu)-' } },
    ],
    [{ 'canary-by-cookie': 'canary' }, { cookie: 'canary' }],
    [{ 'affinity-canary-behavior': 'sticky' }, {}],
    [{ 'affinity-canary-behavior': 'legacy' }, { legacy: true }],
    [{ [OVERRIDES]: 'true' }, { overrides: true }],
  ])('%j', (annotations, canary) => {
    const result = read({ canary: 'true', ...annotations });
    expect(result.problems).toEqual([]);
    expect(result.canary).toEqual({ ...NOBODY, ...canary });
  });

  test.each(['false', '0', 'F'])('no canary: %s', (canary) => {
    expect(read({ canary })).toMatchObject({ canary: undefined, problems: [] });
  });
});

describe('reported, and the default holds', () => {
  test.each<[Record<string, string>, string, RegExp, Partial<Canary>]>([
    [{ 'canary-weight': '-1' }, 'canary-weight', /whole number/, {}],
    [{ 'canary-weight': 'ten' }, 'canary-weight', /whole number/, {}],
    [{ 'canary-weight-total': '1e9' }, 'canary-weight-total', /whole number/, {}],
    [{ 'canary-by-header': 'X Canary' }, 'canary-by-header', /not a header name; write/, {}],
    [{ 'canary-by-cookie': 'a;b' }, 'canary-by-cookie', /not a cookie name; write/, {}],
    [{ 'canary-by-header-value': 'yes' }, 'canary-by-header-value', /canary-by-header: NAME/, {}],
    [{ 'affinity-canary-behavior': 'Sticky' }, 'affinity-canary-behavior', /`sticky` or `legacy`/, {}],
    [
      { 'canary-by-header': 'x', 'canary-by-header-pattern': '(?=a)', 'canary-by-cookie': 'c' },
      'canary-by-header-pattern',
      /RE2/,
      { cookie: 'c' },
    ],
  ])('%j', (annotations, blamed, says, canary) => {
    const result = read({ canary: 'true', ...annotations });
    expect(result.problems).toMatchObject([{ severity: 'error', field: `metadata.annotations[${NGINX}${blamed}]` }]);
    expect(result.problems[0]?.message).toMatch(says);
    expect(result.canary).toEqual({ ...NOBODY, ...canary });
  });

  test('a value of `canary` that is no boolean makes none', () => {
    const { canary, problems } = read({ canary: 'yes' });
    expect(canary).toBeUndefined();
    expect(problems).toMatchObject([{ severity: 'error', field: `metadata.annotations[${NGINX}canary]` }]);
  });

  test('what belongs to a canary on an Ingress that is none', () => {
    const { canary, problems } = read({ 'canary-weight': '10', [OVERRIDES]: 'true' });
    expect(canary).toBeUndefined();
    expect(problems.map(({ severity, field }) => `${severity} ${field}`)).toEqual([
      `warning metadata.annotations[${NGINX}canary-weight]`,
      `warning metadata.annotations[${OVERRIDES}]`,
    ]);
  });
});
