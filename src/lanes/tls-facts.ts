/** What rules may know about a connection's TLS: read from the socket when a rule asks for it. */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { NO_TLS } from '../model/facts.ts';
import type { TlsFacts } from '../model/facts.ts';
import { masterSecret } from './openssl-session.ts';

export function tlsFactsOf(accepted: Socket): TlsFacts {
  return accepted instanceof TLSSocket ? new SocketTlsFacts(accepted) : NO_TLS;
}

class SocketTlsFacts implements TlsFacts {
  readonly sni: string;
  readonly #socket: TLSSocket;
  #session: string | undefined;

  constructor(socket: TLSSocket) {
    const name: unknown = socket.servername;
    this.sni = typeof name === 'string' ? name.toLowerCase() : '';
    this.#socket = socket;
  }

  get session(): string {
    this.#session ??= sessionOf(this.#socket);
    return this.#session;
  }
}

/**
 * A digest of the session's master secret, which a handshake that resumes the session takes over (RFC 5246, 7.3), be it
 * by a ticket or by an id. TLS 1.3 makes a new secret for each connection (RFC 8446, 7.1).
 */
function sessionOf(socket: TLSSocket): string {
  const session = socket.getProtocol() === 'TLSv1.2' ? socket.getSession() : undefined;
  if (session === undefined) return '';
  return createHash('sha256').update('holdfast tls session').update(masterSecret(session)).digest('base64url');
}
