/** Ends TLS: takes accepted sockets through their handshakes and hands on those that come to talk HTTP. */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { OneATurn } from '../io/one-a-turn.ts';
import type { TakeReads } from '../io/take-reads.ts';
import type { LaneContext } from '../lanes/context.ts';
import { type Secured, tlsFactsOf } from '../lanes/tls-facts.ts';
import { normalizeHost } from '../match/host.ts';
import type { Ends } from '../model/ends.ts';
import type { TableDelta } from '../shared/messages.ts';
import type { Certificates } from './certificates.ts';
import { Opening } from './opening.ts';
import { readServerName } from './server-name.ts';
import { TlsServers } from './tls-servers.ts';
import { TlsSessions } from './tls-sessions.ts';

/** `ends`: as `take` was given them. */
type TakeSecured = (socket: TLSSocket, secured: Secured, ends: Ends | undefined) => void;

interface Handshake {
  readonly opening: Opening;
  readonly ends: Ends | undefined;
  /** That the client asks for, normalized; empty = none. */
  host: string;
  /** Id of the ClientAuthorities that it is asked for; undefined = it is not asked. */
  authorities: string | undefined;
}

export class TlsTermination {
  readonly #ctx: LaneContext;
  readonly #takeReads: TakeReads;
  readonly #take: TakeSecured;
  readonly #servers: TlsServers;
  /** By the client's address and port. */
  readonly #handshakes = new Map<string, Handshake>();
  /** A handshake takes as long as many requests: of a thousand at once they would wait for the last. */
  readonly #turns = new OneATurn();

  constructor(
    ctx: LaneContext,
    takeReads: TakeReads,
    certificates: Certificates,
    sessionChannel: string,
    take: TakeSecured,
  ) {
    this.#ctx = ctx;
    this.#takeReads = takeReads;
    this.#take = take;
    this.#servers = new TlsServers({
      certificates,
      sessions: new TlsSessions(sessionChannel),
      // Ours covers the whole handshake; Node's begins anew with every byte.
      handshakeTimeout: ctx.settings.headTimeout * 2,
      authoritiesOf: (host) => ctx.table.authoritiesOf(host),
      onSecured: (socket) => this.#onSecured(socket),
    });
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
    const handshake: Handshake = { opening, ends, host: '', authorities: undefined };
    this.#handshakes.set(id, handshake);
    // Half a connection cannot finish its handshake.
    tcp.allowHalfOpen = false;
    readServerName(tcp, this.#takeReads, (name) => {
      handshake.host = normalizeHost(name) ?? '';
      this.#turns.add(() => this.#begin(tcp, handshake));
    });
  }

  apply(delta: TableDelta): void {
    this.#servers.apply(delta);
  }

  setTicketKeys(keys: Uint8Array): void {
    this.#servers.setTicketKeys(keys);
  }

  /** Cuts off handshakes that are under way. */
  close(): void {
    for (const { opening } of this.#handshakes.values()) opening.tcp.destroy();
  }

  #begin(tcp: Socket, handshake: Handshake): void {
    if (tcp.destroyed) return;
    const { server, authorities } = this.#servers.serverFor(handshake.host);
    handshake.authorities = authorities;
    // The documented way to give a TLS server a connection that it has not accepted itself.
    server.emit('connection', tcp);
  }

  #onSecured(socket: TLSSocket): void {
    const handshake = this.#handshakes.get(idOf(socket) ?? '');
    if (handshake === undefined) return void socket.destroy();
    const { opening, ends, host, authorities } = handshake;
    opening.end();
    socket.allowHalfOpen = true;
    // Renegotiation is of no use to HTTP, and costs the server more than the client.
    socket.disableRenegotiation();
    this.#take(socket, { tcp: opening.tcp, facts: tlsFactsOf(socket, host, authorities) }, ends);
  }
}

/** A client may have one port for connections to several of our addresses. */
function idOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string | undefined {
  return remoteAddress === undefined || remotePort === undefined
    ? undefined
    : `${remoteAddress} ${remotePort} ${localAddress ?? ''} ${localPort ?? ''}`;
}
