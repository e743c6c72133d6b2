/**
 * The TLS servers of a worker: one for each set of certificates and authorities that hosts have, made when a client first
 * asks for one of them. An `SNICallback` would not do. Of its context Node takes one pair, and of an RSA and an ECDSA pair
 * OpenSSL shall choose what the client can verify; and whether clients are asked for certificates is the server's own.
 */
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { ClientAuthorities } from '../model/certificate.ts';
import type { ObjectKey } from '../model/ids.ts';
import type { TableDelta } from '../shared/messages.ts';
import type { Certificates } from './certificates.ts';
import type { TlsSessions } from './tls-sessions.ts';

export interface TlsServersOptions {
  readonly certificates: Certificates;
  readonly sessions: TlsSessions;
  /** Of a whole handshake, ms. */
  readonly handshakeTimeout: number;
  /** Id of the ClientAuthorities that clients of a host are asked for; undefined = they are not asked. */
  readonly authoritiesOf: (host: string) => string | undefined;
  readonly onSecured: (socket: TLSSocket) => void;
}

export interface TlsServer {
  /** Give it connections as events `connection`. */
  readonly server: Server;
  /** Id of the ClientAuthorities that it asks for; undefined = it asks for no certificate. */
  readonly authorities: string | undefined;
}

interface Kept extends TlsServer {
  readonly secrets: readonly ObjectKey[];
}

export class TlsServers {
  readonly #options: TlsServersOptions;
  /** By the Secrets of their certificates, and the authorities. */
  readonly #kept = new Map<string, Kept>();

  constructor(options: TlsServersOptions) {
    this.#options = options;
  }

  /** For new connections; those that are open keep what they have. */
  apply(delta: TableDelta): void {
    const { certificates, sessions } = this.#options;
    certificates.apply(delta);
    if (sessions.apply(delta)) this.#kept.clear();
    const stale = new Set<string | undefined>(delta.removedClientAuthorities);
    for (const { secret } of delta.certificates) stale.add(secret);
    for (const secret of delta.removedCertificates) stale.add(secret);
    if (stale.size === 0) return;
    for (const [id, { secrets, authorities }] of this.#kept)
      if ([...secrets, authorities].some((key) => stale.has(key))) this.#kept.delete(id);
  }

  /** Sessions of before are not resumed any more: their clients go through a whole handshake. */
  setTicketKeys(keys: Uint8Array): void {
    this.#options.certificates.setTicketKeys(keys);
    this.#kept.clear();
  }

  /** For a client that asks for `host`; empty = for none. */
  serverFor(host: string): TlsServer {
    const { certificates, authoritiesOf } = this.#options;
    const secrets = certificates.secretsFor(host);
    const authorities = certificates.authoritiesWith(authoritiesOf(host));
    const id = [authorities?.id ?? '', ...secrets].join(' ');
    const known = this.#kept.get(id);
    if (known !== undefined) return known;
    const made = { server: this.#make(secrets, authorities), secrets, authorities: authorities?.id };
    this.#kept.set(id, made);
    return made;
  }

  #make(secrets: readonly ObjectKey[], authorities: ClientAuthorities | undefined): Server {
    const { certificates, sessions, handshakeTimeout, onSecured } = this.#options;
    const server = createServer({
      ...certificates.optionsFor(secrets, authorities),
      // A client that names none of these is refused (RFC 7301, 3.2); one that wants HTTP/1.0 may say just that.
      ALPNProtocols: ['h2', 'http/1.1', 'http/1.0'],
      handshakeTimeout,
    });
    server.on('secureConnection', onSecured);
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    sessions.serve(server);
    return server;
  }
}
