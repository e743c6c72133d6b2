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
        expect(new Set(members)).toEqual(set);
      }
    }),
  );
});

test('whoever leaves while they are gone through is passed over, and nobody else is', () => {
  fc.assert(
    fc.property(fc.nat(9), fc.array(fc.nat(9)), (at, leave) => {
      const all = Array.from({ length: 10 }, () => ({ place: 0 }));
      const members = new Members();
      for (const member of all) members.add(member);
      const [seen, gone] = [new Set<object>(), new Set<object>()];
      for (const member of members) {
        expect(gone).not.toContain(member);
        seen.add(member);
        if (member !== all[at]) continue;
        for (const i of leave) {
          members.delete(all[i]!);
          gone.add(all[i]!);
        }
      }
      for (const member of all) if (!gone.has(member)) expect(seen).toContain(member);
    }),
  );
});
