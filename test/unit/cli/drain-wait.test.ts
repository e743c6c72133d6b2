/** Following a drain: until there is no work left, over lost questions, and not for ever. */
import { beforeEach, expect, test } from 'vitest';
import { followDrain, type Progress } from '../../../src/cli/drain-wait.ts';

const BUSY: Progress = { sessions: 3, inFlight: 2, upgraded: 1, done: false, replicas: { asked: 2, answered: 2 } };
const DONE: Progress = { sessions: 0, inFlight: 0, upgraded: 0, done: true, replicas: { asked: 2, answered: 2 } };
const LOST = new Error('connect ECONNREFUSED');

let out: string;
let err: string;
let stop: AbortController;
/** What is answered one after another; an Error is a lost question. */
let script: (Progress | Error)[];
let pauses: number;

beforeEach(() => {
  out = '';
  err = '';
  stop = new AbortController();
  pauses = 0;
});

async function follow(
  answers: (Progress | Error)[],
  pause: () => Promise<void> = async () => undefined,
): Promise<number> {
  script = [...answers];
  return await followDrain({
    ask: async () => {
      const next = script.shift();
      if (next === undefined) throw new Error('asked too often');
      if (next instanceof Error) throw next;
      return next;
    },
    pause: async () => {
      pauses++;
      await pause();
    },
    stopped: stop.signal,
    io: { out: (text) => (out += text), err: (text) => (err += text) },
  });
}

test('ends with 0 when there is no work twice in a row, and tells each change once', async () => {
  expect(await follow([BUSY, BUSY, DONE, BUSY, DONE, DONE])).toBe(0);
  const busy = '3 sessions, 2 requests in flight, 1 upgraded connections\n';
  const done = '0 sessions, 0 requests in flight, 0 upgraded connections: no work left\n';
  expect(out).toBe(busy + done + busy + done);
  expect(pauses).toBe(5);
});

test('nine lost questions in a row are told on stderr and survived, any number of times', async () => {
  const lost = Array.from({ length: 9 }, () => LOST);
  expect(await follow([BUSY, ...lost, BUSY, ...lost, DONE, DONE])).toBe(0);
  expect(err.split('\n').filter((line) => line.includes('ECONNREFUSED'))).toHaveLength(18);
  expect(err).toContain('holdfast: no answer (9 of 10): connect ECONNREFUSED\n');
});

test('a lost question between two answers without work makes them no pair', async () => {
  expect(await follow([DONE, LOST, DONE, DONE])).toBe(0);
  expect(script).toEqual([]);
});

test('ten in a row end it with 1: nobody knows whether there is work', async () => {
  expect(await follow(Array.from({ length: 10 }, () => LOST))).toBe(1);
  expect(err).toContain('it is not known whether the pod still has work');
});

test('a pause that is cut short by a signal ends it', async () => {
  const cut = async (): Promise<void> => {
    stop.abort();
    throw new Error('aborted');
  };
  expect(await follow([BUSY], cut)).toBe(1);
  expect(err).toBe('');
});
