/** The session table: look-ups, counts, eviction, moves counted once, dead writers, and all workers writing the same keys. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { ABSENT, AUTHORITATIVE, OBSERVED } from '../../../src/model/live.ts';
import { Block, createChunk } from '../../../src/shared/cells.ts';
import { SESSION } from '../../../src/shared/layout.ts';
import { createSessionMemory, MAIN_THREAD, refOf } from '../../../src/shared/session-entries.ts';
import { SessionSweep } from '../../../src/shared/session-sweep.ts';
import { CHANGED, DROPPED, INSERTED, LOST, SAME, SessionTable } from '../../../src/shared/session-table.ts';
import { eventually } from '../../support/eventually.ts';
import { seeded } from '../affinity/fixtures.ts';

const START = Date.UTC(2030, 0, 1);
const MINUTE = 60_000;
const NONE: ReadonlySet<number> = new Set();

function setUp(entries = 4096) {
  const counts = new Block('session', 2);
  const chunk = createChunk('session', 0, 2);
  counts.attach(chunk);
  const memory = createSessionMemory(entries, START);
  const table = new SessionTable(memory, MAIN_THREAD, counts);
  const sweeper = new SessionSweep(memory, counts);
  const view = { ref: 0, lastSeen: 0, firstSeen: 0 };
  return {
    memory,
    chunk,
    counts,
    table,
    sweeper,
    view,
    use: (id: number, ref: number, now = START, back = false, scope = 1) =>
      table.touch(OBSERVED, word(id, 1), word(id, 2), scope, ref, now, MINUTE, back),
    find: (id: number, now = START) => table.find(OBSERVED, word(id, 1), word(id, 2), now, view),
    live: (slot: number) => counts.sum(slot, SESSION.live),
    active: (slot: number) => counts.sum(slot, SESSION.active),
  };
}

/** Stands for a fingerprint's word. */
function word(id: number, which: number): number {
  const random = seeded(id * 2 + which * 0x1000001);
  random();
  return random() | 0;
}

describe('a session', () => {
  test('is found where it was last used, and only in its region', () => {
    const { table, use, find, view } = setUp();
    expect(find(1)).toBe(false);
    expect(use(1, 7)).toBe(INSERTED);
    expect(find(1)).toBe(true);
    expect(view.ref).toBe(7);
    expect(table.find(AUTHORITATIVE, word(1, 1), word(1, 2), START, view)).toBe(false);
    expect(find(2)).toBe(false);
  });

  test('lives for its time after the last use, whether that began or ended a request', () => {
    const { table, use, find, view } = setUp();
    use(1, 7);
    expect(find(1, START + MINUTE - 1)).toBe(true);
    expect(find(1, START + MINUTE)).toBe(false);
    table.seen(OBSERVED, word(1, 1), word(1, 2), START + MINUTE / 2, MINUTE);
    expect(find(1, START + MINUTE)).toBe(true);
    expect(view.lastSeen).toBeGreaterThanOrEqual(START + MINUTE / 2);
    expect(view.lastSeen).toBeLessThanOrEqual(START + MINUTE / 2 + 100);
    expect(find(1, START + MINUTE * 1.5)).toBe(false);
    expect(use(1, 7, START + MINUTE * 2)).toBe(INSERTED);
  });

  test('counts as live at once and as active when it comes back', () => {
    const { use, live, active } = setUp();
    use(1, 7);
    expect([live(7), active(7)]).toEqual([1, 0]);
    expect(use(1, 7, START, true)).toBe(SAME);
    expect(use(1, 7, START + 500, true)).toBe(SAME);
    expect([live(7), active(7)]).toEqual([1, 1]);
  });

  test('moves with its counts; of all who say so, one is told', () => {
    const { table, use, live, active } = setUp();
    use(1, 7, START, true);
    expect(use(1, 8, START, true)).toBe(CHANGED);
    expect(table.previous).toBe(7);
    expect(use(1, 8, START, true)).toBe(SAME);
    expect([live(7), active(7), live(8), active(8)]).toEqual([0, 0, 1, 1]);
  });

  test('a late end of a request does not take it back', () => {
    const { table, use, find, view } = setUp();
    use(1, 7);
    use(1, 8);
    table.seen(OBSERVED, word(1, 1), word(1, 2), START + 1000, MINUTE);
    find(1, START + 1000);
    expect(view.ref).toBe(8);
  });
});

