import { expect, test } from 'vitest';
import { Clock } from '../../../src/io/clock.ts';

test('tells what Date.now() tells, in whole ms, and how much has passed between two readings', () => {
  const clock = new Clock();
  const began = performance.now();
  const first = clock.read().steady;
  for (let i = 0; i < 1000; i++) {
    const before = Date.now();
    const { wall } = clock.read();
    expect(Number.isInteger(wall)).toBe(true);
    expect(wall).toBeGreaterThanOrEqual(before - 1);
    expect(wall).toBeLessThanOrEqual(Date.now() + 1);
  }
  const passed = clock.steady - first;
  expect(passed).toBeGreaterThan(0);
  expect(passed).toBeLessThanOrEqual(performance.now() - began);
});
