import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeldBytes } from '../../../src/http1/held-bytes.ts';

test('what is put in comes out, however it is cut, and whatever is taken in between', () => {
  const step = fc.oneof(
    fc.record({ add: fc.uint8Array({ maxLength: 6000 }) }),
    fc.record({ take: fc.integer({ min: 0, max: 5000 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const held = new HeldBytes();
      const put: Buffer[] = [];
      const taken: Buffer[] = [];
      for (const one of steps) {
        if ('add' in one) {
          const source = Buffer.from(one.add);
          put.push(Buffer.from(source));
          held.add(source, 0, source.length);
          source.fill(0xdb);
          continue;
        }
        const [first] = held.pieces;
        if (first === undefined) continue;
        const bytes = Math.min(one.take, first.length);
        taken.push(Buffer.from(first.subarray(0, bytes)));
        held.consume(bytes);
      }
      const rest = Buffer.concat(held.pieces);
      expect(held.length).toBe(rest.length);
      expect(held.isEmpty).toBe(rest.length === 0);
      expect(Buffer.concat([...taken, rest]).equals(Buffer.concat(put))).toBe(true);
    }),
  );
});

test('100,000 single bytes are held in the memory of some blocks', () => {
  const held = new HeldBytes();
  for (let i = 0; i < 100_000; i++) held.add(Buffer.of(i & 255), 0, 1);
  expect(held.pieces.length).toBeLessThan(30);
  expect(new Set(held.pieces.map(({ buffer }) => buffer)).size).toBe(held.pieces.length);
  held.clear();
  expect([held.length, held.pieces]).toEqual([0, []]);
});
