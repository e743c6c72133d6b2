/** From the text of a response head to a ResponseHead, or the reason why not (RFC 9112, 4 and 6). */
import { CLOSE, KEEP_ALIVE, namesResponseField, readConnection, UPGRADE } from './connection.ts';
import { ERRORS } from './error.ts';
import type { Http1Error } from './error.ts';
import { joinValues, valueIn } from './fields.ts';
import { codingFault, readLength } from './framing.ts';
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

/** A line of a known field; of some it is enough that they are there. */
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
  if (field === DATE) head.hasDate = true;
  else if (field === SERVER) head.hasServer = true;
  else if (field === EXPIRES) head.hasExpires = true;
  else if (field === STRICT_TRANSPORT_SECURITY) head.hasHsts = true;
  else if (field === SET_COOKIE) head.marks.add(at, colon, end + 2, COOKIE);
  else {
    const value = valueIn(text, bytes, base, colon, end);
    if (field === CONTENT_LENGTH) return readSize(head, value, at, colon, end);
    if (!passes(head, field, value)) head.marks.add(at, colon, end + 2, DROP);
  }
  return undefined;
}

/** Keeps what a line says; false = it is not forwarded. */
function passes(head: ResponseHead, field: number, value: string): boolean {
  switch (field) {
    case CONNECTION:
      seen.connection |= readConnection(value, head.listed);
      return false;
    case CACHE_CONTROL:
      head.cacheControl = joinValues(head.cacheControl, value);
      return true;
    case LOCATION:
      head.location = value;
      return true;
    case TRANSFER_ENCODING:
      seen.hasCoding = true;
      seen.coding = joinValues(seen.coding, value);
      return false;
    case KEEP_ALIVE_NAME:
      head.keepAliveTimeout = readTimeout(value, head.keepAliveTimeout);
      return false;
    case UPGRADE_NAME:
      seen.upgrade = joinValues(seen.upgrade, value);
      return false;
    default:
      return field !== PROXY_CONNECTION && field !== TE;
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
