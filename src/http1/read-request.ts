/** From the text of a request head to a RequestHead, or the reason why not (RFC 9112, 3; RFC 9110, 7). */
import { CLOSE, KEEP_ALIVE, namesRequestField, readConnection, UPGRADE } from './connection.ts';
import { ERRORS } from './error.ts';
import type { Http1Error } from './error.ts';
import { joinValues, listItems, valueIn } from './fields.ts';
import { codingFault, readLength } from './framing.ts';
import { explainRequestHead } from './grammar.ts';
import { fieldNumber } from './known-fields.ts';
import type { HeadLimits } from './limits.ts';
import { COOKIE, DROP, markListed } from './marks.ts';
import type { RequestHead } from './request-head.ts';
import { LINE, LINE_END, LINES, SCANNED, scanRequest, SPACE, USED } from './scan.ts';
import { hostOf, isAuthority, readTarget } from './target.ts';

/** Header lines of one head seen so far that are judged together with others; one for all, since nothing here is async. */
const seen = { connection: 0, coding: '', hasCoding: false, upgrade: '', expect: '', hasExpect: false };

const CONNECTION = fieldNumber('connection');
const CONTENT_LENGTH = fieldNumber('content-length');
const COOKIE_NAME = fieldNumber('cookie');
const EXPECT = fieldNumber('expect');
const FORWARDED = fieldNumber('forwarded');
const HOST = fieldNumber('host');
const TE = fieldNumber('te');
const TRANSFER_ENCODING = fieldNumber('transfer-encoding');
const UPGRADE_NAME = fieldNumber('upgrade');
const X_FORWARDED_FOR = fieldNumber('x-forwarded-for');
const X_FORWARDED_PROTO = fieldNumber('x-forwarded-proto');
const X_REQUEST_ID = fieldNumber('x-request-id');

/** What endpoints are told of the client, the way here and a certificate: nobody but us may say it, whether asked or not. */
const TOLD_BY_US: ReadonlySet<number> = new Set([
  fieldNumber('ssl-client-cert'),
  fieldNumber('ssl-client-issuer-dn'),
  fieldNumber('ssl-client-subject-dn'),
  fieldNumber('ssl-client-verify'),
  fieldNumber('x-forwarded-host'),
  fieldNumber('x-forwarded-port'),
  fieldNumber('x-real-ip'),
]);

/** Those, and what is for one hop. */
const DROPPED: ReadonlySet<number> = new Set([
  ...TOLD_BY_US,
  fieldNumber('http2-settings'),
  fieldNumber('keep-alive'),
  fieldNumber('proxy-connection'),
]);

/** Backends that turn names into environment variables read Content_Length as Content-Length: such lines go, unread. */
const DROPPED_WITH_UNDERSCORE: ReadonlySet<number> = new Set([
  ...TOLD_BY_US,
  CONTENT_LENGTH,
  TRANSFER_ENCODING,
  X_FORWARDED_FOR,
  X_FORWARDED_PROTO,
  X_REQUEST_ID,
]);

/** Fills `head`, which has been reset, from the complete head `text`. */
export function readRequestHead(head: RequestHead, text: string, limits: HeadLimits): Http1Error | undefined {
  const bytes = Buffer.from(text, 'latin1');
  if (scanRequest(bytes, 0, bytes.length) !== bytes.length) return explainRequestHead(text);
  return readScannedRequest(head, text, bytes, 0, limits);
}

/** The same where `scanRequest` has just walked over the head, whose bytes start at `base`. */
export function readScannedRequest(
  head: RequestHead,
  text: string,
  bytes: Uint8Array,
  base: number,
  limits: HeadLimits,
): Http1Error | undefined {
  const space = SCANNED[SPACE]!;
  const lineEnd = SCANNED[LINE_END]!;
  head.text = text;
  head.method = methodOf(text, space);
  head.target = text.slice(space + 1, lineEnd - 9);
  head.minor = (bytes[base + lineEnd - 1] ?? 0) - 48;
  head.linesStart = lineEnd + 2;
  if (head.target.length > limits.target) return ERRORS.targetTooLong;
  return readLines(head, text, bytes, base, limits) ?? judge(head, text);
}

/** The usual ones without a new string each time. */
function methodOf(text: string, length: number): string {
  if (length === 3 && text.startsWith('GET')) return 'GET';
  if (length === 4 && text.startsWith('POST')) return 'POST';
  return text.slice(0, length);
}

