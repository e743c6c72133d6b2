import { expect, test } from 'vitest';
import { OneATurn } from '../../../src/io/one-a-turn.ts';

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test('the first piece is done at once, each other one in a turn of its own, in order', async () => {
  const turns = new OneATurn();
  const done: string[] = [];
  for (const name of ['a', 'b', 'c']) turns.add(() => done.push(name));
  expect(done).toEqual(['a']);
  await turn();
  expect(done).toEqual(['a', 'b']);
  turns.add(() => done.push('d'));
  await turn();
  await turn();
  expect(done).toEqual(['a', 'b', 'c', 'd']);
});

test('after a turn without work the next piece is done at once', async () => {
  const turns = new OneATurn();
  const done: string[] = [];
  turns.add(() => done.push('a'));
  await turn();
  await turn();
  turns.add(() => done.push('b'));
  expect(done).toEqual(['a', 'b']);
});

test('work that fails does not keep the others from their turns', async () => {
  const turns = new OneATurn();
  const done: string[] = [];
  expect(() =>
    turns.add(() => {
      throw new Error('no');
    }),
  ).toThrow('no');
  turns.add(() => done.push('b'));
  await turn();
  expect(done).toEqual(['b']);
});
