/** From the text of a request head to a RequestHead, or the reason why not (RFC 9112, 3; RFC 9110, 7). */
import { CLOSE, KEEP_ALIVE, namesRequestField, readConnection, UPGRADE } from './connection.ts';
import { ERRORS } from './error.ts';
import type { Http1Error } from './error.ts';
import { isNamed, joinValues, listItems, nameBytes, nameIs, valueIn, valueOf } from './fields.ts';
import { codingFault, readLength } from './framing.ts';
import { explainRequestHead } from './grammar.ts';
import type { HeadLimits } from './limits.ts';
import { COOKIE, DROP, markListed } from './marks.ts';
import type { RequestHead } from './request-head.ts';
import { LINE_END, LINES, SCANNED, scanRequest, SPACE, USED } from './scan.ts';
import { hostOf, isAuthority, readTarget } from './target.ts';

/** Header lines of one head seen so far that are judged together with others; one for all, since nothing here is async. */
const seen = { connection: 0, coding: '', hasCoding: false, upgrade: '', expect: '', hasExpect: false };

// Of this module, although another one has some of them, too: what is imported is fetched and checked at each use.
const CONNECTION = nameBytes('connection');
const CONTENT_LENGTH = nameBytes('content-length');
const COOKIE_NAME = nameBytes('cookie');
const EXPECT = nameBytes('expect');
const HOST = nameBytes('host');
const HTTP2_SETTINGS = nameBytes('http2-settings');
const KEEP_ALIVE_NAME = nameBytes('keep-alive');
const PROXY_CONNECTION = nameBytes('proxy-connection');
const TE = nameBytes('te');
const TRANSFER_ENCODING = nameBytes('transfer-encoding');
const UPGRADE_NAME = nameBytes('upgrade');

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
  head.method = text.slice(0, space);
  head.target = text.slice(space + 1, lineEnd - 9);
  head.minor = (bytes[base + lineEnd - 1] ?? 0) - 48;
  head.linesStart = lineEnd + 2;
  if (head.target.length > limits.target) return ERRORS.targetTooLong;
  return readLines(head, text, bytes, base, limits) ?? judge(head, text);
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
  for (let i = 0; i < size; i += 3) {
    if (i >= limits.headers * 3) return ERRORS.tooManyFields;
    const fault = readLine(head, text, bytes, base, lines[i]!, lines[i + 1]!, lines[i + 2]!);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** Most lines are told apart by the length of their name and its first character, and pass. */
function readLine(
  head: RequestHead,
  text: string,
  bytes: Uint8Array,
  base: number,
  at: number,
  colon: number,
  end: number,
): Http1Error | undefined {
  const name = base + at;
  const first = (bytes[name] ?? 0) | 32;
  switch (colon - at) {
    case 2:
      if (first === 116 && isNamed(bytes, name, TE)) {
        head.marks.add(at, colon, end + 2, DROP);
        if (listItems(valueIn(text, bytes, base, colon, end)).includes('trailers')) head.teTrailers = true;
      }
      return undefined;
    case 4:
      return first === 104 && isNamed(bytes, name, HOST) ? readHost(head, hostOf(text, colon, end)) : undefined;
    case 6:
      if (first === 99 && isNamed(bytes, name, COOKIE_NAME)) head.marks.add(at, colon, end + 2, COOKIE);
      else if (first === 101 && isNamed(bytes, name, EXPECT)) {
        seen.hasExpect = true;
        seen.expect = joinValues(seen.expect, valueIn(text, bytes, base, colon, end));
        // RFC 9110, 10.1.1: an expectation of an HTTP/1.0 client is ignored.
        if (head.minor === 0) head.marks.add(at, colon, end + 2, DROP);
      }
      return undefined;
    case 7:
      if (first === 117 && isNamed(bytes, name, UPGRADE_NAME)) {
        head.marks.add(at, colon, end + 2, DROP);
        seen.upgrade = joinValues(seen.upgrade, valueIn(text, bytes, base, colon, end));
      }
      return undefined;
    case 10:
      if (first === 99 && isNamed(bytes, name, CONNECTION)) {
        head.marks.add(at, colon, end + 2, DROP);
        seen.connection |= readConnection(valueIn(text, bytes, base, colon, end), head.listed);
      } else if (first === 107 && isNamed(bytes, name, KEEP_ALIVE_NAME)) head.marks.add(at, colon, end + 2, DROP);
      return undefined;
    case 14:
      if (first === 99 && isNamed(bytes, name, CONTENT_LENGTH)) {
        if (head.contentLength >= 0) return ERRORS.manyContentLengths;
        head.contentLength = readLength(valueIn(text, bytes, base, colon, end));
        return head.contentLength < 0 ? ERRORS.badContentLength : undefined;
      }
      if (
        (first === 104 && isNamed(bytes, name, HTTP2_SETTINGS)) ||
        // Backends that turn names into environment variables read Content_Length as Content-Length.
        (first === 99 && nameIs(text, at, 'content-length'))
      ) {
        head.marks.add(at, colon, end + 2, DROP);
      }
      return undefined;
    case 9:
    case 12:
      if (first === 120 || first === 102) readForwarding(head, text, at, colon, end);
      return undefined;
    case 15:
      if (first === 120) readForwarding(head, text, at, colon, end);
      else if (first === 115) dropCertificate(head, text, at, colon, end);
      return undefined;
    case 16:
      if (first === 112 && isNamed(bytes, name, PROXY_CONNECTION)) head.marks.add(at, colon, end + 2, DROP);
      else if (first === 120) readForwarding(head, text, at, colon, end);
      return undefined;
    case 17:
      if (first === 116 && isNamed(bytes, name, TRANSFER_ENCODING)) {
        head.marks.add(at, colon, end + 2, DROP);
        seen.hasCoding = true;
        seen.coding = joinValues(seen.coding, valueIn(text, bytes, base, colon, end));
      } else if (first === 116 && nameIs(text, at, 'transfer-encoding')) head.marks.add(at, colon, end + 2, DROP);
      else if (first === 120) readForwarding(head, text, at, colon, end);
      else if (first === 115) dropCertificate(head, text, at, colon, end);
      return undefined;
    case 20:
    case 21:
      if (first === 115) dropCertificate(head, text, at, colon, end);
      return undefined;
    default:
      return undefined;
  }
}

function readHost(head: RequestHead, value: string): Http1Error | undefined {
  if (head.hasHost) return ERRORS.manyHosts;
  head.hasHost = true;
  head.authority = value;
  return value === '' || isAuthority(value) ? undefined : ERRORS.badHost;
}

/** Fields that we set ourselves: every line goes; a spelling with `_` goes too, but its value is not believed. */
function readForwarding(head: RequestHead, text: string, at: number, colon: number, end: number): void {
  const length = colon - at;
  const exact = !text.slice(at, colon).includes('_');
  if (length === 9 && (text.charCodeAt(at) | 32) === 102) {
    if (!nameIs(text, at, 'forwarded')) return;
    head.forwarded = joinValues(head.forwarded, valueOf(text, colon, end));
  } else if (length === 9) {
    if (!nameIs(text, at, 'x-real-ip')) return;
  } else if (length === 12) {
    if (!nameIs(text, at, 'x-request-id')) return;
    if (exact) head.xRequestId = joinValues(head.xRequestId, valueOf(text, colon, end));
  } else if (length === 15) {
    if (!nameIs(text, at, 'x-forwarded-for')) return;
    if (exact) head.xForwardedFor = joinValues(head.xForwardedFor, valueOf(text, colon, end));
  } else if (length === 16) {
    if (!nameIs(text, at, 'x-forwarded-host') && !nameIs(text, at, 'x-forwarded-port')) return;
  } else {
    if (!nameIs(text, at, 'x-forwarded-proto')) return;
    if (exact) head.xForwardedProto = joinValues(head.xForwardedProto, valueOf(text, colon, end));
  }
  head.marks.add(at, colon, end + 2, DROP);
}

/** What endpoints are told of a client's certificate, by length. */
const CERTIFICATE_FIELDS: Readonly<Record<number, string>> = {
  15: 'ssl-client-cert',
  17: 'ssl-client-verify',
  20: 'ssl-client-issuer-dn',
  21: 'ssl-client-subject-dn',
};

/** Nobody but us may say it, not even where no route asks: endpoints may believe it all the same. */
function dropCertificate(head: RequestHead, text: string, at: number, colon: number, end: number): void {
  if (nameIs(text, at, CERTIFICATE_FIELDS[colon - at] ?? '')) head.marks.add(at, colon, end + 2, DROP);
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
