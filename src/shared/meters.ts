/** What selection reads and writes in shared memory: in-flight sums, order of choice, turns, failing marks. */
import type { Meters } from '../model/live.ts';
import type { Block, Blocks } from './cells.ts';
import { peakLatency } from './latencies.ts';
import { CHUNK_MASK, CHUNK_SHIFT, CHUNK_SLOTS, GAUGE, MARK, POOL, SESSION } from './layout.ts';

/** Failing marks are Int32 hundredths of a second since the process's epoch: 248 days' worth. */
const TICK_MS = 10;

/** The failing marks of all endpoints; every thread may set and clear them. */
export class HealthMarks {
  readonly #marks: Block;
  readonly #epoch: number;

  /** `epoch`: wall clock ms at which the process started, the same in all its threads. */
  constructor(marks: Block, epoch: number) {
    this.#marks = marks;
    this.#epoch = epoch;
  }

  /** Wall clock ms of the endpoint's first connect failure since it last worked; 0 = healthy. */
  failingSince(slot: number): number {
    const mark = this.#marks.cells(slot)[this.#marks.at(slot, 0) + MARK.failingSince] ?? 0;
    return mark === 0 ? 0 : this.#epoch + mark * TICK_MS;
  }

  /** Slots of all failing endpoints, those that have left their pools included. */
  *failing(): Generator<number> {
    for (const [index, cells] of this.#marks.chunks.entries()) {
      for (let i = 0, at: number = MARK.failingSince; i < CHUNK_SLOTS; i++, at += this.#marks.fields) {
        if (cells[at] !== 0) yield (index << CHUNK_SHIFT) | i;
      }
    }
  }

  /** Marks an endpoint failing; the first failure's time stays. */
  failed(slot: number, now: number): void {
    const cells = this.#marks.cells(slot) as Int32Array;
    const mark = Math.max(1, Math.floor((now - this.#epoch) / TICK_MS));
    Atomics.compareExchange(cells, this.#marks.at(slot, 0) + MARK.failingSince, 0, mark);
  }

  worked(slot: number): void {
    const cells = this.#marks.cells(slot) as Int32Array;
    const at = this.#marks.at(slot, 0) + MARK.failingSince;
    if (cells[at] !== 0) Atomics.store(cells, at, 0);
  }
}

/** Sums Int32 gauges over the workers' rows; written out for speed: LeastRequests asks once per endpoint. */
export class SharedMeters implements Meters {
  readonly #gauge: Block;
  readonly #latency: Block;
  readonly #mark: Block;
  readonly #pool: Block;
  readonly #session: Block;
  readonly #order: Block;
  readonly #health: HealthMarks;
  /** Rows of the gauge block that workers write (the base row of a gauge is always 0). */
  readonly #workers: number;

  constructor(blocks: Blocks, health: HealthMarks) {
    this.#gauge = blocks.gauge;
    this.#latency = blocks.latency;
    this.#mark = blocks.mark;
    this.#pool = blocks.pool;
    this.#session = blocks.session;
    this.#order = blocks.order;
    this.#health = health;
    this.#workers = blocks.gauge.rows - 1;
  }

  inFlight(slot: number): number {
    const cells = this.#gauge.chunks[slot >> CHUNK_SHIFT]!;
    const stride = CHUNK_SLOTS * this.#gauge.fields;
    let at = (slot & CHUNK_MASK) * this.#gauge.fields + GAUGE.inFlight;
    let sum = 0;
    for (let row = 0; row < this.#workers; row++, at += stride) sum += cells[at]!;
    return sum;
  }

  sessions(slot: number): number {
    return this.#session.chunks[slot >> CHUNK_SHIFT]![(slot & CHUNK_MASK) * this.#session.fields + SESSION.live]!;
  }

  lastChosen(slot: number): number {
    return this.#mark.chunks[slot >> CHUNK_SHIFT]![(slot & CHUNK_MASK) * this.#mark.fields + MARK.chosen]!;
  }

  markChosen(slot: number): void {
    const next = (Atomics.add(this.#order.chunks[0] as Int32Array, 0, 1) + 1) | 0;
    const cells = this.#mark.chunks[slot >> CHUNK_SHIFT]!;
    cells[(slot & CHUNK_MASK) * this.#mark.fields + MARK.chosen] = next === 0 ? 1 : next;
  }

  nextTurn(poolSlot: number): number {
    const cells = this.#pool.cells(poolSlot) as Int32Array;
    return Atomics.add(cells, this.#pool.at(poolSlot, 0) + POOL.turn, 1) >>> 0;
  }

  latency(slot: number, now: number): number {
    return peakLatency(this.#latency, slot, now);
  }

  failingSince(slot: number): number {
    return this.#health.failingSince(slot);
  }
}
