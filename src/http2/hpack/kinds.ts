/** What the names mean that are more than a line to pass on. */

export const OTHER = 0;
/** Malformed name; malformed value. */
export const BAD_NAME = 1;
export const BAD_VALUE = 2;
/** Belongs to a connection of HTTP/1: malformed (RFC 9113, 8.2.2). */
export const CONNECTION_FIELD = 3;
/** Taken out without a word. */
export const DROP = 4;

export const METHOD = 5;
export const SCHEME = 6;
export const AUTHORITY = 7;
export const PATH = 8;
export const PROTOCOL = 9;
export const STATUS = 10;
export const UNKNOWN_PSEUDO = 11;

export const HOST = 12;
export const COOKIE = 13;
export const CONTENT_LENGTH = 14;
export const EXPECT = 15;
export const TE = 16;
/** Set by us, whatever the client says. */
export const FORWARDED = 17;
export const X_FORWARDED_FOR = 18;
export const X_FORWARDED_PROTO = 19;
export const X_REQUEST_ID = 20;
export const X_FORWARDED_OTHER = 21;

export const SET_COOKIE = 22;
export const SERVER = 23;
export const DATE = 24;
export const EXPIRES = 25;
export const CACHE_CONTROL = 26;
export const LOCATION = 27;

export function isPseudo(kind: number): boolean {
  return kind >= METHOD && kind <= UNKNOWN_PSEUDO;
}

export const NAMES: ReadonlyMap<string, number> = new Map([
  [':method', METHOD],
  [':scheme', SCHEME],
  [':authority', AUTHORITY],
  [':path', PATH],
  [':protocol', PROTOCOL],
  [':status', STATUS],
  ['connection', CONNECTION_FIELD],
  ['keep-alive', CONNECTION_FIELD],
  ['proxy-connection', CONNECTION_FIELD],
  ['transfer-encoding', CONNECTION_FIELD],
  ['upgrade', CONNECTION_FIELD],
  ['http2-settings', DROP],
  ['host', HOST],
  ['cookie', COOKIE],
  ['content-length', CONTENT_LENGTH],
  ['expect', EXPECT],
  ['te', TE],
  ['forwarded', FORWARDED],
  ['x-forwarded-for', X_FORWARDED_FOR],
  ['x-forwarded-proto', X_FORWARDED_PROTO],
  ['x-request-id', X_REQUEST_ID],
  ['x-forwarded-host', X_FORWARDED_OTHER],
  ['x-forwarded-port', X_FORWARDED_OTHER],
  ['x-real-ip', X_FORWARDED_OTHER],
  ['ssl-client-verify', X_FORWARDED_OTHER],
  ['ssl-client-subject-dn', X_FORWARDED_OTHER],
  ['ssl-client-issuer-dn', X_FORWARDED_OTHER],
  ['ssl-client-cert', X_FORWARDED_OTHER],
  ['set-cookie', SET_COOKIE],
  ['server', SERVER],
  ['date', DATE],
  ['expires', EXPIRES],
  ['cache-control', CACHE_CONTROL],
  ['location', LOCATION],
]);

/** Names that are dropped when they are spelled with `_`. */
export const DROPPED_SPELLINGS: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-real-ip',
  'ssl-client-verify',
  'ssl-client-subject-dn',
  'ssl-client-issuer-dn',
  'ssl-client-cert',
  'x-request-id',
]);
