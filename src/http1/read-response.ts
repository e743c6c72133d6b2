/** From the text of a response head to a ResponseHead, or the reason why not (RFC 9112, 4 and 6). */
import { CLOSE, KEEP_ALIVE, namesResponseField, readConnection, UPGRADE } from './connection.ts';
import { ERRORS } from './error.ts';
import type { Http1Error } from './error.ts';
import { joinValues, nameIsExactly, valueOf } from './fields.ts';
import { codingFault, readLength } from './framing.ts';
import { checkResponseHead } from './grammar.ts';
import type { HeadLimits } from './limits.ts';
import { COOKIE, DROP, markListed } from './marks.ts';
import type { ResponseHead } from './response-head.ts';

/** What is judged together with other lines; one for all, since nothing here is async. */
const seen = { connection: 0, coding: '', hasCoding: false, upgrade: '' };

/** Fills `head`, which has been reset. `method` is the request's: answers to HEAD have no body. */
export function readResponseHead(
  head: ResponseHead,
  text: string,
  limits: HeadLimits,
  method: string,
): Http1Error | undefined {
  const fault = checkResponseHead(text);
  if (fault !== undefined) return fault;
  const lineEnd = text.indexOf('\r');
  head.text = text;
  head.minor = text.charCodeAt(7) - 48;
  head.status = (text.charCodeAt(9) - 48) * 100 + (text.charCodeAt(10) - 48) * 10 + text.charCodeAt(11) - 48;
  head.reason = lineEnd > 13 ? text.slice(13, lineEnd) : '';
  head.linesStart = lineEnd + 2;
  head.bodyless = method === 'HEAD' || head.status < 200 || head.status === 204 || head.status === 304;
  return readLines(head, text, limits) ?? judge(head, text);
}

function readLines(head: ResponseHead, text: string, limits: HeadLimits): Http1Error | undefined {
  seen.connection = 0;
  seen.coding = '';
  seen.hasCoding = false;
  seen.upgrade = '';
  const last = text.length - 2;
  let lines = 0;
  for (let at = head.linesStart; at < last;) {
    const colon = text.indexOf(':', at);
    const end = text.indexOf('\r', colon);
    if (++lines > limits.headers) return ERRORS.tooManyFields;
    const fault = readLine(head, text, at, colon, end);
    if (fault !== undefined) return fault;
    at = end + 2;
  }
  return undefined;
}

function readLine(head: ResponseHead, text: string, at: number, colon: number, end: number): Http1Error | undefined {
  const first = text.charCodeAt(at) | 32;
  switch (colon - at) {
    case 2:
      if (first === 116 && nameIsExactly(text, at, 'te')) head.marks.add(at, colon, end + 2, DROP);
      return undefined;
    case 4:
      if (first === 100 && nameIsExactly(text, at, 'date')) head.hasDate = true;
      return undefined;
    case 6:
      if (first === 115 && nameIsExactly(text, at, 'server')) head.hasServer = true;
      return undefined;
    case 7:
      if (first === 101 && nameIsExactly(text, at, 'expires')) head.hasExpires = true;
      else if (first === 117 && nameIsExactly(text, at, 'upgrade')) {
        head.marks.add(at, colon, end + 2, DROP);
        seen.upgrade = joinValues(seen.upgrade, valueOf(text, colon, end));
      }
      return undefined;
    case 8:
      if (first === 108 && nameIsExactly(text, at, 'location')) head.location = valueOf(text, colon, end);
      return undefined;
    case 10:
      readTenLetters(head, text, at, colon, end);
      return undefined;
    case 13:
      if (first === 99 && nameIsExactly(text, at, 'cache-control')) {
        head.cacheControl = joinValues(head.cacheControl, valueOf(text, colon, end));
      }
      return undefined;
    case 14:
      return first === 99 && nameIsExactly(text, at, 'content-length')
        ? readSize(head, text, at, colon, end)
        : undefined;
    case 16:
      if (first === 112 && nameIsExactly(text, at, 'proxy-connection')) head.marks.add(at, colon, end + 2, DROP);
      return undefined;
    case 17:
      if (first === 116 && nameIsExactly(text, at, 'transfer-encoding')) {
        head.marks.add(at, colon, end + 2, DROP);
        seen.hasCoding = true;
        seen.coding = joinValues(seen.coding, valueOf(text, colon, end));
      }
      return undefined;
    case 25:
      if (first === 115 && nameIsExactly(text, at, 'strict-transport-security')) head.hasHsts = true;
      return undefined;
    default:
      return undefined;
  }
}

/** Connection, Keep-Alive, Set-Cookie. */
function readTenLetters(head: ResponseHead, text: string, at: number, colon: number, end: number): void {
  if (nameIsExactly(text, at, 'set-cookie')) head.marks.add(at, colon, end + 2, COOKIE);
  else if (nameIsExactly(text, at, 'connection')) {
    head.marks.add(at, colon, end + 2, DROP);
    seen.connection |= readConnection(valueOf(text, colon, end), head.listed);
  } else if (nameIsExactly(text, at, 'keep-alive')) {
    head.marks.add(at, colon, end + 2, DROP);
    const timeout = /(?:^|[ \t,])timeout=([0-9]{1,9})(?![0-9])/i.exec(valueOf(text, colon, end));
    if (timeout !== null) head.keepAliveTimeout = Number(timeout[1]);
  }
}

function readSize(head: ResponseHead, text: string, at: number, colon: number, end: number): Http1Error | undefined {
  if (head.contentLength >= 0) return ERRORS.manyContentLengths;
  head.contentLength = readLength(valueOf(text, colon, end));
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
