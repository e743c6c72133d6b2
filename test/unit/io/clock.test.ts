import { expect, test } from 'vitest';
import { wallClock } from '../../../src/io/wall-clock.ts';

test('tells what Date.now() tells, in whole ms', () => {
  for (let i = 0; i < 1000; i++) {
    const before = Date.now();
    const now = wallClock();
    expect(Number.isInteger(now)).toBe(true);
    expect(now).toBeGreaterThanOrEqual(before - 1);
    expect(now).toBeLessThanOrEqual(Date.now() + 1);
  }
});
