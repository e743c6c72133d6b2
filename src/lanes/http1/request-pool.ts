/** What connections of a worker borrow while they have a request: without it an idle one takes 2.9 KiB of the heap, not 5.7. */
import type { HeadLimits } from '../../http1/limits.ts';
import type { LaneContext } from '../context.ts';
import { RequestClient } from './request-client.ts';

/** Kept for requests to come: each has the objects of a whole exchange. */
const SPARE_REQUESTS = 256;

export class RequestPool {
  readonly #ctx: LaneContext;
  readonly #limits: HeadLimits;
  readonly #spare: RequestClient[] = [];

  constructor(ctx: LaneContext, limits: HeadLimits) {
    this.#ctx = ctx;
    this.#limits = limits;
  }

  take(): RequestClient {
    return this.#spare.pop() ?? new RequestClient(this.#ctx, this.#limits);
  }

  /** One whose request and answer are complete. */
  give(request: RequestClient): void {
    request.leave();
    if (this.#spare.length < SPARE_REQUESTS) this.#spare.push(request);
  }
}