describe('a key that the table alone knows', () => {
  function setUpKeys() {
    const one = setUp();
    const words = (id: number) => [word(id, 1), word(id, 2)] as const;
    const at = (id: number, now = START) =>
      one.table.find(AUTHORITATIVE, ...words(id), now, one.view) ? one.view.ref : ABSENT;
    const bind = (id: number, expected: number, ref: number, now = START, born = 0) =>
      one.table.bind(...words(id), 1, expected, ref, now, MINUTE, expected !== ABSENT, born);
    return { ...one, words, at, bind };
  }

  test('goes to who binds it first; who binds it elsewhere has lost and is told nothing else', () => {
    const { bind, at, live, active } = setUpKeys();
    expect(bind(1, ABSENT, 7)).toBe(INSERTED);
    expect(bind(1, ABSENT, 8)).toBe(LOST);
    expect(bind(1, ABSENT, 7)).toBe(SAME);
    expect(at(1)).toBe(7);
    expect([live(7), active(7), live(8)]).toEqual([1, 0, 0]);
  });

  test('moves from where the mover saw it, and from nowhere else', () => {
    const { bind, at, table, live, active } = setUpKeys();
    bind(1, ABSENT, 7);
    expect(bind(1, 7, 8)).toBe(CHANGED);
    expect(table.previous).toBe(7);
    expect(bind(1, 7, 9)).toBe(LOST);
    expect(bind(1, 7, 8)).toBe(SAME);
    expect(at(1)).toBe(8);
    expect([live(7), live(8), active(8), live(9)]).toEqual([0, 1, 1, 0]);
  });

  test('is new again when its time is up, or when it began too long ago', () => {
    const { bind, at, sweeper, view, live } = setUpKeys();
    bind(1, ABSENT, 7);
    expect(bind(1, 7, 8, START + MINUTE)).toBe(INSERTED);
    at(1, START + MINUTE);
    const { firstSeen } = view;
    expect(firstSeen).toBeGreaterThanOrEqual(START + MINUTE);
    expect(bind(1, ABSENT, 9, START + MINUTE + 5000, firstSeen + 1)).toBe(INSERTED);
    expect(at(1, START + MINUTE + 5000)).toBe(9);
    // Another one that saw the old entry comes too late.
    expect(bind(1, ABSENT, 8, START + MINUTE + 5000, firstSeen + 1)).toBe(LOST);
    expect([live(7), live(8), live(9), sweeper.figures().entries]).toEqual([0, 0, 1, 1]);
  });

  test('is where the last answer says, and over when one says so', () => {
    const { table, sweeper, words, at, bind, live } = setUpKeys();
    const learn = (ref: number) => table.learn(...words(1), 1, ref, START, MINUTE, 0);
    expect([learn(7), learn(7), learn(8)]).toEqual([INSERTED, SAME, CHANGED]);
    expect(at(1)).toBe(8);
    table.end(AUTHORITATIVE, ...words(1));
    table.end(AUTHORITATIVE, ...words(2));
    expect([at(1), live(7), live(8), sweeper.figures().entries]).toEqual([ABSENT, 0, 0, 0]);
    expect(bind(1, ABSENT, 9)).toBe(INSERTED);
  });

  test('L3 is extended only at its end, and by as much as is said', () => {
    const { table, words, at, bind } = setUpKeys();
    bind(1, ABSENT, 7);
    table.extend(...words(1), START + MINUTE / 2, 1000, 2 * MINUTE);
    expect(at(1, START + MINUTE)).toBe(ABSENT);
    for (let i = 0; i < 3; i++) table.extend(...words(1), START + MINUTE - 500, 1000, 2 * MINUTE);
    expect(at(1, START + 3 * MINUTE - 1)).toBe(7);
    expect(at(1, START + 3 * MINUTE)).toBe(ABSENT);
    table.extend(...words(1), START + 3 * MINUTE, 1000, 2 * MINUTE);
    expect(at(1, START + 3 * MINUTE)).toBe(ABSENT);
  });

  test("stays without an endpoint when its endpoint's slot is freed; whoever saw that moves it", () => {
    const { sweeper, bind, at, live, active, view } = setUpKeys();
    bind(1, ABSENT, refOf(7, 0));
    bind(1, 7, refOf(7, 0), START + 500);
    expect([live(7), active(7)]).toEqual([1, 1]);
    sweeper.sweep(START, new Set([7]));
    expect([live(7), active(7), sweeper.figures().entries]).toEqual([0, 0, 1]);
    const gone = at(1);
    expect(gone).not.toBe(ABSENT);
    expect(gone).not.toBe(refOf(7, 0));
    expect(view.firstSeen).toBeLessThanOrEqual(START + 100);
    expect(bind(1, gone, refOf(7, 1))).toBe(CHANGED);
    expect(bind(1, gone, refOf(8, 0))).toBe(LOST);
    expect([live(7), active(7)]).toEqual([1, 1]);
    sweeper.sweep(START, NONE);
    sweeper.sweep(START, NONE);
    expect([live(7), sweeper.figures().entries]).toEqual([1, 1]);
    sweeper.sweep(START, new Set([7]));
    sweeper.sweep(START + 2 * MINUTE, NONE);
    expect(sweeper.figures().entries).toBe(0);
  });
});

