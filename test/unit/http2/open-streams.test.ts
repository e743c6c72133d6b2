import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OpenStreams } from '../../../src/http2/open-streams.ts';

const step = fc.oneof(
  fc.record({ act: fc.constant('add'), skipped: fc.nat(20) }),
  fc.record({ act: fc.constant('delete'), at: fc.nat() }),
);

test('holds what a Map of the same numbers holds, whatever comes and goes', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const table = new OpenStreams<{ id: number }>();
      const map = new Map<number, { id: number }>();
      let next = 1;
      for (const one of steps) {
        if ('skipped' in one) {
          const stream = { id: next };
          next += 2 + 2 * one.skipped;
          table.add(stream);
          map.set(stream.id, stream);
        } else {
          const id = [...map.keys()][one.at % Math.max(1, map.size)] ?? next;
          table.delete(id);
          map.delete(id);
        }
        expect(table.size).toBe(map.size);
      }
      expect(table.values().sort((a, b) => a.id - b.id)).toEqual([...map.values()]);
      for (let id = 0; id <= next; id++) expect(table.get(id)).toBe(map.get(id));
    }),
  );
});

test('is empty after it was cleared, and takes streams again', () => {
  const table = new OpenStreams<{ id: number }>();
  for (let id = 1; id < 100; id += 2) table.add({ id });
  table.clear();
  expect([table.size, table.has(1), table.values()]).toEqual([0, false, []]);
  table.add({ id: 101 });
  expect([table.size, table.has(101)]).toEqual([1, true]);
});
