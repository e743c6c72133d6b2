/**
 * Cells in shared memory: fixed-size chunks of typed arrays (a growable SharedArrayBuffer costs 25 times as much an
 * increment). Rows: one per worker, which alone writes it, and a last one, the base row, which the main thread writes.
 */
import { BLOCKS, CHUNK_MASK, CHUNK_SHIFT } from './layout.ts';
import type { BlockName } from './layout.ts';

export type Cells = Float64Array | Int32Array;

/** A chunk on its way to a worker. */
export interface ChunkData {
  readonly block: BlockName;
  readonly index: number;
  readonly buffer: SharedArrayBuffer;
}

/** Number of rows of a block when there are `workers` workers. */
function rowsOf(block: BlockName, workers: number): number {
  return BLOCKS[block].rows === 'perWorker' ? workers + 1 : 1;
}

export function createChunk(block: BlockName, index: number, workers: number): ChunkData {
  const { cells, slots, fields } = BLOCKS[block];
  const bytes = cells === 'float64' ? 8 : 4;
  return { block, index, buffer: new SharedArrayBuffer(rowsOf(block, workers) * slots * fields * bytes) };
}

/** One thread's view of a block: typed arrays over the chunks it has been given. */
export class Block {
  readonly name: BlockName;
  readonly fields: number;
  readonly rows: number;
  readonly #slots: number;
  readonly chunks: Cells[] = [];
  /** Kept, as it is of hundreds of kilobytes and asked for every few seconds. */
  #sums = new Float64Array();

  constructor(name: BlockName, workers: number) {
    this.name = name;
    this.fields = BLOCKS[name].fields;
    this.rows = rowsOf(name, workers);
    this.#slots = BLOCKS[name].slots;
  }

  attach(chunk: ChunkData): void {
    this.chunks[chunk.index] =
      BLOCKS[this.name].cells === 'float64' ? new Float64Array(chunk.buffer) : new Int32Array(chunk.buffer);
  }

  /** The array that holds a slot. Asking for a slot whose chunk has not arrived is a bug. */
  cells(slot: number): Cells {
    const cells = this.chunks[slot >> CHUNK_SHIFT];
    if (cells === undefined) throw new Error(`slot ${slot} of block ${this.name} has no chunk`);
    return cells;
  }

  /** Index of a slot's first field in `cells(slot)`, in one row. */
  at(slot: number, row: number): number {
    return (row * this.#slots + (slot & CHUNK_MASK)) * this.fields;
  }

  /** Sum of one field over all rows. */
  sum(slot: number, field: number): number {
    const cells = this.cells(slot);
    let total = 0;
    for (let row = 0; row < this.rows; row++) total += cells[this.at(slot, row) + field] ?? 0;
    return total;
  }

  /** Sums of one field over all rows, by slot: of tens of thousands of slots at once, at a fraction of what `sum` of each costs. Valid until asked again. */
  sums(field: number): Float64Array {
    if (this.#sums.length !== this.chunks.length * this.#slots) {
      this.#sums = new Float64Array(this.chunks.length * this.#slots);
    }
    const sums = this.#sums.fill(0);
    for (const [index, cells] of this.chunks.entries()) {
      for (let row = 0; row < this.rows; row++) {
        let at = row * this.#slots * this.fields + field;
        for (let i = index * this.#slots; i < (index + 1) * this.#slots; i++, at += this.fields) sums[i]! += cells[at]!;
      }
    }
    return sums;
  }

  /** Adds what a dead worker counted to the base row and empties its row; fields in `gauges` are only emptied. */
  fold(row: number, gauges: readonly number[] | 'all'): void {
    const stride = this.#slots * this.fields;
    const base = (this.rows - 1) * stride;
    for (let chunk = 0; chunk < this.chunks.length; chunk++) {
      const cells = this.chunks[chunk];
      if (cells === undefined) continue;
      for (let i = 0; i < stride; i++) {
        const from = row * stride + i;
        const value = cells[from] ?? 0;
        if (value === 0) continue;
        const isGauge = gauges === 'all' || gauges.includes(i % this.fields);
        if (!isGauge) cells[base + i]! += value;
        cells[from] = 0;
      }
    }
  }

  /** Makes every field of a slot read as 0 again before it is given to another thing; the rows themselves stay their writers'. */
  reset(slot: number): void {
    const cells = this.cells(slot);
    const base = this.at(slot, this.rows - 1);
    for (let field = 0; field < this.fields; field++) cells[base + field]! -= this.sum(slot, field);
  }
}

export type Blocks = Readonly<Record<BlockName, Block>>;

export function createBlocks(workers: number): Blocks {
  const entries = (Object.keys(BLOCKS) as BlockName[]).map((name) => [name, new Block(name, workers)] as const);
  return Object.fromEntries(entries) as Record<BlockName, Block>;
}
