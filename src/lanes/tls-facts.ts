/** What rules may know about a connection's TLS: read from the socket when a rule asks for it. */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { NO_TLS } from '../model/facts.ts';
import type { TlsFacts } from '../model/facts.ts';

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
 * A digest of the session's master secret, which a handshake that resumes the session takes over (RFC 5246, 7.3): all
 * workers know it again without anything being kept. TLS 1.3 makes a new secret for each connection (RFC 8446, 7.1).
 */
function sessionOf(socket: TLSSocket): string {
  const session = socket.getProtocol() === 'TLSv1.2' ? socket.getSession() : undefined;
  if (session === undefined) return '';
  const { id, secret } = readSession(session);
  // A new session has an id only when the client takes no ticket (RFC 5077, 3.4); we keep no ids, so it will not be resumed.
  if (id.length > 0 && !socket.isSessionReused()) return '';
  return createHash('sha256').update('holdfast tls session').update(secret).digest('base64url');
}

/** As OpenSSL writes it (SSL_SESSION_ASN1 in its ssl/ssl_asn1.c): version, protocol, cipher, id, master secret, … */
function readSession(der: Buffer): { id: Buffer; secret: Buffer } {
  const skip = (at: number): number => contentEnd(der, at);
  const id = skip(skip(skip(contentStart(der, 0))));
  const secret = skip(id);
  return {
    id: der.subarray(contentStart(der, id), contentEnd(der, id)),
    secret: der.subarray(contentStart(der, secret), contentEnd(der, secret)),
  };
}

/** Of the DER value at `at`: a tag, its length in one byte or, from 128 on, in as many as the first says. */
function contentStart(der: Buffer, at: number): number {
  const length = der.readUInt8(at + 1);
  return at + 2 + (length < 0x80 ? 0 : length & 0x7f);
}

function contentEnd(der: Buffer, at: number): number {
  const start = contentStart(der, at);
  const length = der.readUInt8(at + 1);
  return start + (length < 0x80 ? length : der.readUIntBE(at + 2, length & 0x7f));
}
