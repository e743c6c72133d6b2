import { expect, test } from 'vitest';
import { RequestIds } from '../../../src/worker/request-ids.ts';

test('all differ, within a worker and between two', () => {
  const [one, other] = [new RequestIds(), new RequestIds()];
  const ids = Array.from({ length: 1000 }, () => [one.next(), other.next()]).flat();
  expect(new Set(ids).size).toBe(2000);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{28}$/);
});
