/** Reads what OpenSSL writes of a TLS session (SSL_SESSION_ASN1 in its ssl/ssl_asn1.c): version, protocol, cipher, id, master secret, … */

const TLS12 = 0x0303;

export function isTls12(session: Buffer): boolean {
  const { start, end } = value(session, value(session, value(session, 0).start).end);
  return end - start === 2 && session.readUInt16BE(start) === TLS12;
}

export function masterSecret(session: Buffer): Buffer {
  let at = value(session, 0).start;
  for (let before = 0; before < 4; before++) at = value(session, at).end;
  const { start, end } = value(session, at);
  return session.subarray(start, end);
}

/** The content of the DER value at `at`: behind a tag, and its length in one byte or, from 128 on, in as many as that says. */
function value(der: Buffer, at: number): { start: number; end: number } {
  const first = der.readUInt8(at + 1);
  if (first < 0x80) return { start: at + 2, end: at + 2 + first };
  const start = at + 2 + (first & 0x7f);
  return { start, end: start + der.readUIntBE(at + 2, first & 0x7f) };
}
