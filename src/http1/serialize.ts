/** Heads on their way out: untouched lines pass as ranges of the text that came in. All results are latin1 text. */
import { valueOf } from './fields.ts';
import { COOKIE } from './marks.ts';
import type { Marks } from './marks.ts';
import type { RequestHead } from './request-head.ts';
import { cookieName } from './response-head.ts';
import type { ResponseHead } from './response-head.ts';

export interface RequestEdits {
  /** Ready lines, each ending in CR LF: X-Forwarded-For and the like. */
  readonly extra: string;
  /** The value of a Cookie line as the backend shall see it; the same string = unchanged, empty = no line. */
  readonly editCookieLine?: ((value: string) => string) | undefined;
  /** Another request target than the client's. */
  readonly target?: string | undefined;
}

export interface ResponseEdits {
  /** Ready lines, each ending in CR LF: our Set-Cookie and the like. */
  readonly extra: string;
  /** True = the backend's Set-Cookie of this name is left out. */
  readonly dropSetCookie?: ((name: string) => boolean) | undefined;
  /** `keep-alive` has to be said to HTTP/1.0 clients only. */
  readonly connection: '' | 'close' | 'keep-alive';
  readonly framing: Framing;
  /** Value of Server when the backend sends none; empty = none. */
  readonly serverHeader: string;
  /** A further Cache-Control value, `private` for instance; empty = none. */
  readonly cacheControl?: string | undefined;
}

/** `same` = as the backend framed it; `chunked` = we chunk; `close` = the end of the connection ends the body. */
export type Framing = 'same' | 'chunked' | 'close';

/** The framing of a response towards a client of HTTP/1.`clientMinor`. */
export function framingFor(head: ResponseHead, clientMinor: number): Framing {
  if (head.untilClose) return clientMinor === 0 ? 'close' : 'chunked';
  if (head.chunked && clientMinor === 0) return 'close';
  return 'same';
}

/** The head for the backend, always HTTP/1.1, Host always there. */
export function requestText(head: RequestHead, edits: RequestEdits): string {
  const text = head.text;
  const { target, editCookieLine } = edits;
  let out: string;
  let from = 0;
  if (head.minor === 1 && !head.rewritten && target === undefined) out = '';
  else {
    out = `${head.method} ${target ?? head.target} HTTP/1.1\r\n`;
    if (!head.hasHost) out += 'Host: \r\n';
    from = head.linesStart;
  }
  const marks = head.marks;
  for (let i = 0; i < marks.size; i += 4) {
    const start = marks.at(i);
    const stop = marks.at(i + 2);
    if (marks.at(i + 3) === COOKIE) {
      if (editCookieLine === undefined) continue;
      const value = valueOf(text, marks.at(i + 1), stop - 2);
      const edited = editCookieLine(value);
      if (edited === value) continue;
      out += text.slice(from, start);
      if (edited !== '') out += `Cookie: ${edited}\r\n`;
    } else out += text.slice(from, start);
    from = stop;
  }
  out += text.slice(from, text.length - 2);
  if (head.chunked) out += 'Transfer-Encoding: chunked\r\n';
  if (head.teTrailers) out += 'TE: trailers\r\n';
  return `${out}${edits.extra}\r\n`;
}

/** The head for the client, always HTTP/1.1 (RFC 9110, 6.2). */
export function responseText(head: ResponseHead, edits: ResponseEdits): string {
  const { text, marks } = head;
  const { dropSetCookie } = edits;
  let out = '';
  let from = 0;
  // RFC 9112, 4: the space behind the code is there even when the reason is empty.
  if (head.minor === 0 || head.linesStart < 15) {
    out = `HTTP/1.1 ${head.status} ${head.reason}\r\n`;
    from = head.linesStart;
  }
  for (let i = 0; i < marks.size; i += 4) {
    const start = marks.at(i);
    const stop = marks.at(i + 2);
    if (marks.at(i + 3) === COOKIE) {
      if (dropSetCookie === undefined) continue;
      if (!dropSetCookie(cookieName(valueOf(text, marks.at(i + 1), stop - 2)))) continue;
    }
    out += text.slice(from, start);
    from = stop;
  }
  out += text.slice(from, text.length - 2);
  if (edits.framing === 'chunked' || (edits.framing === 'same' && head.chunked))
    out += 'Transfer-Encoding: chunked\r\n';
  if (!head.hasServer && edits.serverHeader !== '') out += `Server: ${edits.serverHeader}\r\n`;
  if (edits.cacheControl !== undefined && edits.cacheControl !== '') out += `Cache-Control: ${edits.cacheControl}\r\n`;
  if (edits.framing === 'close' || edits.connection === 'close') out += 'Connection: close\r\n';
  else if (edits.connection === 'keep-alive') out += 'Connection: keep-alive\r\n';
  return `${out}${edits.extra}\r\n`;
}

/** A 100, 102 or 103 without its hop-by-hop lines; Set-Cookie does not belong in it. Never for HTTP/1.0 clients. */
export function interimText(head: ResponseHead): string {
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n${withoutMarked(head.text, head.linesStart, head.marks)}\r\n`;
}

function withoutMarked(text: string, linesStart: number, marks: Marks): string {
  let out = '';
  let from = linesStart;
  for (let i = 0; i < marks.size; i += 4) {
    out += text.slice(from, marks.at(i));
    from = marks.at(i + 2);
  }
  return out + text.slice(from, text.length - 2);
}
