/** The upgrade lane: WebSocket connections, passed through `http-proxy-3` once we have dialled by the rules of retry and move. */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { createProxyServer } from 'http-proxy-3';
import type { HeadLimits } from '../../http1/limits.ts';
import type { LaneContext } from '../context.ts';
import type { UpgradeRequest } from '../upgrade-request.ts';
import { UpgradedConnection } from './connection.ts';

export class UpgradeLane {
  readonly connections = new Set<UpgradedConnection>();
  readonly #ctx: LaneContext;
  readonly #limits: HeadLimits;
  readonly #proxy = createProxyServer({});
  readonly #byMessage = new WeakMap<IncomingMessage, UpgradedConnection>();

  constructor(ctx: LaneContext, limits: HeadLimits) {
    this.#ctx = ctx;
    this.#limits = limits;
    this.#proxy.on('proxyReqWs', (outgoing: ClientRequest, message: IncomingMessage) => {
      this.#byMessage.get(message)?.onOutgoing(outgoing);
    });
    // Errors of one connection are that connection's; it has seen its sockets' own events.
    this.#proxy.on('error', (_error: Error, message: IncomingMessage) => {
      this.#byMessage.get(message)?.onProxyError();
    });
  }

  take(request: UpgradeRequest): void {
    const connection = new UpgradedConnection(this.#ctx, this.#limits, request, (message, options) => {
      this.#byMessage.set(message, connection);
      const socket = connection.client as unknown as Socket;
      try {
        this.#proxy.ws(message, socket, request.first, options, () => {
          connection.onProxyError();
        });
      } catch {
        // Nothing that a client sends may stop the worker, whatever the library makes of it.
        connection.onProxyError();
      }
    });
    this.connections.add(connection);
    request.socket.once('close', () => this.connections.delete(connection));
    connection.start();
  }

  /** The end of the shutdown's grace: everything still open is told to go. */
  closeAll(): void {
    for (const connection of this.connections) connection.goAway();
  }
}
