/** Following WebSocket frames however their bytes are split. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameTracker } from '../../../src/lanes/upgrade/frames.ts';

function frame(length: number, masked: boolean): Buffer {
  const mask = masked ? 0x80 : 0;
  const head =
    length < 126
      ? Buffer.from([0x82, mask | length])
      : length < 65_536
        ? Buffer.from([0x82, mask | 126, length >> 8, length & 255])
        : Buffer.concat([
            Buffer.from([0x82, mask | 127, 0, 0, 0, 0]),
            Buffer.from(Uint32Array.of(length).buffer).swap32(),
          ]);
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0), Buffer.alloc(length, 0x88)]);
}

test('the tracker is at a boundary exactly between frames, at every split', () => {
  const frames = fc.array(fc.tuple(fc.constantFrom(0, 1, 125, 126, 127, 300, 66_000), fc.boolean()), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(frames, fc.array(fc.nat({ max: 70_000 }), { maxLength: 8 }), (list, cuts) => {
      const parts = list.map(([length, masked]) => frame(length, masked));
      const all = Buffer.concat(parts);
      let sum = 0;
      const ends = new Set(parts.map((part) => (sum += part.length)));
      const tracker = new FrameTracker();
      let from = 0;
      for (const to of [...cuts.map((cut) => cut % (all.length + 1)), all.length].sort((a, b) => a - b)) {
        tracker.push(all.subarray(from, to), to - from);
        from = to;
        expect(tracker.atBoundary).toBe(to === 0 || ends.has(to));
      }
    }),
    { numRuns: 200 },
  );
});
