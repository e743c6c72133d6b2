/** From the text of a response head to a ResponseHead, or the reason why not (RFC 9112, 4 and 6). */
import { CLOSE, KEEP_ALIVE, namesResponseField, readConnection, UPGRADE } from './connection.ts';
import { ERRORS } from './error.ts';
import type { Http1Error } from './error.ts';
import { isNamed, joinValues, nameBytes, valueIn } from './fields.ts';
import { codingFault, readLength } from './framing.ts';
import { explainResponseHead } from './grammar.ts';
import type { HeadLimits } from './limits.ts';
import { COOKIE, DROP, markListed } from './marks.ts';
import type { ResponseHead } from './response-head.ts';
import { LINE_END, LINES, SCANNED, scanResponse, USED } from './scan.ts';

/** What is judged together with other lines; one for all, since nothing here is async. */
const seen = { connection: 0, coding: '', hasCoding: false, upgrade: '' };

// Of this module, although another one has some of them, too: what is imported is fetched and checked at each use.
const CACHE_CONTROL = nameBytes('cache-control');
const CONNECTION = nameBytes('connection');
const CONTENT_LENGTH = nameBytes('content-length');
const DATE = nameBytes('date');
const EXPIRES = nameBytes('expires');
const KEEP_ALIVE_NAME = nameBytes('keep-alive');
const LOCATION = nameBytes('location');
const PROXY_CONNECTION = nameBytes('proxy-connection');
const SERVER = nameBytes('server');
const SET_COOKIE = nameBytes('set-cookie');
const STRICT_TRANSPORT_SECURITY = nameBytes('strict-transport-security');
const TE = nameBytes('te');
const TRANSFER_ENCODING = nameBytes('transfer-encoding');
const UPGRADE_NAME = nameBytes('upgrade');

/** Fills `head`, which has been reset, from the complete head `text`. `method` is the request's: answers to HEAD have no body. */
export function readResponseHead(
  head: ResponseHead,
  text: string,
  limits: HeadLimits,
  method: string,
): Http1Error | undefined {
  const bytes = Buffer.from(text, 'latin1');
  if (scanResponse(bytes, 0, bytes.length) !== bytes.length) return explainResponseHead(text);
  return readScannedResponse(head, text, bytes, 0, limits, method);
}

/** The same where `scanResponse` has just walked over the head, whose bytes start at `base`. */
export function readScannedResponse(
  head: ResponseHead,
  text: string,
  bytes: Uint8Array,
  base: number,
  limits: HeadLimits,
  method: string,
): Http1Error | undefined {
  const lineEnd = SCANNED[LINE_END]!;
  head.text = text;
  head.minor = digit(bytes, base + 7);
  head.status = digit(bytes, base + 9) * 100 + digit(bytes, base + 10) * 10 + digit(bytes, base + 11);
  head.reason = lineEnd > 13 ? text.slice(13, lineEnd) : '';
  head.linesStart = lineEnd + 2;
  head.bodyless = method === 'HEAD' || head.status < 200 || head.status === 204 || head.status === 304;
  return readLines(head, text, bytes, base, limits) ?? judge(head, text);
}

function digit(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) - 48;
}