describe('a key that replicas share', () => {
  const SECOND = 1000;
  const shared = () => {
    const { table, view } = setUp();
    const bind = (expected: number, ref: number, now: number) =>
      table.bind(word(1, 1), word(1, 2), 1, expected, ref, now, MINUTE, true, 0);
    return {
      bind,
      take: (now: number) => table.takeCheck(word(1, 1), word(1, 2), now, 5 * SECOND),
      note: (now: number) => table.noteCheck(word(1, 1), word(1, 2), now),
      adopt: (expected: number, ref: number, now: number, began: number) =>
        table.adopt(word(1, 1), word(1, 2), 1, expected, ref, now, MINUTE, 0, began),
      look: (now: number) => table.find(AUTHORITATIVE, word(1, 1), word(1, 2), now, view) && { ...view },
    };
  };

  test('is compared with the store at once when the store has not heard of it, then every five seconds of use', () => {
    const { bind, take } = shared();
    expect(take(START)).toBe(-1);
    bind(ABSENT, 7, START);
    expect(take(START)).toBe(Infinity);
    const asked: number[] = [];
    for (let now = START; now < START + 100 * SECOND; now += 700) {
      const age = take(now);
      if (age >= 0) asked.push(age);
      bind(7, 7, now);
    }
    expect(asked.length).toBeGreaterThanOrEqual(16);
    for (const age of asked) expect(age).toBeGreaterThanOrEqual(5 * SECOND);
    for (const age of asked) expect(age).toBeLessThan(6.2 * SECOND);
  });

  test('of all who ask, one is told', () => {
    const { bind, take } = shared();
    bind(ABSENT, 7, START);
    expect([take(START), take(START), take(START)]).toEqual([Infinity, -1, -1]);
  });

  test('that was idle for however long is compared at its next use', () => {
    const { bind, take, note } = shared();
    for (let idle = 6 * SECOND; idle < 59 * SECOND; idle += 900) {
      const now = START + 100 * idle;
      bind(ABSENT, 7, now);
      bind(7, 7, now);
      note(now);
      expect(take(now + 4 * SECOND), `${idle}`).toBe(-1);
      expect(take(now + idle), `${idle}`).toBeGreaterThanOrEqual(idle - 200);
    }
  });

  test('goes where another replica has it, with its beginning, unless it has gone elsewhere meanwhile', () => {
    const { bind, adopt, take, look } = shared();
    bind(ABSENT, 7, START);
    expect(adopt(6, 8, START + SECOND, START)).toBe(LOST);
    expect(adopt(7, 8, START + SECOND, START - 10 * MINUTE)).toBe(CHANGED);
    expect(look(START + SECOND)).toMatchObject({ ref: 8, firstSeen: START - 10 * MINUTE });
    expect(take(START + 2 * SECOND)).toBe(-1);
    expect(bind(8, 9, START + SECOND)).toBe(CHANGED);
    expect(look(START + SECOND)).toMatchObject({ ref: 9, firstSeen: START - 10 * MINUTE });
  });

  test('that the store could not be told of is compared at the next use', () => {
    const { bind, note, take } = shared();
    bind(ABSENT, 7, START);
    note(START);
    expect(take(START + SECOND)).toBe(-1);
    note(0);
    expect(take(START + SECOND)).toBe(Infinity);
  });
});

