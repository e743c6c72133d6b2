/** A worker's own listener: `SO_REUSEPORT`, so that the kernel spreads connections over the workers. */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { acceptDirectly } from '../io/accept.ts';
import { WRITE_HIGH_WATER } from '../io/high-water.ts';
import type { TcpSocket } from '../io/tcp-socket.ts';
import type { LaneContext } from '../lanes/context.ts';

const BACKLOG = 4096;
/** Turns of the event loop without a new connection after which the kernel's queue counts as empty, and how many at most. */
const QUIET_TURNS = 3;
const MAX_TURNS = 200;

export class Listener {
  readonly #ctx: LaneContext;
  readonly #server: Server;
  readonly #takeDirect: ((accepted: TcpSocket) => void) | undefined;
  #accepted = 0;

  /**
   * @param take gets each accepted connection, paused
   * @param takeDirect gets it instead where that works, for whoever needs no stream
   */
  constructor(ctx: LaneContext, take: (accepted: Socket) => void, takeDirect?: (accepted: TcpSocket) => void) {
    this.#ctx = ctx;
    this.#takeDirect = takeDirect;
    this.#server = createServer(
      { noDelay: true, pauseOnConnect: true, allowHalfOpen: true, highWaterMark: WRITE_HIGH_WATER },
      (socket) => {
        if (this.#admits(socket)) take(socket);
      },
    );
  }

  /** Listens on an address and port (0 = any free one); `::` falls back to `0.0.0.0` where there is no IPv6. */
  async listen(host: string, port: number): Promise<{ host: string; port: number }> {
    try {
      await this.#bind(host, port);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (host !== '::' || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw error;
      await this.#bind('0.0.0.0', port);
    }
    const address = this.#server.address() as AddressInfo;
    return { host: address.address, port: address.port };
  }

  /** Accepts what is already in the kernel's queue, then closes: a closed `SO_REUSEPORT` socket resets its backlog. */
  async close(): Promise<void> {
    for (let turn = 0, quiet = 0; turn < MAX_TURNS && quiet < QUIET_TURNS; turn++) {
      const before = this.#accepted;
      await new Promise((resolve) => setImmediate(resolve));
      quiet = this.#accepted === before ? quiet + 1 : 0;
    }
    this.#server.close();
  }

  #admits(socket: Socket | TcpSocket): boolean {
    const { counters, settings } = this.#ctx;
    this.#accepted++;
    // The limit is the process's; over it nothing is queued, so that waiting clients do not take each other's time.
    if (counters.connections() >= settings.maxConnections) {
      counters.limit('connections');
      socket.destroy();
      return false;
    }
    counters.connectionAccepted();
    return true;
  }

  async #bind(host: string, port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port, reusePort: true, backlog: BACKLOG }, () => {
        this.#server.off('error', reject);
        const takeDirect = this.#takeDirect;
        if (takeDirect !== undefined)
          acceptDirectly(this.#server, (accepted) => {
            if (this.#admits(accepted)) takeDirect(accepted);
          });
        // Running out of descriptors: the connection waits in the kernel's queue until there are some again.
        this.#server.on('error', () => {
          this.#ctx.counters.limit('connections');
        });
        resolve();
      });
    });
  }
}
