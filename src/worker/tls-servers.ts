/**
 * The TLS servers of a worker: one for each set of certificates that hosts are served by, made when a client first asks
 * for one of them. An `SNICallback` would not do: of its context Node takes one pair, and of an RSA and an ECDSA pair
 * OpenSSL shall choose what the client can verify.
 */
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { ObjectKey } from '../model/ids.ts';
import type { TableDelta } from '../shared/messages.ts';
import type { Certificates } from './certificates.ts';
import type { TlsSessions } from './tls-sessions.ts';

export interface TlsServersOptions {
  readonly certificates: Certificates;
  readonly sessions: TlsSessions;
  /** Of a whole handshake, ms. */
  readonly handshakeTimeout: number;
  readonly onSecured: (socket: TLSSocket) => void;
}

interface Kept {
  readonly server: Server;
  readonly secrets: readonly ObjectKey[];
}

export class TlsServers {
  readonly #options: TlsServersOptions;
  /** By the Secrets of their certificates. */
  readonly #kept = new Map<string, Kept>();

  constructor(options: TlsServersOptions) {
    this.#options = options;
  }

  /** For new connections; those that are open keep what they have. */
  apply(delta: TableDelta): void {
    const { certificates, sessions } = this.#options;
    certificates.apply(delta);
    if (sessions.apply(delta)) this.#kept.clear();
    const changed = new Set([...delta.certificates.map(({ secret }) => secret), ...delta.removedCertificates]);
    if (changed.size === 0) return;
    for (const [id, { secrets }] of this.#kept)
      if (secrets.some((secret) => changed.has(secret))) this.#kept.delete(id);
  }

  /** Sessions of before are not resumed any more: their clients go through a whole handshake. */
  setTicketKeys(keys: Uint8Array): void {
    this.#options.certificates.setTicketKeys(keys);
    this.#kept.clear();
  }

  /** For a client that asks for the host `name`, as it sends it. Give it the connection as an event `connection`. */
  serverFor(name: string): Server {
    const secrets = this.#options.certificates.secretsFor(name);
    const id = secrets.join(' ');
    let kept = this.#kept.get(id);
    if (kept === undefined) {
      kept = { server: this.#make(secrets), secrets };
      this.#kept.set(id, kept);
    }
    return kept.server;
  }

  #make(secrets: readonly ObjectKey[]): Server {
    const { certificates, sessions, handshakeTimeout, onSecured } = this.#options;
    const server = createServer({
      ...certificates.optionsFor(secrets),
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout,
    });
    server.on('secureConnection', onSecured);
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    sessions.serve(server);
    return server;
  }
}
