/** Reads the PROXY protocol header that connections of trusted proxies begin with, before anything else of them is read. */
import type { Socket } from 'node:net';
import { peerAddress } from '../lanes/client-address.ts';
import type { LaneContext } from '../lanes/context.ts';
import type { Ends } from '../model/ends.ts';
import { readHeader } from '../proxy-protocol/read.ts';
import type { FirstReads } from './first-reads.ts';

export class ProxyHeaders {
  readonly #ctx: LaneContext;
  readonly #reads: FirstReads;

  constructor(ctx: LaneContext, reads: FirstReads) {
    this.#ctx = ctx;
    this.#reads = reads;
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
    this.#reads.read(accepted, {
      look: (bytes) => {
        const header = readHeader(bytes);
        if (header === 'malformed') this.#refuse(accepted);
        return typeof header === 'string' ? undefined : header;
      },
      found: ({ ends }) => then(ends),
      // A health check that only connects is nobody's fault.
      ended: () => (accepted.bytesRead === 0 ? accepted.destroy() : this.#refuse(accepted)),
    });
  }

  #refuse(accepted: Socket): void {
    this.#ctx.counters.limit('proxy_protocol');
    accepted.destroy();
  }
}