describe('the sweep', () => {
  test('drops what is over and takes it out of the counts', () => {
    const { sweeper, use, live, active } = setUp();
    for (let id = 0; id < 100; id++) use(id, 7, START + (id < 40 ? 0 : MINUTE), true);
    sweeper.sweep(START + MINUTE, NONE);
    expect([live(7), active(7), sweeper.figures().entries]).toEqual([60, 60, 60]);
    expect(sweeper.figures().evictions).toBe(0);
  });

  test("drops the sessions of endpoints whose slot is to be reused; the next generation's ref is another", () => {
    const { sweeper, use, find, live } = setUp();
    use(1, refOf(7, 0));
    use(2, refOf(8, 0));
    sweeper.sweep(START, new Set([7]));
    expect([find(1), find(2), live(7)]).toEqual([false, true, 0]);
    expect(refOf(7, 1)).not.toBe(refOf(7, 0));
  });

  test('puts right a count that a dead worker left wrong', () => {
    const { sweeper, counts, use, live, active } = setUp();
    use(1, 7, START, true);
    counts.cells(7)[counts.at(7, 0) + SESSION.live]! += 3;
    counts.cells(9)[counts.at(9, 0) + SESSION.active]! += 1;
    sweeper.sweep(START, NONE);
    sweeper.sweep(START, NONE);
    expect([live(7), active(7), active(9)]).toEqual([1, 1, 0]);
  });

  test('leaves a count alone that a worker is just about to make', () => {
    const { sweeper, counts, use, live } = setUp();
    const cells = counts.cells(7);
    const at = counts.at(7, 0) + SESSION.live;
    for (let id = 0; id < 3; id++) {
      use(id, 7);
      // As if the entry were written and not counted yet when the sweep comes by.
      cells[at]! -= 1;
      sweeper.sweep(START, NONE);
      cells[at]! += 1;
      expect(live(7)).toBe(id + 1);
      sweeper.sweep(START, NONE);
      expect(live(7)).toBe(id + 1);
    }
  });
});

describe('a full table', () => {
  test('sessions that came back outlive any number of clients that never do', () => {
    const { sweeper, use, find } = setUp(2048);
    const real = Array.from({ length: 150 }, (_, id) => id);
    for (const id of real) use(id, 7, START, true);
    for (let id = 1000; id < 30_000; id++) use(id, 8, START + 1000, false, 2 + (id % 5));
    expect(real.filter((id) => !find(id, START + 1000))).toEqual([]);
    expect(sweeper.figures().evictions).toBeGreaterThan(20_000);
  });

  test('one scope gets half a region at most, and replaces its own oldest', () => {
    const { table, sweeper, use, find } = setUp(4096);
    for (let id = 0; id < 20_000; id++) use(id, 7, START + id, true, 1);
    expect(sweeper.figures().entries).toBeLessThanOrEqual(table.regionCapacity / 2);
    expect(sweeper.figures().entries).toBeGreaterThan(table.regionCapacity * 0.4);
    expect(find(19_999, START + 20_000)).toBe(true);
    // There is room for others.
    expect([1, 2, 3].map((id) => use(100_000 + id, 9, START + 20_000, false, 2))).not.toContain(DROPPED);
  });
});

describe('a writer that dies', () => {
  test('what it held is given back, and what it was writing is empty', () => {
    const { memory, sweeper, use, find } = setUp();
    use(1, 7);
    // As a worker leaves it that ends in the middle of a write: lock and sequence of every bucket.
    const words = new Int32Array(memory.buffer);
    const at = words.findIndex((value, i) => value === word(1, 1) && words[i + 1] === word(1, 2)) - 1;
    const bucket = Array.from({ length: 8 }, (_, back) => at - 8 * back).find(isBucket) ?? at;
    words[at]! += 1;
    for (let i = 0; i < 8; i++) words[at - 8 * i] = (words[at - 8 * i] ?? 0) & 0x3fffff;
    words[bucket] = (words[bucket] ?? 0) | (5 << 22);
    expect(find(1)).toBe(false);
    sweeper.clearDead(5);
    expect(find(1)).toBe(false);
    expect(use(1, 7)).toBe(INSERTED);
    expect(find(1)).toBe(true);
  });

  test('all workers write the same keys, one is killed while it writes, and the table stays whole', async () => {
    const { memory, sweeper, chunk, table, counts, view } = setUp(8192);
    const keys = 300;
    const workers = [1, 2, 3].map(
      (owner) =>
        new Worker(new URL('session-writer.ts', import.meta.url), { workerData: { memory, chunk, owner, keys } }),
    );
    const writes = new Map<number, number>();
    const torn: unknown[] = [];
    const winners = new Map<number, Set<number>>();
    const insertions: number[] = [];
    for (const [i, worker] of workers.entries()) {
      worker.on('message', ({ written, races }: { written: number; races: [number, number, boolean][] }) => {
        writes.set(i, written);
        for (const [key, winner, won] of races) {
          winners.set(key, (winners.get(key) ?? new Set()).add(winner));
          if (won) insertions.push(key);
        }
      });
      worker.on('error', (error) => torn.push(error));
    }
    await eventually(() => writes.size === 3 && [...writes.values()].every((count) => count > 20_000));
    await workers[0]?.terminate();
    sweeper.clearDead(1);
    const before = [writes.get(1) ?? 0, writes.get(2) ?? 0];
    await eventually(() => (writes.get(1) ?? 0) > before[0]! + 20_000 && (writes.get(2) ?? 0) > before[1]! + 20_000);
    for (const worker of workers.slice(1)) {
      const gone = once(worker, 'exit');
      worker.postMessage('stop');
      await gone;
    }
    // A writer throws when it sees an entry that nobody wrote.
    expect(torn).toEqual([]);
    // Whoever wanted a new key at once with others went where the one who got it first did.
    expect([...winners].filter(([, endpoints]) => endpoints.size !== 1)).toEqual([]);
    expect(winners.size).toBeGreaterThan(10);
    expect(new Set(insertions).size).toBe(insertions.length);
    // The keys that they raced for are over by then.
    const now = START + 30_000;
    sweeper.sweep(now, NONE);
    sweeper.sweep(now, NONE);
    let found = 0;
    for (let key = 0; key < keys; key++) {
      if (!table.find(OBSERVED, key * 7 + 1, key * 7 + 2, now, view)) continue;
      found++;
      expect(view.ref % keys).toBe(key % keys);
    }
    // Only what the dead one was writing may be missing.
    expect(found).toBeGreaterThanOrEqual(keys - 2);
    expect(sweeper.figures().entries).toBe(found);
    const total = Array.from({ length: 2 * keys }, (_, slot) => counts.sum(slot, SESSION.live));
    expect(total.reduce((sum, count) => sum + count, 0)).toBe(found);
    expect(Math.min(...total)).toBe(0);
    // Every lock is free again.
    for (let key = 0; key < keys; key++) {
      expect(table.touch(OBSERVED, key * 7 + 1, key * 7 + 2, 1, key, now + 1000, MINUTE, true)).not.toBe(DROPPED);
    }
  }, 60_000);
});

