/** Everything that is counted in this process: the blocks and who holds which slot. Main thread only. */
import { createBlocks, createChunk } from './cells.ts';
import type { Blocks, ChunkData } from './cells.ts';
import { MARK, movesField } from './layout.ts';
import { SlotTable } from './slots.ts';

/** How long the series of a vanished object can still be scraped. */
const KEEP_MS = 5 * 60 * 1000;

export class Counted {
  readonly blocks: Blocks;
  readonly endpoints: SlotTable;
  readonly pools: SlotTable;
  readonly route: SlotTable;
  readonly service: SlotTable;
  readonly rule: SlotTable;
  readonly policy: SlotTable;
  /** Chunks that every worker gets when it starts: `global`, `order` and `store`. */
  readonly fixedChunks: readonly ChunkData[];

  constructor(workers: number) {
    this.blocks = createBlocks(workers);
    const { endpoint, gauge, latency, mark, session, pool, route, service, rule, policy, turn } = this.blocks;
    this.endpoints = new SlotTable([endpoint, gauge, latency, mark, session], workers, KEEP_MS);
    this.pools = new SlotTable([pool], workers, KEEP_MS);
    this.route = new SlotTable([route], workers, KEEP_MS);
    this.service = new SlotTable([service], workers, KEEP_MS);
    this.rule = new SlotTable([rule], workers, KEEP_MS);
    this.policy = new SlotTable([policy, turn], workers, KEEP_MS);
    this.fixedChunks = (['global', 'order', 'store'] as const).map((name) => {
      const chunk = createChunk(name, 0, workers);
      this.blocks[name].attach(chunk);
      return chunk;
    });
  }

  #tables(): SlotTable[] {
    return [this.endpoints, this.pools, this.route, this.service, this.rule, this.policy];
  }

  /** Frees the slots of things that vanished a while ago. `busy`: an endpoint's slot still has requests in flight. */
  sweep(now: number, acknowledged: number, busy: (endpoint: number) => boolean): void {
    for (const table of this.#tables()) table.sweep(now, acknowledged, table === this.endpoints ? busy : () => false);
  }

  /** Clears the failing mark of the endpoint that holds the slot. */
  forgetFailure(slot: number): void {
    const { mark } = this.blocks;
    Atomics.store(mark.cells(slot) as Int32Array, mark.at(slot, 0) + MARK.failingSince, 0);
  }

  /** A session was moved by this thread. `policy`: as in `policySlotKey`. */
  countMove(policy: string, reason: number): void {
    const slot = this.policy.find(policy);
    const block = this.blocks.policy;
    if (slot !== undefined) block.cells(slot)[block.at(slot, block.rows - 1) + movesField(reason)]!++;
  }

  takeNewChunks(): ChunkData[] {
    return this.#tables().flatMap((table) => table.takeNewChunks());
  }

  allChunks(): ChunkData[] {
    return [...this.fixedChunks, ...this.#tables().flatMap((table) => [...table.allChunks()])];
  }
}
