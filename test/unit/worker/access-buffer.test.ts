/** Access records: sampled, sent in batches, dropped rather than kept without bound. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { AccessRecord } from '../../../src/shared/messages.ts';
import { AccessBuffer } from '../../../src/worker/access-buffer.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const record = { status: 200 } as AccessRecord;

test.each([
  ['off', 0],
  ['full', 10],
  ['sampled', 4],
] as const)('%s: of 10 requests %i are wanted', (accessLog, expected) => {
  const buffer = new AccessBuffer(
    { accessLog, accessLogSample: 3 },
    () => undefined,
    () => undefined,
  );
  expect(Array.from({ length: 10 }, () => buffer.wants()).filter(Boolean)).toHaveLength(expected);
});

test('records of a while are sent together, more than fit are dropped and counted', () => {
  const sent: AccessRecord[][] = [];
  let dropped = 0;
  const buffer = new AccessBuffer(
    { accessLog: 'full', accessLogSample: 1 },
    (records) => sent.push(records),
    () => dropped++,
  );
  for (let i = 0; i < 10_005; i++) buffer.add(record);
  expect(sent).toEqual([]);
  vi.advanceTimersByTime(1000);
  expect(sent.map((batch) => batch.length)).toEqual([10_000]);
  expect(dropped).toBe(5);
  buffer.add(record);
  vi.advanceTimersByTime(1000);
  expect(sent.map((batch) => batch.length)).toEqual([10_000, 1]);
});
