/** The grammar of RFC 9110 and RFC 9112 that we accept: `scan.wat` says yes by it; here is what is wrong otherwise. */
import { ERRORS } from './error.ts';
import type { Http1Error } from './error.ts';

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
/** HTAB, SP, VCHAR and obs-text: everything but control characters. */
const VALUE = '[\\t\\x20-\\x7e\\x80-\\xff]*';

// Each repeated class excludes the character that follows it, so a failing match backs up over every byte once: linear.
const TRAILERS = new RegExp(`^(?:${TOKEN}:${VALUE}\\r\\n)*\\r\\n$`);
const WHOLE_TARGET = /^[!"$-~]+$/;
const WHOLE_LINE = new RegExp(`^${VALUE}$`);
const REQUEST_LINE = new RegExp(`^(${TOKEN}) ([^ ]*) (HTTP/[0-9]\\.[0-9])$`);
const FIELD_LINE = new RegExp(`^${TOKEN}:`);

/** 1 for bytes that may stand in a token (RFC 9110, 5.6.2). */
export const TOKEN_BYTES = new Uint8Array(256);
for (let byte = 0; byte < 128; byte++) {
  if (new RegExp(`^${TOKEN}$`).test(String.fromCharCode(byte))) TOKEN_BYTES[byte] = 1;
}

/** The fault of a complete trailer section (with its empty line). */
export function checkTrailers(text: string): Http1Error | undefined {
  if (TRAILERS.test(text)) return undefined;
  return hasBareLf(text, 0) ? ERRORS.bareLf : ERRORS.badTrailer;
}

/** True when a LF at or after `from` does not follow a CR. */
export function hasBareLf(text: string, from: number): boolean {
  for (let at = text.indexOf('\n', from); at >= 0; at = text.indexOf('\n', at + 1)) {
    if (at === 0 || text.charCodeAt(at - 1) !== 13) return true;
  }
  return false;
}

/** What is wrong with a complete request head. */
export function explainRequestHead(text: string): Http1Error {
  // First what is checked on incomplete heads as well: the verdict must not depend on how the bytes were split.
  if (hasBareLf(text, 0)) return ERRORS.bareLf;
  const parts = REQUEST_LINE.exec(text.slice(0, text.indexOf('\r\n')));
  if (parts === null) return ERRORS.badRequestLine;
  if (!WHOLE_TARGET.test(parts[2] ?? '')) return ERRORS.badTarget;
  if (parts[3] !== 'HTTP/1.0' && parts[3] !== 'HTTP/1.1') return ERRORS.badVersion;
  return explainLines(text) ?? ERRORS.badRequestLine;
}

/** What is wrong with a complete response head; as for requests: use `asBackendError`. */
export function explainResponseHead(text: string): Http1Error {
  if (hasBareLf(text, 0)) return ERRORS.bareLf;
  return explainLines(text) ?? ERRORS.badStatusLine;
}

function explainLines(text: string): Http1Error | undefined {
  const lines = text.slice(text.indexOf('\r\n') + 2, -4).split('\r\n');
  for (const line of lines) {
    if (line === '') continue;
    if (line.startsWith(' ') || line.startsWith('\t')) return ERRORS.obsFold;
    if (!FIELD_LINE.test(line)) return /^[^:]*[ \t]:/.test(line) ? ERRORS.spaceBeforeColon : ERRORS.badFieldName;
    if (!WHOLE_LINE.test(line)) return ERRORS.badFieldValue;
  }
  return undefined;
}
