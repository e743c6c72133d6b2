/** Lines of a stream, wherever it is cut. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter } from '../../../../src/source/kubernetes/lines.ts';

test('wherever the bytes are cut, the lines are the same', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'ü', '€', '😀', '{', '\n', '\n\n'), maxLength: 80 });
  fc.assert(
    fc.property(text, fc.array(fc.nat(200), { maxLength: 10 }), (whole, cuts) => {
      const bytes = Buffer.from(whole);
      const splitter = new LineSplitter(1000);
      const edges = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
      const lines = edges.slice(1).flatMap((end, i) => [...splitter.push(bytes.subarray(edges[i], end))]);
      expect(lines).toEqual(
        whole
          .split('\n')
          .slice(0, -1)
          .filter((line) => line !== ''),
      );
    }),
  );
});

test.each([['abcd\n'], ['abcd'], ['ab', 'cd\n'], ['ab', 'c', 'd']])(
  'a line that is too long is refused: %j %j %j',
  (...chunks) => {
    const splitter = new LineSplitter(3);
    const push = () => chunks.map((chunk) => [...splitter.push(Buffer.from(chunk))]);
    expect(push).toThrow(RangeError);
  },
);

test('a line of exactly the limit is not', () => {
  const splitter = new LineSplitter(3);
  expect([...splitter.push(Buffer.from('abc\nab')), ...splitter.push(Buffer.from('c\n'))]).toEqual(['abc', 'abc']);
});
