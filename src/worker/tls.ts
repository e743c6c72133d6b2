/** Ends TLS: takes accepted sockets through their handshakes and hands on those that come to talk HTTP. */
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { LaneContext } from '../lanes/context.ts';
import type { Ends } from '../model/ends.ts';
import type { TableDelta } from '../shared/messages.ts';
import type { Certificates } from './certificates.ts';
import { Opening } from './opening.ts';
import { TlsSessions } from './tls-sessions.ts';

/** `tcp`: what is beneath `socket`; only that one can be reset. `ends`: as `take` was given them. */
type TakeSecured = (socket: TLSSocket, tcp: Socket, ends: Ends | undefined) => void;

interface Handshake {
  readonly opening: Opening;
  readonly ends: Ends | undefined;
}

export class TlsTermination {
  readonly #ctx: LaneContext;
  readonly #certificates: Certificates;
  readonly #take: TakeSecured;
  readonly #server: Server;
  readonly #sessions: TlsSessions;
  /** By the client's address and port. */
  readonly #handshakes = new Map<string, Handshake>();

  constructor(ctx: LaneContext, certificates: Certificates, sessionChannel: string, take: TakeSecured) {
    this.#ctx = ctx;
    this.#certificates = certificates;
    this.#take = take;
    this.#server = createServer({
      ...certificates.defaultOptions(),
      SNICallback: (name, done) => {
        try {
          done(null, this.#certificates.contextFor(name));
        } catch (error) {
          done(error as Error);
        }
      },
      ALPNProtocols: ['h2', 'http/1.1'],
      // Ours covers the whole handshake; Node's begins anew with every byte.
      handshakeTimeout: ctx.settings.headTimeout * 2,
    });
    this.#server.on('secureConnection', (socket) => this.#onSecured(socket));
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy());
    this.#sessions = new TlsSessions(this.#server, sessionChannel);
  }

  /** Handshakes under way. */
  get pending(): number {
    return this.#handshakes.size;
  }

  /** @param ends of the connection, where its socket does not know them */
  take(tcp: Socket, ends: Ends | undefined): void {
    const id = idOf(tcp);
    // It has gone already.
    if (id === undefined) return void tcp.destroy();
    const opening = new Opening(this.#ctx, tcp, () => {
      if (this.#handshakes.get(id) === handshake) this.#handshakes.delete(id);
    });
    const handshake = { opening, ends };
    this.#handshakes.set(id, handshake);
    // Half a connection cannot finish its handshake.
    tcp.allowHalfOpen = false;
    // The documented way to give a TLS server a connection that it has not accepted itself.
    this.#server.emit('connection', tcp);
  }

  apply(delta: TableDelta): void {
    if (this.#certificates.apply(delta)) this.#renew();
    this.#sessions.apply(delta);
  }

  setTicketKeys(keys: Uint8Array): void {
    this.#certificates.setTicketKeys(keys);
    this.#renew();
  }

  /** Cuts off handshakes that are under way. */
  close(): void {
    for (const { opening } of this.#handshakes.values()) opening.tcp.destroy();
  }

  #renew(): void {
    this.#server.setSecureContext(this.#certificates.defaultOptions());
  }

  #onSecured(socket: TLSSocket): void {
    const handshake = this.#handshakes.get(idOf(socket) ?? '');
    if (handshake === undefined) return void socket.destroy();
    const { opening, ends } = handshake;
    opening.end();
    socket.allowHalfOpen = true;
    // Renegotiation is of no use to HTTP, and costs the server more than the client.
    socket.disableRenegotiation();
    this.#take(socket, opening.tcp, ends);
  }
}

function idOf({ remoteAddress, remotePort }: Socket): string | undefined {
  return remoteAddress === undefined || remotePort === undefined ? undefined : `${remoteAddress} ${remotePort}`;
}
