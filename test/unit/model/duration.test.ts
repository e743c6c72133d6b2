/** GEP-2257 durations. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatDuration, parseDuration } from '../../../src/model/duration.ts';

test.each([
  ['0s', 0],
  ['0h', 0],
  ['1ms', 1],
  ['30s', 30_000],
  ['1m', 60_000],
  ['1h30m', 5_400_000],
  ['1h2m3s4ms', 3_723_004],
  ['4ms1h', 3_600_004],
  ['1m1m', 120_000],
  ['99999h', 359_996_400_000],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each([
  '',
  '1',
  's',
  '-1s',
  '+1s',
  '1.5h',
  '1d',
  '1S',
  ' 1s',
  '1s ',
  '1s\n',
  '1h 30m',
  '100000s',
  '1h1m1s1ms1h',
  '1us',
  '١s',
])('%j is no duration', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test('every whole number of milliseconds in range survives being written and read', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 359_999_999_999 }), (ms) => parseDuration(formatDuration(ms)) === ms),
  );
});

test('what the notation cannot say is not written', () => {
  for (const ms of [-1, 0.5, NaN, Infinity, 360_000_000_000]) expect(() => formatDuration(ms)).toThrow(RangeError);
  expect(formatDuration(0)).toBe('0s');
  expect(formatDuration(90_000)).toBe('1m30s');
});
