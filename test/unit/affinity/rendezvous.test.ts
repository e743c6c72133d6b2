/** Tests of rendezvous hashing: evenness, little disruption, independence of order. */
import { describe, expect, test } from 'vitest';
import { firstOf, firstOfAll, hashText, seedsOf, weight } from '../../../src/affinity/rendezvous.ts';
import { seeded } from './fixtures.ts';

const seedsFor = (names: readonly string[]) => Int32Array.from(names.flatMap((name) => seedsOf(name)));
const names = (count: number) => Array.from({ length: count }, (_, i) => `uid:0000-${i}`);
const words = (text: string) => {
  const out = { 0: 0, 1: 0 };
  hashText(text, out);
  return out;
};
const all = (count: number) => Int32Array.from({ length: count }, (_, i) => i);
const choose = (list: readonly string[], high: number, low: number) =>
  list[firstOf(seedsFor(list), all(list.length), high, low)];

/** The heaviest, and of the heaviest the one with the greatest seeds. */
function plainFirst(seeds: Int32Array, high: number, low: number): number {
  const order = [...seeds.keys()].filter((k) => k % 2 === 0).map((k) => ({ i: k / 2, a: seeds[k]!, b: seeds[k + 1]! }));
  order.sort((x, y) => weight(high, low, y.a, y.b) - weight(high, low, x.a, x.b) || y.a - x.a || y.b - x.b);
  return order[0]?.i ?? -1;
}

/** Each endpoint and, behind it or before it, another that weighs as much for this key. */
function twins(seeds: Int32Array, high: number, low: number): Int32Array {
  const mixed = (seed: number) => {
    const x = Math.imul(high ^ seed ^ ((high ^ seed) >>> 16), 0x21f0aaad);
    return x ^ (x >>> 15);
  };
  const both: number[] = [];
  for (let k = 0; k < seeds.length; k += 2) {
    const [a, b] = [seeds[k]!, seeds[k + 1]!];
    const other = [a + 1, low ^ (mixed(a) + (low ^ b) - mixed(a + 1))];
    both.push(...(k % 4 === 0 ? [a, b, ...other] : [...other, a, b]));
  }
  return Int32Array.from(both);
}

describe('rendezvous', () => {
  test.each(['random ids', 'counted keys', 'addresses'])('spreads %s evenly', (kind) => {
    const list = names(10);
    const seeds = seedsFor(list);
    const random = seeded(7);
    const counts = list.map(() => 0);
    for (let i = 0; i < 20_000; i++) {
      const text = kind === 'addresses' ? `10.0.${i >> 8}.${i & 255}` : `user-${i}`;
      const key = kind === 'random ids' ? { 0: random() | 0, 1: random() | 0 } : words(text);
      const found = firstOf(seeds, all(list.length), key[0], key[1]);
      counts[found] = (counts[found] ?? 0) + 1;
    }
    // Binomial: 2000 with a standard deviation of 42.
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(210);
  });

  test('taking one of n away moves its keys only, evenly to all others; adding one takes 1/(n+1)', () => {
    const list = names(8);
    const less = list.filter((name) => name !== 'uid:0000-3');
    const more = [...list, 'uid:new'];
    const random = seeded(3);
    const heirs = new Map<string, number>();
    let taken = 0;
    const total = 8000;
    for (let i = 0; i < total; i++) {
      const [high, low] = [random() | 0, random() | 0];
      const before = choose(list, high, low);
      const after = choose(less, high, low) ?? '';
      if (before === 'uid:0000-3') heirs.set(after, (heirs.get(after) ?? 0) + 1);
      else expect(after).toBe(before);
      const added = choose(more, high, low);
      if (added === 'uid:new') taken++;
      else expect(added).toBe(before);
    }
    expect(heirs.size).toBe(7);
    for (const count of heirs.values()) expect(Math.abs(count - 143)).toBeLessThan(65);
    expect(Math.abs(taken - total / 9)).toBeLessThan(150);
  });

  test('T40 any order of the endpoints gives the same one', () => {
    const list = names(30);
    const shuffled = [...list].sort((a, b) => words(a)[0] - words(b)[0]);
    expect(shuffled).not.toEqual(list);
    const random = seeded(5);
    for (let i = 0; i < 500; i++) {
      const [high, low] = [random() | 0, random() | 0];
      expect(choose(shuffled, high, low)).toBe(choose(list, high, low));
    }
  });

  test('the same over some indices as over a filter', () => {
    const list = names(20);
    const seeds = seedsFor(list);
    const odd = Int32Array.from(list.flatMap((_, i) => (i % 2 === 1 ? [i] : [])));
    const random = seeded(9);
    for (let i = 0; i < 500; i++) {
      const [high, low] = [random() | 0, random() | 0];
      expect(firstOf(seeds, odd, high, low)).toBe(firstOf(seeds, all(20), high, low, (k) => k % 2 === 1));
    }
    expect(firstOf(seeds, new Int32Array(0), 1, 2)).toBe(-1);
    expect(firstOf(seeds, all(20), 1, 2, () => false)).toBe(-1);
  });

  test('the loop over all is the plain definition, ties by the seeds included', () => {
    const random = seeded(11);
    for (let i = 0; i < 500; i++) {
      const seeds = Int32Array.from({ length: 2 * (i % 40) }, () => random());
      const [high, low] = [random() | 0, random() | 0];
      const rivals = i % 3 === 0 ? twins(seeds, high, low) : seeds;
      expect(firstOfAll(rivals, high, low)).toBe(plainFirst(rivals, high, low));
    }
  });

  test('seeds are stable: replicas of different versions must agree', () => {
    expect(seedsOf('uid:7b1c')).toEqual(seedsOf('uid:7b1c'));
    expect(seedsOf('uid:7b1c')).toMatchInlineSnapshot(`
      [
        -1696236944,
        -440915204,
      ]
    `);
  });
});
