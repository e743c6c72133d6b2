/** Shared cells: sums over rows, folding a dead worker's row, handing slots on. */
import { describe, expect, test } from 'vitest';
import { Block, createChunk } from '../../../src/shared/cells.ts';
import { CHUNK_SLOTS } from '../../../src/shared/layout.ts';
import { SlotTable } from '../../../src/shared/slots.ts';

const WORKERS = 2;

function block(name: 'endpoint' | 'gauge' | 'global'): Block {
  const made = new Block(name, WORKERS);
  made.attach(createChunk(name, 0, WORKERS));
  return made;
}

function add(to: Block, slot: number, row: number, field: number, value: number): void {
  to.cells(slot)[to.at(slot, row) + field]! += value;
}

describe('a block', () => {
  test('sums a field over the rows of all workers and no other cell', () => {
    const cells = block('endpoint');
    add(cells, 3, 0, 1, 5);
    add(cells, 3, 1, 1, 7);
    add(cells, 3, 1, 2, 100);
    add(cells, 4, 0, 1, 1000);
    expect(cells.sum(3, 1)).toBe(12);
  });

  test('sums of all slots are those of each', () => {
    const cells = block('endpoint');
    cells.attach(createChunk('endpoint', 1, WORKERS));
    const slots = [0, 3, CHUNK_SLOTS - 1, CHUNK_SLOTS, 2 * CHUNK_SLOTS - 1];
    for (const [i, slot] of slots.entries()) for (const row of [0, 1, 2]) add(cells, slot, row, 1, 10 ** i + row);
    for (const slot of slots) add(cells, slot, 0, 2, 77);
    const sums = cells.sums(1);
    expect(sums).toHaveLength(2 * CHUNK_SLOTS);
    expect(slots.map((slot) => sums[slot])).toEqual(slots.map((slot) => cells.sum(slot, 1)));
    expect(sums.filter((sum) => sum !== 0)).toHaveLength(slots.length);
  });

  test('fold keeps what a dead worker counted and leaves its row at 0', () => {
    const cells = block('endpoint');
    add(cells, 9, 0, 0, 41);
    add(cells, 9, 1, 0, 1);
    cells.fold(0, []);
    expect(cells.sum(9, 0)).toBe(42);
    expect(cells.cells(9)[cells.at(9, 0)]).toBe(0);
  });

  test('fold drops gauges', () => {
    const gauge = block('gauge');
    add(gauge, 1, 0, 0, 3);
    add(gauge, 1, 1, 0, 4);
    gauge.fold(0, 'all');
    expect(gauge.sum(1, 0)).toBe(4);
    const global = block('global');
    add(global, 0, 0, 0, 3);
    add(global, 0, 0, 1, 3);
    global.fold(0, [0]);
    expect([global.sum(0, 0), global.sum(0, 1)]).toEqual([0, 3]);
  });

  test('a slot whose chunk has not arrived is a bug, not a 0', () => {
    expect(() => block('endpoint').cells(CHUNK_SLOTS)).toThrow(/has no chunk/);
  });
});

describe('slots', () => {
  const KEEP = 300_000;
  const idle = () => false;

  function table(): { slots: SlotTable; cells: Block } {
    const cells = new Block('endpoint', WORKERS);
    return { slots: new SlotTable([cells], WORKERS, KEEP), cells };
  }

  test('a key keeps its slot, and comes back to its counters while they are kept', () => {
    const { slots, cells } = table();
    const slot = slots.acquire('a');
    add(cells, slot, 0, 0, 5);
    slots.retire('a', 1000, 7);
    slots.sweep(1000 + KEEP - 1, 7, idle);
    expect(slots.acquire('a')).toBe(slot);
    slots.sweep(1000 + 2 * KEEP, 7, idle);
    expect(slots.acquire('a')).toBe(slot);
    expect(cells.sum(slot, 0)).toBe(5);
  });

  test('another holder of the same key is another generation, and the same one never is', () => {
    const { slots } = table();
    const generationOf = (holder: string) => slots.generation(slots.acquire('web-0', holder));
    const first = generationOf('uid-1');
    expect([generationOf('uid-1'), generationOf('uid-1')]).toEqual([first, first]);
    const second = generationOf('uid-2');
    expect(second).not.toBe(first);
    expect(generationOf('uid-2')).toBe(second);
  });

  test('a slot is handed on only after every worker has the table without it and nothing is in flight; it then reads 0', () => {
    const { slots, cells } = table();
    const slot = slots.acquire('a');
    add(cells, slot, 1, 0, 5);
    slots.retire('a', 1000, 7);
    slots.sweep(1000 + KEEP, 6, idle);
    expect(slots.acquire('b')).not.toBe(slot);
    slots.sweep(1000 + KEEP, 7, (busy) => busy === slot);
    expect(slots.acquire('c')).not.toBe(slot);
    slots.sweep(1000 + KEEP, 7, idle);
    expect(slots.acquire('d')).toBe(slot);
    expect(cells.sum(slot, 0)).toBe(0);
    add(cells, slot, 1, 0, 2);
    expect(cells.sum(slot, 0)).toBe(2);
  });

  test('a new chunk is announced once, and all of them to a worker that starts', () => {
    const { slots } = table();
    for (let i = 0; i <= CHUNK_SLOTS; i++) slots.acquire(`key-${i}`);
    expect(slots.takeNewChunks().map(({ index }) => index)).toEqual([0, 1]);
    expect(slots.takeNewChunks()).toEqual([]);
    expect(slots.allChunks()).toHaveLength(2);
  });
});
