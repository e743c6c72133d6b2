/** Waiting after failures. */
import { expect, test } from 'vitest';
import { BackOff } from '../../../../src/source/kubernetes/back-off.ts';
import { ApiFault, faultOfAnswer, faultOfStatus } from '../../../../src/source/kubernetes/fault.ts';
import { TIMING } from '../../../../src/source/kubernetes/reflector.ts';

const refused = new Error('ECONNREFUSED');
const unavailable = new ApiFault(503, 'away');

function waits(failure: unknown, count: number, random = 1): number[] {
  const backOff = new BackOff(TIMING, () => random);
  return Array.from({ length: count }, () => backOff.next(failure));
}

test('doubles from 100 ms up to 30 s when the server answers with errors', () => {
  expect(waits(unavailable, 11)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
});

test('is jittered over its whole length', () => {
  expect(waits(unavailable, 3, 0)).toEqual([0, 0, 0]);
  expect(waits(unavailable, 3, 0.5)).toEqual([50, 100, 200]);
});

test('stays within a second while nobody answers at all, so that the server is found soon after it is back', () => {
  expect(waits(refused, 100).at(-1)).toBe(1000);
});

test('begins anew after a success, and when a server that was away answers with errors', () => {
  const backOff = new BackOff(TIMING, () => 1);
  for (let i = 0; i < 5; i++) backOff.next(unavailable);
  backOff.reset();
  expect(backOff.next(unavailable)).toBe(100);
  for (let i = 0; i < 5; i++) backOff.next(refused);
  expect(backOff.next(unavailable)).toBe(100);
});

test('waits as long as it is asked to and a little more, within reason', () => {
  expect(waits(new ApiFault(429, '', 7000), 2)).toEqual([7100, 7200]);
  expect(waits(new ApiFault(429, '', 1e9), 1)).toEqual([120_100]);
  expect(waits(new ApiFault(500, '', 5000), 1)).toEqual([5100]);
});

test('does not wait out the fixed 5 s of an API server that starts', () => {
  expect(waits(new ApiFault(503, 'not all paths are installed', 5000), 2)).toEqual([1100, 1200]);
});

test.each([
  [faultOfAnswer(429, { 'retry-after': '3' }, 'slow down'), 429, 3000],
  [faultOfAnswer(429, { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }, ''), 429, undefined],
  [faultOfAnswer(503, {}, '{"details":{"retryAfterSeconds":2}}'), 503, 2000],
  [faultOfAnswer(410, {}, '{"code":410,"reason":"Expired"}'), 410, undefined],
  [faultOfStatus({ code: 410 }), 410, undefined],
  [faultOfStatus({ reason: 'Expired' }), 410, undefined],
  [faultOfStatus({ code: 500, message: 'no', details: { retryAfterSeconds: 1 } }), 500, 1000],
  [faultOfStatus(undefined), 500, undefined],
  [faultOfStatus({ code: 'x', details: [] }), 500, undefined],
])('reads what the server says (%#)', (fault, status, retryAfter) => {
  expect(fault).toMatchObject({ status, retryAfter });
});
