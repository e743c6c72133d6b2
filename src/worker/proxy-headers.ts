/** Reads the PROXY protocol header that connections of trusted proxies begin with, before anything else of them is read. */
import type { Socket } from 'node:net';
import { readFirst } from '../io/first-bytes.ts';
import { peerAddress } from '../lanes/client-address.ts';
import type { LaneContext } from '../lanes/context.ts';
import type { Ends } from '../model/ends.ts';
import { readHeader } from '../proxy-protocol/read.ts';
import { Opening } from './opening.ts';

export class ProxyHeaders {
  readonly #ctx: LaneContext;
  readonly #openings = new Set<Opening>();

  constructor(ctx: LaneContext) {
    this.#ctx = ctx;
  }

  /** Connections whose header has not come yet. */
  get pending(): number {
    return this.#openings.size;
  }

  /**
   * @param accepted paused, and so again when `then` is called
   * @param then gets what the header says; undefined = the connection is its peer's own. Never called without a header
   *   where there has to be one: the connection is closed
   */
  read(accepted: Socket, then: (ends: Ends | undefined) => void): void {
    const { settings, addresses } = this.#ctx;
    // Whoever else could write a header could write any address into it: for others it is no beginning of a request.
    if (!settings.proxyProtocol || !addresses.trusts(peerAddress(accepted.remoteAddress))) return then(undefined);
    const opening = new Opening(this.#ctx, accepted, () => this.#openings.delete(opening));
    this.#openings.add(opening);
    readFirst(accepted, {
      look: (bytes) => {
        const header = readHeader(bytes);
        if (header === 'malformed') this.#refuse(accepted);
        return typeof header === 'string' ? undefined : header;
      },
      found: ({ ends }) => {
        opening.end();
        then(ends);
      },
      // A health check that only connects is nobody's fault.
      ended: () => (accepted.bytesRead === 0 ? accepted.destroy() : this.#refuse(accepted)),
    });
  }

  /** Cuts off those that are waited for. */
  close(): void {
    for (const { tcp } of this.#openings) tcp.destroy();
  }

  #refuse(accepted: Socket): void {
    this.#ctx.counters.limit('proxy_protocol');
    accepted.destroy();
  }
}
