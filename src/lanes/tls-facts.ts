/** What is known about a connection's TLS: of the handshake, and read from the socket when a rule asks for it. */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ClientCertificate, TlsFacts } from '../model/facts.ts';
import { clientCertificateOf } from './client-certificate.ts';
import { masterSecret } from './openssl-session.ts';

/** A connection over TLS. */
export interface Secured {
  /** Beneath it: only that one can be reset. */
  readonly tcp: Socket;
  readonly facts: TlsFacts;
}

/**
 * @param sni the host that the client asked for, normalized
 * @param authorities id of the ClientAuthorities that it was asked for; undefined = it was not asked
 */
export function tlsFactsOf(socket: TLSSocket, sni: string, authorities: string | undefined): TlsFacts {
  return new SocketTlsFacts(socket, sni, authorities);
}

class SocketTlsFacts implements TlsFacts {
  readonly sni: string;
  readonly client: ClientCertificate | undefined;
  readonly #socket: TLSSocket;
  #session: string | undefined;

  constructor(socket: TLSSocket, sni: string, authorities: string | undefined) {
    this.sni = sni;
    this.client = authorities === undefined ? undefined : clientCertificateOf(socket, authorities);
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