function readLines(
  head: ResponseHead,
  text: string,
  bytes: Uint8Array,
  base: number,
  limits: HeadLimits,
): Http1Error | undefined {
  seen.connection = 0;
  seen.coding = '';
  seen.hasCoding = false;
  seen.upgrade = '';
  const lines = LINES;
  const size = SCANNED[USED]!;
  for (let i = 0; i < size; i += 3) {
    if (i >= limits.headers * 3) return ERRORS.tooManyFields;
    const fault = readLine(head, text, bytes, base, lines[i]!, lines[i + 1]!, lines[i + 2]!);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function readLine(
  head: ResponseHead,
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
      if (first === 116 && isNamed(bytes, name, TE)) head.marks.add(at, colon, end + 2, DROP);
      return undefined;
    case 4:
      if (first === 100 && isNamed(bytes, name, DATE)) head.hasDate = true;
      return undefined;
    case 6:
      if (first === 115 && isNamed(bytes, name, SERVER)) head.hasServer = true;
      return undefined;
    case 7:
      if (first === 101 && isNamed(bytes, name, EXPIRES)) head.hasExpires = true;
      else if (first === 117 && isNamed(bytes, name, UPGRADE_NAME)) {
        head.marks.add(at, colon, end + 2, DROP);
        seen.upgrade = joinValues(seen.upgrade, valueIn(text, bytes, base, colon, end));
      }
      return undefined;
    case 8:
      if (first === 108 && isNamed(bytes, name, LOCATION)) head.location = valueIn(text, bytes, base, colon, end);
      return undefined;
    case 10:
      if (first === 115 && isNamed(bytes, name, SET_COOKIE)) head.marks.add(at, colon, end + 2, COOKIE);
      else if (first === 99 && isNamed(bytes, name, CONNECTION)) {
        head.marks.add(at, colon, end + 2, DROP);
        seen.connection |= readConnection(valueIn(text, bytes, base, colon, end), head.listed);
      } else if (first === 107 && isNamed(bytes, name, KEEP_ALIVE_NAME)) {
        head.marks.add(at, colon, end + 2, DROP);
        head.keepAliveTimeout = readTimeout(valueIn(text, bytes, base, colon, end), head.keepAliveTimeout);
      }
      return undefined;
    case 13:
      if (first === 99 && isNamed(bytes, name, CACHE_CONTROL)) {
        head.cacheControl = joinValues(head.cacheControl, valueIn(text, bytes, base, colon, end));
      }
      return undefined;
    case 14:
      return first === 99 && isNamed(bytes, name, CONTENT_LENGTH)
        ? readSize(head, valueIn(text, bytes, base, colon, end), at, colon, end)
        : undefined;
    case 16:
      if (first === 112 && isNamed(bytes, name, PROXY_CONNECTION)) head.marks.add(at, colon, end + 2, DROP);
      return undefined;
    case 17:
      if (first === 116 && isNamed(bytes, name, TRANSFER_ENCODING)) {
        head.marks.add(at, colon, end + 2, DROP);
        seen.hasCoding = true;
        seen.coding = joinValues(seen.coding, valueIn(text, bytes, base, colon, end));
      }
      return undefined;
    case 25:
      if (first === 115 && isNamed(bytes, name, STRICT_TRANSPORT_SECURITY)) head.hasHsts = true;
      return undefined;
    default:
      return undefined;
  }
}

/** Seconds of `timeout=N` in Keep-Alive; `otherwise` where it does not say. */
function readTimeout(keepAlive: string, otherwise: number): number {
  const timeout = /(?:^|[ \t,])timeout=([0-9]{1,9})(?![0-9])/i.exec(keepAlive);
  return timeout === null ? otherwise : Number(timeout[1]);
}

function readSize(head: ResponseHead, value: string, at: number, colon: number, end: number): Http1Error | undefined {
  if (head.contentLength >= 0) return ERRORS.manyContentLengths;
  head.contentLength = readLength(value);
  if (head.contentLength < 0) return ERRORS.badContentLength;
  // RFC 9110, 8.6: must not be sent in 1xx and 204; common all the same, so it is left out.
  if (head.status < 200 || head.status === 204) head.marks.add(at, colon, end + 2, DROP);
  return undefined;
}

function judge(head: ResponseHead, text: string): Http1Error | undefined {
  if (seen.hasCoding) {
    if (head.contentLength >= 0) return ERRORS.lengthAndEncoding;
    if (head.minor === 0) return ERRORS.encodingInHttp10;
    const fault = codingFault(seen.coding);
    if (fault !== undefined) return fault;
    head.chunked = head.status >= 200 && head.status !== 204;
  }
  if (head.listed.length > 0) {
    if (namesResponseField(head.listed)) return ERRORS.badConnection;
    markListed(head.marks, text, head.linesStart, head.listed);
  }
  const flags = seen.connection;
  head.last = head.bodyless || head.contentLength === 0;
  head.untilClose = !head.bodyless && !head.chunked && head.contentLength < 0;
  head.keepAlive = !head.untilClose && (flags & CLOSE) === 0 && (head.minor === 1 || (flags & KEEP_ALIVE) !== 0);
  if ((flags & UPGRADE) !== 0 && head.minor === 1) head.upgrade = seen.upgrade.toLowerCase();
  return undefined;
}