function readLines(
  head: RequestHead,
  text: string,
  bytes: Uint8Array,
  base: number,
  limits: HeadLimits,
): Http1Error | undefined {
  seen.connection = 0;
  seen.coding = '';
  seen.hasCoding = false;
  seen.upgrade = '';
  seen.expect = '';
  seen.hasExpect = false;
  const lines = LINES;
  const size = SCANNED[USED]!;
  const most = Math.min(size, limits.headers * LINE);
  for (let i = 0; i < most; i += LINE) {
    const field = lines[i + 3]!;
    if (field === 0) continue;
    const fault = readLine(head, text, bytes, base, field, lines[i]!, lines[i + 1]!, lines[i + 2]!);
    if (fault !== undefined) return fault;
  }
  return size > most ? ERRORS.tooManyFields : undefined;
}

/** A line of a known field, or of one that is written like it but for `_`. */
function readLine(
  head: RequestHead,
  text: string,
  bytes: Uint8Array,
  base: number,
  field: number,
  at: number,
  colon: number,
  end: number,
): Http1Error | undefined {
  if (field === HOST) return readHost(head, hostOf(text, colon, end));
  if (field === COOKIE_NAME) {
    head.marks.add(at, colon, end + 2, COOKIE);
    return undefined;
  }
  const value = valueIn(text, bytes, base, colon, end);
  if (field === CONTENT_LENGTH) {
    if (head.contentLength >= 0) return ERRORS.manyContentLengths;
    head.contentLength = readLength(value);
    return head.contentLength < 0 ? ERRORS.badContentLength : undefined;
  }
  if (!passes(head, field, value)) head.marks.add(at, colon, end + 2, DROP);
  return undefined;
}

/** Keeps what a line says; false = it is not forwarded as it is. */
function passes(head: RequestHead, field: number, value: string): boolean {
  switch (field) {
    case CONNECTION:
      seen.connection |= readConnection(value, head.listed);
      return false;
    case TRANSFER_ENCODING:
      seen.hasCoding = true;
      seen.coding = joinValues(seen.coding, value);
      return false;
    case X_FORWARDED_FOR:
      head.xForwardedFor = joinValues(head.xForwardedFor, value);
      return false;
    case X_FORWARDED_PROTO:
      head.xForwardedProto = joinValues(head.xForwardedProto, value);
      return false;
    case X_REQUEST_ID:
      head.xRequestId = joinValues(head.xRequestId, value);
      return false;
    case FORWARDED:
      head.forwarded = joinValues(head.forwarded, value);
      return false;
    case TE:
      if (listItems(value).includes('trailers')) head.teTrailers = true;
      return false;
    case UPGRADE_NAME:
      seen.upgrade = joinValues(seen.upgrade, value);
      return false;
    case EXPECT:
      seen.hasExpect = true;
      seen.expect = joinValues(seen.expect, value);
      // RFC 9110, 10.1.1: an expectation of an HTTP/1.0 client is ignored.
      return head.minor !== 0;
    default:
      return !(field < 0 ? DROPPED_WITH_UNDERSCORE.has(-field) : DROPPED.has(field));
  }
}

function readHost(head: RequestHead, value: string): Http1Error | undefined {
  if (head.hasHost) return ERRORS.manyHosts;
  head.hasHost = true;
  head.authority = value;
  return value === '' || isAuthority(value) ? undefined : ERRORS.badHost;
}

/** What only the whole head tells. */
function judge(head: RequestHead, text: string): Http1Error | undefined {
  if (seen.hasCoding) {
    if (head.contentLength >= 0) return ERRORS.lengthAndEncoding;
    if (head.minor === 0) return ERRORS.encodingInHttp10;
    const fault = codingFault(seen.coding);
    if (fault !== undefined) return fault;
    head.chunked = true;
  }
  if (head.listed.length > 0) {
    if (namesRequestField(head.listed)) return ERRORS.badConnection;
    markListed(head.marks, text, head.linesStart, head.listed);
  }
  if (!head.hasHost && head.minor === 1) return ERRORS.missingHost;
  if (head.method === 'CONNECT') return ERRORS.connectMethod;
  // Origin-form is by far the most common one and needs nothing.
  if (head.target.charCodeAt(0) !== 47) {
    const fault = readTarget(head);
    if (fault !== undefined) return fault;
  }
  const flags = seen.connection;
  head.keepAlive = (flags & CLOSE) === 0 && (head.minor === 1 || (flags & KEEP_ALIVE) !== 0);
  // RFC 9110, 7.8: Upgrade of an HTTP/1.0 client is ignored.
  if ((flags & UPGRADE) !== 0 && head.minor === 1) head.upgrade = seen.upgrade.toLowerCase();
  if (seen.hasExpect) {
    if (seen.expect.toLowerCase() !== '100-continue') return ERRORS.badExpectation;
    head.expectContinue = head.minor === 1;
  }
  return undefined;
}
