/** Problems as text. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { problemText, shownPath } from '../../../src/cli/problem-text.ts';
import type { Problem } from '../../../src/model/problem.ts';

const PROBLEM: Problem = {
  severity: 'error',
  object: { kind: 'StickyPolicy', namespace: 'shop', name: 'shop' },
  field: 'spec.session.idleTimeout',
  message: 'write a duration',
  location: { file: join(process.cwd(), 'a', 'shop.yaml'), line: 12 },
};

test('names file, line, object, field and what to write', () => {
  expect(problemText(PROBLEM)).toBe(
    'error a/shop.yaml:12: StickyPolicy shop/shop, spec.session.idleTimeout: write a duration',
  );
});

test.each<[string, Partial<Problem>, string]>([
  ['the whole object', { field: '' }, 'error a/shop.yaml:12: StickyPolicy shop/shop: write a duration'],
  [
    'a cluster-scoped object',
    { object: { kind: 'IngressClass', namespace: '', name: 'h' }, field: 'spec' },
    'error a/shop.yaml:12: IngressClass h, spec: write a duration',
  ],
  ['no object', { object: { kind: '', namespace: '', name: '' }, field: '' }, 'error a/shop.yaml:12: write a duration'],
])('%s', (_name, change, text) => {
  expect(problemText({ ...PROBLEM, ...change })).toBe(text);
});

test('without a location', () => {
  const { location: _location, ...rest } = PROBLEM;
  expect(problemText(rest)).toBe('error StickyPolicy shop/shop, spec.session.idleTimeout: write a duration');
});

test('text from outside cannot steer the terminal', () => {
  expect(problemText({ ...PROBLEM, message: 'a\x1b[2J\nb' })).not.toMatch(/[\x00-\x1f]/);
});

test('a path outside the working directory stays absolute', () => {
  expect(shownPath('/elsewhere/x.yaml')).toBe('/elsewhere/x.yaml');
});