test('a million entries take no more than 32 MiB', () => {
  expect(createSessionMemory(1_048_576, START).buffer.byteLength).toBeLessThanOrEqual(32 * 1024 * 1024);
});

/** Whether a bucket of 8 entries starts here: known by the table's end. */
function isBucket(start: number): boolean {
  const header = 4 + 2 * 2048;
  return start >= header && (start - header) % 64 === 0;
}

describe('by hand', () => {
  /** Times are rounded up to it, ms. */
  const TICK = 100;

  test('a key that the table alone knows is moved, its times stay, and both endpoints are counted', () => {
    const { table, live, view } = setUp();
    const [high, low] = [word(1, 1), word(1, 2)];
    table.bind(high, low, 1, ABSENT, 7, START, MINUTE, false, 0);
    const later = START + 30_000;
    expect(table.move(high, low, 8, later)).toBe(true);
    expect(table.move(high, low, 8, later)).toBe(false);
    expect([live(7), live(8)]).toEqual([0, 1]);
    expect(table.find(AUTHORITATIVE, high, low, later, view)).toBe(true);
    expect(view).toEqual({ ref: 8, lastSeen: START + TICK, firstSeen: START + TICK });
    // It is over when it would have been.
    expect(table.move(high, low, 7, START + 2 * MINUTE)).toBe(false);
    expect(table.move(word(2, 1), word(2, 2), 7, START)).toBe(false);
  });

  test('all that live are listed, with whose they are and whether they came back', () => {
    const { table, use } = setUp();
    const at = START + 10 * MINUTE;
    use(1, 7, at);
    use(2, refOf(8, 3), at, true, 5);
    use(3, 9, START);
    table.bind(word(4, 1), word(4, 2), 6, ABSENT, 7, at + 1000, MINUTE, false, 0);
    const found = new Map<number, object>();
    table.each(at + 5000, ({ high, ...session }) => void found.set(high, session));
    const seen = { lastSeen: at + TICK, firstSeen: at + TICK };
    expect(found).toEqual(
      new Map([
        [word(1, 1), { region: OBSERVED, low: word(1, 2), ref: 7, scope: 1, active: false, ...seen }],
        [word(2, 1), { region: OBSERVED, low: word(2, 2), ref: refOf(8, 3), scope: 5, active: true, ...seen }],
        [
          word(4, 1),
          {
            region: AUTHORITATIVE,
            low: word(4, 2),
            ref: 7,
            scope: 6,
            active: false,
            lastSeen: at + 1000 + TICK,
            firstSeen: at + 1000 + TICK,
          },
        ],
      ]),
    );
  });
});
