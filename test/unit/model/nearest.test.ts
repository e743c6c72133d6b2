/** Suggestions for misspelt names. */
import { expect, test } from 'vitest';
import { nearest } from '../../../src/model/nearest.ts';

const FIELDS = ['name', 'mode', 'path', 'domains', 'sameSite', 'secure'];

test.each([
  ['samesite', 'sameSite'],
  ['domain', 'domains'],
  ['nmae', 'name'],
  ['secured', 'secure'],
  ['pth', 'path'],
])('%s is meant to be %s', (written, meant) => {
  expect(nearest(written, FIELDS)).toBe(meant);
});

test('nothing is suggested for what is like nothing', () => {
  expect(nearest('zzzzzzzzzzz', FIELDS)).toBeUndefined();
  expect(nearest('x'.repeat(10_000), FIELDS)).toBeUndefined();
  expect(nearest('name', [])).toBeUndefined();
});
