/** What selection reads in shared memory. */
import { expect, test } from 'vitest';
import { Counted } from '../../../src/shared/counted.ts';
import { observeLatency } from '../../../src/shared/latencies.ts';
import { GAUGE } from '../../../src/shared/layout.ts';
import { HealthMarks, SharedMeters } from '../../../src/shared/meters.ts';

const WORKERS = 3;
const EPOCH = 1_000_000;

function setUp() {
  const counted = new Counted(WORKERS);
  const slot = counted.endpoints.acquire('endpoint');
  const pool = counted.pools.acquire('pool');
  const health = new HealthMarks(counted.blocks.mark, EPOCH);
  return { counted, slot, pool, health, meters: new SharedMeters(counted.blocks, health) };
}

test('in-flight is the sum over all workers', () => {
  const { counted, slot, meters } = setUp();
  const { gauge } = counted.blocks;
  for (let row = 0; row < WORKERS; row++) gauge.cells(slot)[gauge.at(slot, row) + GAUGE.inFlight] = row + 1;
  expect(meters.inFlight(slot)).toBe(6);
});

test('turns count up from 0, one pool apart from the other', () => {
  const { counted, pool, meters } = setUp();
  const other = counted.pools.acquire('other');
  expect([meters.nextTurn(pool), meters.nextTurn(pool), meters.nextTurn(other), meters.nextTurn(pool)]).toEqual([
    0, 1, 0, 2,
  ]);
});

test('the order of choice grows over all endpoints', () => {
  const { counted, slot, meters } = setUp();
  const other = counted.endpoints.acquire('other');
  expect(meters.lastChosen(slot)).toBe(0);
  meters.markChosen(slot);
  meters.markChosen(other);
  expect(meters.lastChosen(other)).toBeGreaterThan(meters.lastChosen(slot));
});

test('a failing mark keeps the time of the first failure until the endpoint works again', () => {
  const { slot, health, meters } = setUp();
  expect(meters.failingSince(slot)).toBe(0);
  health.failed(slot, EPOCH + 5000);
  health.failed(slot, EPOCH + 9000);
  expect(meters.failingSince(slot)).toBe(EPOCH + 5000);
  health.worked(slot);
  expect(meters.failingSince(slot)).toBe(0);
  health.failed(slot, EPOCH);
  expect(meters.failingSince(slot)).toBeGreaterThan(0);
});

test('a latency rises at once, comes down with time, and is forgotten; the slowest of what workers saw counts', () => {
  const { counted, slot, meters } = setUp();
  const { latency } = counted.blocks;
  const observe = (row: number, milliseconds: number, at: number) => {
    observeLatency(latency, row, slot, milliseconds, at);
  };
  expect(meters.latency(slot, EPOCH)).toBe(0);
  observe(0, 10, EPOCH);
  expect(meters.latency(slot, EPOCH)).toBe(10);
  observe(0, 400, EPOCH + 1);
  expect(meters.latency(slot, EPOCH + 1)).toBe(400);
  // Many quick answers in no time do not hide a slow one; time does: to 1/e in ten seconds.
  for (let i = 0; i < 1000; i++) observe(0, 10, EPOCH + 1);
  expect(meters.latency(slot, EPOCH + 1)).toBe(400);
  expect(meters.latency(slot, EPOCH + 10_001)).toBeCloseTo(400 / Math.E, 6);
  observe(0, 10, EPOCH + 10_001);
  expect(meters.latency(slot, EPOCH + 10_001)).toBeCloseTo(400 / Math.E + 10 * (1 - 1 / Math.E), 6);

  observe(1, 900, EPOCH + 10_001);
  expect(meters.latency(slot, EPOCH + 10_001)).toBe(900);
  // A clock that is set back makes nothing grow.
  expect(meters.latency(slot, EPOCH)).toBe(900);
  expect(meters.latency(slot, EPOCH + 300_000)).toBe(0);
});

test("a dead worker's latencies are forgotten", () => {
  const { counted, slot, meters } = setUp();
  observeLatency(counted.blocks.latency, 2, slot, 50, EPOCH);
  counted.blocks.latency.fold(2, 'all');
  expect(meters.latency(slot, EPOCH)).toBe(0);
});
