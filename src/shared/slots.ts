/** Gives every counted thing a slot in its block (main thread only), and takes it back a while after the thing is gone. */
import { createChunk } from './cells.ts';
import type { Block, ChunkData } from './cells.ts';
import { CHUNK_SHIFT } from './layout.ts';

interface Retired {
  /** Wall clock ms when the key was last retired. */
  readonly at: number;
  /** Table version without the key. */
  readonly version: number;
}

/**
 * Slots of one kind of thing, which may have cells in several blocks (an endpoint: counters, gauges, marks).
 * A slot of a vanished key is kept for `keep` ms, so that its series can still be scraped, and given to another key
 * only after every worker has acknowledged a table without it and nothing is in flight on it.
 */
export class SlotTable {
  readonly #blocks: readonly Block[];
  readonly #workers: number;
  readonly #keep: number;
  /** Those of vanished things included. */
  readonly #slots = new Map<string, number>();
  /** Keys of vanished things. */
  readonly #retired = new Map<string, Retired>();
  readonly #free: number[] = [];
  /** By slot: how often it has been freed or given to another holder. */
  readonly #generations: number[] = [];
  /** By slot. */
  readonly #holders: string[] = [];
  #next = 0;
  #newChunks: ChunkData[] = [];
  readonly #allChunks: ChunkData[] = [];

  constructor(blocks: readonly Block[], workers: number, keep: number) {
    this.#blocks = blocks;
    this.#workers = workers;
    this.#keep = keep;
  }

  /**
   * The slot of `key`, made on first use. A key that comes back before its slot was taken goes on with its counters; with
   * another `holder` (a pod's UID) it is the next generation, and inherits no sessions.
   */
  acquire(key: string, holder = ''): number {
    this.#retired.delete(key);
    const known = this.#slots.get(key);
    const slot = known ?? this.#free.pop() ?? this.#grow();
    if (known === undefined) this.#slots.set(key, slot);
    else if (this.#holders[slot] !== holder) this.#generations[slot] = this.generation(slot) + 1;
    this.#holders[slot] = holder;
    return slot;
  }

  /** undefined = the key holds none. */
  find(key: string): number | undefined {
    return this.#slots.get(key);
  }

  /** Keys that hold a slot, those of vanished things included. */
  get size(): number {
    return this.#slots.size;
  }

  retire(key: string, now: number, version: number): void {
    if (this.#slots.has(key) && !this.#retired.has(key)) this.#retired.set(key, { at: now, version });
  }

  /** How many holders the slot has had before this one. */
  generation(slot: number): number {
    return this.#generations[slot] ?? 0;
  }

  /** Slots that the next sweep at this time will free unless they are busy. */
  leaving(now: number, acknowledged: number): Set<number> {
    const slots = new Set<number>();
    for (const [key, retired] of this.#retired) {
      const slot = this.#slots.get(key);
      if (slot !== undefined && this.#isOver(retired, now, acknowledged)) slots.add(slot);
    }
    return slots;
  }

  /** Frees slots retired long enough ago. `busy` says that a slot still has something in flight. */
  sweep(now: number, acknowledged: number, busy: (slot: number) => boolean): void {
    for (const [key, retired] of this.#retired) {
      const slot = this.#slots.get(key);
      if (slot === undefined || !this.#isOver(retired, now, acknowledged) || busy(slot)) continue;
      this.#slots.delete(key);
      this.#retired.delete(key);
      for (const block of this.#blocks) block.reset(slot);
      this.#generations[slot] = this.generation(slot) + 1;
      this.#free.push(slot);
    }
  }

  #isOver({ at, version }: Retired, now: number, acknowledged: number): boolean {
    return now - at >= this.#keep && version <= acknowledged;
  }

  /** Keys with their slots, those of vanished things included while they are kept. */
  entries(): Iterable<[key: string, slot: number]> {
    return this.#slots;
  }

  /** Chunks made since the last call; they travel with the first table that needs them. */
  takeNewChunks(): ChunkData[] {
    const chunks = this.#newChunks;
    this.#newChunks = [];
    return chunks;
  }

  allChunks(): readonly ChunkData[] {
    return this.#allChunks;
  }

  #grow(): number {
    const slot = this.#next++;
    const index = slot >> CHUNK_SHIFT;
    for (const block of this.#blocks) {
      if (block.chunks[index] !== undefined) continue;
      const chunk = createChunk(block.name, index, this.#workers);
      block.attach(chunk);
      this.#newChunks.push(chunk);
      this.#allChunks.push(chunk);
    }
    return slot;
  }
}
