import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Members } from '../../../src/io/members.ts';

test('holds what a Set holds, whoever joins and leaves', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(9))), (steps) => {
      const all = Array.from({ length: 10 }, () => ({ place: 0 }));
      const [members, set] = [new Members(), new Set<object>()];
      for (const [joins, i] of steps) {
        const member = all[i]!;
        if (!joins) {
          members.delete(member);
          set.delete(member);
        } else if (!set.has(member)) {
          members.add(member);
          set.add(member);
        }
        expect(members.size).toBe(set.size);
        expect(new Set(members.values())).toEqual(set);
      }
    }),
  );
});
