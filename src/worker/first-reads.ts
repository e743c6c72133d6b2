/** Connections whose first bytes say whose they are, until these have come. */
import type { Socket } from 'node:net';
import { readFirst } from '../io/first-bytes.ts';
import type { FirstBytes, Found } from '../io/first-bytes.ts';
import type { TakeReads } from '../io/take-reads.ts';
import type { LaneContext } from '../lanes/context.ts';
import { Opening } from './opening.ts';

export class FirstReads {
  readonly #ctx: LaneContext;
  readonly #takeReads: TakeReads;
  readonly #openings = new Set<Opening>();

  constructor(ctx: LaneContext, takeReads: TakeReads) {
    this.#ctx = ctx;
    this.#takeReads = takeReads;
  }

  /** Those whose first bytes have not come yet. */
  get pending(): number {
    return this.#openings.size;
  }

  /** As `readFirst`, within the time for a request head. @param accepted paused, and so again when it is found */
  read<T extends Found>(accepted: Socket, { look, found, ended }: FirstBytes<T>): void {
    const opening = new Opening(this.#ctx, accepted, () => this.#openings.delete(opening));
    this.#openings.add(opening);
    readFirst<T>(accepted, this.#takeReads, {
      look,
      found: (what) => {
        opening.end();
        found(what);
      },
      ended,
    });
  }

  /** Cuts off those that are waited for. */
  close(): void {
    for (const { tcp } of this.#openings) tcp.destroy();
  }
}
