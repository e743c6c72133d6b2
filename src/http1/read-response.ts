/** From the text of a response head to a ResponseHead, or the reason why not (RFC 9112, 4 and 6). */
import { CLOSE, connectionIn, KEEP_ALIVE, namesResponseField, UPGRADE } from './connection.ts';
import { ERRORS } from './error.ts';
import type { Http1Error } from './error.ts';
import { joinValues, valueIn } from './fields.ts';
import { codingFault, lengthIn } from './framing.ts';
import { explainResponseHead } from './grammar.ts';
import { fieldNumber } from './known-fields.ts';
import type { HeadLimits } from './limits.ts';
import { COOKIE, DROP, markListed } from './marks.ts';
import type { ResponseHead } from './response-head.ts';
import { LINE, LINE_END, LINES, SCANNED, scanResponse, USED } from './scan.ts';

/** What is judged together with other lines; one for all, since nothing here is async. */
const seen = { connection: 0, coding: '', hasCoding: false, upgrade: '' };

const CACHE_CONTROL = fieldNumber('cache-control');
const CONNECTION = fieldNumber('connection');
const CONTENT_LENGTH = fieldNumber('content-length');
const DATE = fieldNumber('date');
const EXPIRES = fieldNumber('expires');
const KEEP_ALIVE_NAME = fieldNumber('keep-alive');
const LOCATION = fieldNumber('location');
const PROXY_CONNECTION = fieldNumber('proxy-connection');
const SERVER = fieldNumber('server');
const SET_COOKIE = fieldNumber('set-cookie');
const STRICT_TRANSPORT_SECURITY = fieldNumber('strict-transport-security');
const TE = fieldNumber('te');
const TRANSFER_ENCODING = fieldNumber('transfer-encoding');
const UPGRADE_NAME = fieldNumber('upgrade');

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
  const most = Math.min(size, limits.headers * LINE);
  for (let i = 0; i < most; i += LINE) {
    const field = lines[i + 3]!;
    if (field <= 0) continue;
    const fault = readLine(head, text, bytes, base, field, lines[i]!, lines[i + 1]!, lines[i + 2]!);
    if (fault !== undefined) return fault;
  }
  return size > most ? ERRORS.tooManyFields : undefined;
}

/** The most common ones come first: they are asked for one after another. */
function readLine(
  head: ResponseHead,
  text: string,
  bytes: Uint8Array,
  base: number,
  field: number,
  at: number,
  colon: number,
  end: number,
): Http1Error | undefined {
  switch (field) {
    case DATE:
      head.hasDate = true;
      return undefined;
    case SERVER:
      head.hasServer = true;
      return undefined;
    case CONTENT_LENGTH:
      return readSize(head, lengthIn(bytes, base + colon + 1, base + end), at, colon, end);
    case SET_COOKIE:
      head.marks.add(at, colon, end + 2, COOKIE);
      return undefined;
    case CACHE_CONTROL:
      head.cacheControl = joinValues(head.cacheControl, valueIn(text, bytes, base, colon, end));
      return undefined;
    case EXPIRES:
      head.hasExpires = true;
      return undefined;
    case LOCATION:
      head.location = valueIn(text, bytes, base, colon, end);
      return undefined;
    case STRICT_TRANSPORT_SECURITY:
      head.hasHsts = true;
      return undefined;
    case CONNECTION:
      seen.connection |= connectionIn(text, bytes, base, colon, end, head.listed);
      break;
    case TRANSFER_ENCODING:
      seen.hasCoding = true;
      seen.coding = joinValues(seen.coding, valueIn(text, bytes, base, colon, end));
      break;
    case KEEP_ALIVE_NAME:
      head.keepAliveTimeout = readTimeout(valueIn(text, bytes, base, colon, end), head.keepAliveTimeout);
      break;
    case UPGRADE_NAME:
      seen.upgrade = joinValues(seen.upgrade, valueIn(text, bytes, base, colon, end));
      break;
    case PROXY_CONNECTION:
    case TE:
      break;
    default:
      return undefined;
  }
  head.marks.add(at, colon, end + 2, DROP);
  return undefined;
}

/** Seconds of `timeout=N` in Keep-Alive; `otherwise` where it does not say. */
function readTimeout(keepAlive: string, otherwise: number): number {
  const timeout = /(?:^|[ \t,])timeout=([0-9]{1,9})(?![0-9])/i.exec(keepAlive);
  return timeout === null ? otherwise : Number(timeout[1]);
}

function readSize(head: ResponseHead, length: number, at: number, colon: number, end: number): Http1Error | undefined {
  if (head.contentLength >= 0) return ERRORS.manyContentLengths;
  head.contentLength = length;
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
