/** The sharded map: it is what a `Map` copied before each change is, and shares what a change does not touch. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ShardedMap } from '../../../src/model/sharded-map.ts';

const keys = fc.nat({ max: 600 }).map((i) => `ns/name-${i}`);
const change = fc.record({ key: keys, value: fc.option(fc.nat(), { nil: undefined }) });

test('any series of edits: the same entries as a Map, and every map before stays as it was', () => {
  fc.assert(
    fc.property(fc.array(fc.array(change, { maxLength: 40 }), { maxLength: 8 }), (edits) => {
      let map = ShardedMap.empty<number>();
      let model = new Map<string, number>();
      const history: [ShardedMap<number>, Map<string, number>][] = [];
      for (const changes of edits) {
        const edit = map.edit();
        const before = model;
        model = new Map(model);
        for (const { key, value } of changes) {
          if (value !== undefined) {
            edit.set(key, value);
            model.set(key, value);
          } else expect(edit.delete(key)).toBe(model.delete(key));
          expect(edit.get(key)).toBe(value);
        }
        const next = edit.done();
        const different = [...new Set([...before.keys(), ...model.keys()])].filter(
          (key) => before.get(key) !== model.get(key),
        );
        expect([...next.changedKeys(map)].sort()).toEqual(different.sort());
        map = next;
        history.push([map, model]);
      }
      for (const [sharded, entries] of history) {
        expect(new Map(sharded)).toEqual(entries);
        expect(sharded.size).toBe(entries.size);
        expect([...sharded.keys()].every((key) => sharded.has(key) && sharded.get(key) === entries.get(key))).toBe(
          true,
        );
        expect([...sharded.values()].length).toBe(entries.size);
      }
    }),
  );
});
