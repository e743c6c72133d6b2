/** When a worker asks a connection to come again, and which. */
import { expect, test } from 'vitest';
import { Counters } from '../../../src/lanes/counters.ts';
import { Counted } from '../../../src/shared/counted.ts';
import { GLOBAL, LIMITS } from '../../../src/shared/layout.ts';
import { shedIfOverloaded } from '../../../src/worker/shedder.ts';

function connection(requests: number, can = true) {
  return {
    requests,
    sheds: 0,
    shed() {
      if (can) this.sheds++;
      return can;
    },
  };
}

test.each([
  ['far above the mean', 200, 20, 1],
  ['a little busier than the other', 200, 100, 0],
  ['above the mean but with little to do', 20, 0, 0],
])('%s', (_name, own, other, expected) => {
  const { blocks } = new Counted(2);
  const mine = new Counters(blocks, 0);
  for (let i = 0; i < own; i++) mine.exchange(1);
  const theirs = new Counters(blocks, 1);
  for (let i = 0; i < other; i++) theirs.exchange(1);
  const connections = [connection(5), connection(90), connection(100, false), connection(7)];
  shedIfOverloaded(mine, 2, connections);
  expect(connections.map(({ sheds }) => sheds)).toEqual([0, expected, 0, 0]);
  expect(blocks.global.sum(0, GLOBAL.limits + LIMITS.indexOf('worker_shed'))).toBe(expected);
});
