/** When the session store is asked, how long for, and when it is left alone. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { StoreClient } from '../../../src/session-store/client.ts';
import { ANSWER_MS, SessionStore } from '../../../src/session-store/store.ts';

/** A server that answers, refuses or hangs, as it is told. */
class Server {
  mood: 'answers' | 'refuses' | 'hangs' = 'answers';
  reachable = true;
  opened = 0;
  closed = 0;
  asked = 0;
  readonly open = async (): Promise<StoreClient> => {
    if (!this.reachable) throw new Error('connect ECONNREFUSED');
    this.opened++;
    const answer = async <T>(value: T): Promise<T> => {
      this.asked++;
      if (this.mood === 'refuses') throw new Error('LOADING');
      return this.mood === 'hangs' ? await new Promise<T>(() => undefined) : value;
    };
    return {
      find: () => answer('found'),
      claim: () => answer('claimed'),
      put: () => answer(undefined),
      remove: () => answer(undefined),
      remember: () => answer(undefined),
      recall: () => answer([]),
      close: () => this.closed++,
    };
  };
}

let server: Server;
let turns: string[];
let asked: { seconds: number; failed: boolean }[];
let store: SessionStore;

beforeEach(() => {
  vi.useFakeTimers();
  server = new Server();
  turns = [];
  asked = [];
  store = new SessionStore({
    open: server.open,
    onAsked: (seconds, failed) => asked.push({ seconds, failed }),
    onTurn: (up, fault) => turns.push(up ? 'up' : fault),
  });
});
afterEach(() => {
  store.stop();
  vi.useRealTimers();
});

test('it is asked once it is there', async () => {
  expect(await store.find('a')).toBeUndefined();
  await store.start();
  expect(store.up).toBe(true);
  expect(await store.find('a')).toBe('found');
  expect(await store.claim('a', 'b', 1, '')).toBe('claimed');
  expect(await store.put('a', 'b', 1)).toBe(true);
  expect(turns).toEqual(['up']);
  expect(asked).toHaveLength(4);
  expect(asked.some(({ failed }) => failed)).toBe(false);
});

test('a question takes 50 ms and no more', async () => {
  await store.start();
  server.mood = 'hangs';
  let answered = false;
  const answer = store.find('a').finally(() => (answered = true));
  await vi.advanceTimersByTimeAsync(ANSWER_MS - 1);
  expect(answered).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(await answer).toBeUndefined();
  expect(asked.at(-1)).toMatchObject({ failed: true });
});

test('five failures in a row, and it is not asked until a probe has succeeded', async () => {
  await store.start();
  server.mood = 'refuses';
  for (let i = 0; i < 4; i++) await store.find('a');
  server.mood = 'answers';
  await store.find('a');
  server.mood = 'refuses';
  for (let i = 0; i < 4; i++) await store.find('a');
  expect(store.up).toBe(true);
  await store.find('a');
  expect(store.up).toBe(false);
  await vi.advanceTimersByTimeAsync(0);
  const before = server.asked;
  for (let i = 0; i < 10; i++) expect(await store.find('a')).toBeUndefined();
  expect(server.asked).toBe(before);
  await vi.advanceTimersByTimeAsync(3000);
  expect(server.asked).toBe(before + 3);
  server.mood = 'answers';
  await vi.advanceTimersByTimeAsync(1000);
  expect(store.up).toBe(true);
  expect(await store.find('a')).toBe('found');
  expect(turns).toEqual(['up', 'LOADING', 'up']);
  // Each probe that failed took its connection along.
  expect(server.opened - server.closed).toBe(1);
});

test('answers that come after it was given up change nothing', async () => {
  await store.start();
  server.mood = 'hangs';
  const late = Array.from({ length: 12 }, () => store.find('a'));
  await vi.advanceTimersByTimeAsync(ANSWER_MS);
  await Promise.all(late);
  expect(store.up).toBe(false);
  server.mood = 'answers';
  await vi.advanceTimersByTimeAsync(ANSWER_MS + 1000);
  expect(store.up).toBe(true);
  expect(turns).toEqual(['up', `no answer within ${ANSWER_MS} ms`, 'up']);
});

test('nobody there: the start goes on, and it is tried once a second until the end', async () => {
  server.reachable = false;
  await store.start();
  expect(store.up).toBe(false);
  expect(turns).toEqual(['connect ECONNREFUSED']);
  expect(asked).toHaveLength(1);
  server.reachable = true;
  await vi.advanceTimersByTimeAsync(1000);
  expect(store.up).toBe(true);
  store.stop();
  expect(store.up).toBe(false);
  expect(server.closed).toBe(1);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(server.opened).toBe(1);
});
