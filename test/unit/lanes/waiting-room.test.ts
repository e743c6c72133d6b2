/** Waiting for an endpoint to come back: how many may, and who is woken. */
import { expect, test } from 'vitest';
import { WaitingRoom } from '../../../src/lanes/waiting-room.ts';
import type { Waiter } from '../../../src/lanes/waiting-room.ts';

function waiter(name: string, woken: string[], then: (self: Waiter) => void = () => undefined): Waiter {
  const self: Waiter = {
    wake: () => {
      woken.push(name);
      then(self);
    },
  };
  return self;
}

test('each endpoint has room for so many, and a place that is left is free', () => {
  const room = new WaitingRoom(2);
  const [a, b, c] = ['a', 'b', 'c'].map((name) => waiter(name, [])) as [Waiter, Waiter, Waiter];
  expect([room.enter('x', a), room.enter('x', b), room.enter('x', c), room.enter('y', c)]).toEqual([
    true,
    true,
    false,
    true,
  ]);
  room.leave('x', a);
  room.leave('x', a);
  expect([room.enter('x', c), room.enter('x', a)]).toEqual([true, false]);
});

test('all are woken once, in the order in which they came, even when they go on waiting', () => {
  const room = new WaitingRoom(2);
  const woken: string[] = [];
  const stays = (self: Waiter) => {
    room.leave('x', self);
    expect(room.enter('x', self)).toBe(true);
  };
  room.enter('x', waiter('a', woken, stays));
  room.enter(
    'y',
    waiter('c', woken, (self) => room.leave('y', self)),
  );
  room.enter('x', waiter('b', woken, stays));
  room.wakeAll();
  expect(woken).toEqual(['a', 'b', 'c']);
  room.wakeAll();
  expect(woken).toEqual(['a', 'b', 'c', 'a', 'b']);
});
