/** Flushes that wait for the end of a turn of the event loop, or for enough others. */
import { expect, test } from 'vitest';
import { Turn } from '../../../src/io/turn.ts';
import type { Flushable } from '../../../src/io/turn.ts';

/** `named` makes what writes its name down when it is flushed, and then does `more`. */
function notes(): { readonly done: string[]; readonly named: (name: string, more?: () => void) => Flushable } {
  const done: string[] = [];
  const named = (name: string, more?: () => void): Flushable => ({
    queued: false,
    flush: () => {
      done.push(name);
      more?.();
    },
  });
  return { done, named };
}

async function endOfTurn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test('each is flushed once at the end of the turn, in order', async () => {
  const turn = new Turn();
  const { done, named } = notes();
  const a = named('a');
  for (const one of [a, named('b'), a]) turn.add(one);
  expect(done).toEqual([]);
  await endOfTurn();
  expect(done).toEqual(['a', 'b']);
  turn.add(a);
  await endOfTurn();
  expect(done).toEqual(['a', 'b', 'a']);
});

test('what is added by a flush waits for the next turn', async () => {
  const turn = new Turn();
  const { done, named } = notes();
  const again = named('again', () => {
    if (done.length < 3) turn.add(again);
  });
  turn.add(again);
  await endOfTurn();
  expect(done).toHaveLength(1);
  await endOfTurn();
  expect(done).toHaveLength(2);
});

test('as many as it takes do not wait', async () => {
  const turn = new Turn(3);
  const { done, named } = notes();
  for (const name of ['a', 'b']) turn.add(named(name));
  expect(done).toEqual([]);
  turn.add(named('c'));
  expect(done).toEqual(['a', 'b', 'c']);
  turn.add(named('d'));
  await endOfTurn();
  expect(done).toEqual(['a', 'b', 'c', 'd']);
  for (const name of ['e', 'f', 'g']) turn.add(named(name));
  expect(done.slice(4)).toEqual(['e', 'f', 'g']);
});
