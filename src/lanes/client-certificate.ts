/** Certificates of clients: what one has shown, whether a route takes it, and what the endpoint is told. */
import type { TLSSocket } from 'node:tls';
import type { ClientVerification } from '../model/certificate.ts';
import { NO_TLS } from '../model/facts.ts';
import type { ClientCertificate, TlsFacts } from '../model/facts.ts';

/** That nobody of the authorities has signed it, as OpenSSL says it. */
const UNKNOWN_AUTHORITY: readonly string[] = [
  'FAILED:DEPTH_ZERO_SELF_SIGNED_CERT',
  'FAILED:SELF_SIGNED_CERT_IN_CHAIN',
  'FAILED:UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'FAILED:UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];

/** Of a client that was asked for one by `authorities`. */
export function clientCertificateOf(socket: TLSSocket, authorities: string): ClientCertificate {
  const certificate = socket.getPeerX509Certificate();
  // Node calls some resumed sessions without a certificate authorized, too.
  if (certificate === undefined) return { authorities, verdict: 'NONE', subject: '', issuer: '' };
  const { subject, issuer } = certificate;
  // What the types call an Error is its code.
  const verdict = socket.authorized ? 'SUCCESS' : `FAILED:${String(socket.authorizationError)}`;
  return { authorities, verdict, subject: distinguishedName(subject), issuer: distinguishedName(issuer) };
}

/**
 * As with ingress-nginx the handshake succeeds whatever the client shows, and its requests are refused: 496 = there is no
 * certificate, 495 = it is not good, 421 = this connection was asked for none, or for others, and a new one would be
 * asked; 0 = the route takes it.
 *
 * @param asked id of the ClientAuthorities that a new connection for the request's host is asked for
 */
export function certificateFault(
  { authorities, mode }: ClientVerification,
  tls: TlsFacts,
  asked: string | undefined,
): 0 | 421 | 495 | 496 {
  const { client } = tls;
  const counts = client?.authorities === authorities;
  if (!counts && tls !== NO_TLS && asked === authorities) return 421;
  if (!counts || client.verdict === 'NONE') return mode === 'on' ? 496 : 0;
  if (client.verdict === 'SUCCESS') return 0;
  return mode === 'optional_no_ca' && UNKNOWN_AUTHORITY.includes(client.verdict) ? 0 : 495;
}

/** Lines for the endpoint, by ingress-nginx's names, each ending in CR LF. Those that a client sends never pass. */
export function certificateLines(wanted: ClientVerification | undefined, { client }: TlsFacts): string {
  if (wanted === undefined) return '';
  if (client === undefined || client.authorities !== wanted.authorities) return 'ssl-client-verify: NONE\r\n';
  const { verdict, subject, issuer } = client;
  const names = verdict === 'NONE' ? '' : `ssl-client-subject-dn: ${subject}\r\nssl-client-issuer-dn: ${issuer}\r\n`;
  return `ssl-client-verify: ${verdict}\r\n${names}`;
}

/**
 * From Node's form, a line for each part, to that of RFC 4514, the last part first: `CN=a,O=b`. What is not ASCII is
 * escaped byte by byte, so that no header line can be broken by a name.
 */
function distinguishedName(lines: string | undefined): string {
  const parts = (lines ?? '').split('\n').reverse();
  // Parts with two values have ` + ` between them; a plus sign of a value's own is escaped.
  const name = parts.map((part) => part.replaceAll(' + ', '+')).join(',');
  return name.replaceAll(/[^ -~]/gu, (character) =>
    Buffer.from(character).toString('hex').replaceAll(/../g, '\\$&').toUpperCase(),
  );
}
