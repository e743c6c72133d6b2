/** Gives every counted thing a slot in its block (main thread only), and takes it back a while after the thing is gone. */
import { createChunk } from './cells.ts';
import type { Block, ChunkData } from './cells.ts';
import { CHUNK_SHIFT } from './layout.ts';

interface Held {
  readonly slot: number;
  /** Wall clock ms when the key was last retired; 0 = in use. */
  retiredAt: number;
  /** Table version without the key. */
  retiredIn: number;
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
  readonly #held = new Map<string, Held>();
  readonly #free: number[] = [];
  /** By slot: how often it has been freed. */
  readonly #generations: number[] = [];
  #next = 0;
  #newChunks: ChunkData[] = [];
  readonly #allChunks: ChunkData[] = [];

  constructor(blocks: readonly Block[], workers: number, keep: number) {
    this.#blocks = blocks;
    this.#workers = workers;
    this.#keep = keep;
  }

  /** The slot of `key`, made on first use. A key that comes back before its slot was taken goes on with its counters. */
  acquire(key: string): number {
    const held = this.#held.get(key);
    if (held !== undefined) {
      held.retiredAt = 0;
      return held.slot;
    }
    const slot = this.#free.pop() ?? this.#grow();
    this.#held.set(key, { slot, retiredAt: 0, retiredIn: 0 });
    return slot;
  }

  /** Keys that hold a slot, those of vanished things included. */
  get size(): number {
    return this.#held.size;
  }

  retire(key: string, now: number, version: number): void {
    const held = this.#held.get(key);
    if (held === undefined || held.retiredAt !== 0) return;
    held.retiredAt = now;
    held.retiredIn = version;
  }

  /** How many holders the slot has had before this one. */
  generation(slot: number): number {
    return this.#generations[slot] ?? 0;
  }

  /** Slots that the next sweep at this time will free unless they are busy. */
  leaving(now: number, acknowledged: number): Set<number> {
    const slots = new Set<number>();
    for (const held of this.#held.values()) if (this.#isOver(held, now, acknowledged)) slots.add(held.slot);
    return slots;
  }

  /** Frees slots retired long enough ago. `busy` says that a slot still has something in flight. */
  sweep(now: number, acknowledged: number, busy: (slot: number) => boolean): void {
    for (const [key, held] of this.#held) {
      if (!this.#isOver(held, now, acknowledged) || busy(held.slot)) continue;
      this.#held.delete(key);
      for (const block of this.#blocks) block.reset(held.slot);
      this.#generations[held.slot] = this.generation(held.slot) + 1;
      this.#free.push(held.slot);
    }
  }

  #isOver({ retiredAt, retiredIn }: Held, now: number, acknowledged: number): boolean {
    return retiredAt !== 0 && now - retiredAt >= this.#keep && retiredIn <= acknowledged;
  }

  /** Keys with their slots, those of vanished things included while they are kept. */
  entries(): Iterable<[string, { readonly slot: number; readonly retiredAt: number }]> {
    return this.#held;
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
