/** The fields that a head's readers ask about. `scan.wat` tells their lines by name, so that all others pass unread. */

const NAMES = [
  'cache-control',
  'connection',
  'content-length',
  'cookie',
  'date',
  'expect',
  'expires',
  'forwarded',
  'host',
  'http2-settings',
  'keep-alive',
  'location',
  'proxy-connection',
  'server',
  'set-cookie',
  'ssl-client-cert',
  'ssl-client-issuer-dn',
  'ssl-client-subject-dn',
  'ssl-client-verify',
  'strict-transport-security',
  'te',
  'transfer-encoding',
  'upgrade',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-real-ip',
  'x-request-id',
] as const;

type KnownField = (typeof NAMES)[number];

/** From 1 on. */
export function fieldNumber(name: KnownField): number {
  return NAMES.indexOf(name) + 1;
}

/** Numbers by lower-case name. */
export const KNOWN_FIELDS: ReadonlyMap<KnownField, number> = new Map(NAMES.map((name) => [name, fieldNumber(name)]));
