/** Heads on their way out: untouched lines pass as ranges of the text that came in. All results are latin1 text. */
import { nameIsExactly, valueOf } from './fields.ts';
import { COOKIE } from './marks.ts';
import type { Marks } from './marks.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';

/** Edits of header lines that the parsers know nothing of. */
export interface NamedEdits {
  /** Lower case. */
  readonly names: readonly string[];
  /** The value as it shall pass; the same string = unchanged, empty = no line. */
  readonly edit: (name: string, value: string) => string;
}

export interface RequestEdits {
  /** Ready lines, each ending in CR LF: X-Forwarded-For and the like. */
  readonly extra: string;
  /** The value of a Cookie line as the backend shall see it; the same string = unchanged, empty = no line. */
  readonly editCookieLine?: ((value: string) => string) | undefined;
  readonly named?: NamedEdits | undefined;
  /** Another request target than the client's. */
  readonly target?: string | undefined;
}

export interface ResponseEdits {
  /** Ready lines, each ending in CR LF: our Set-Cookie and the like. */
  readonly extra: string;
  /** The value of a Set-Cookie line as the client shall see it; the same string = unchanged, empty = no line. */
  readonly editSetCookie?: ((value: string) => string) | undefined;
  readonly named?: NamedEdits | undefined;
  /** `keep-alive` has to be said to HTTP/1.0 clients only. */
  readonly connection: '' | 'close' | 'keep-alive';
  readonly framing: Framing;
  /** Value of Server when the backend sends none; empty = none. */
  readonly serverHeader: string;
  /** `private`: what the backend says to shared caches goes, and this is added; empty = none. */
  readonly cacheControl?: string | undefined;
}

/**
 * `length` = by what the head says: Content-Length, or that there is no body; `chunked` = we chunk; `close` = the end of
 * the connection ends the body; `stream` = the client's protocol frames by itself.
 */
export type Framing = 'length' | 'chunked' | 'close' | 'stream';

/** The framing of a response towards a client of HTTP/1.`clientMinor`. */
export function framingFor(head: ResponseHead, clientMinor: number): Framing {
  if (!head.untilClose && !head.chunked) return 'length';
  return clientMinor === 0 ? 'close' : 'chunked';
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
  if (edits.named !== undefined) out = withNamed(out, edits.named);
  if (head.chunked) out += 'Transfer-Encoding: chunked\r\n';
  if (head.teTrailers) out += 'TE: trailers\r\n';
  return `${out}${edits.extra}\r\n`;
}

/** The head for the client, always HTTP/1.1 (RFC 9110, 6.2). */
export function responseText(head: ResponseHead, edits: ResponseEdits): string {
  const { text, marks } = head;
  const { editSetCookie } = edits;
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
      if (editSetCookie === undefined) continue;
      const value = valueOf(text, marks.at(i + 1), stop - 2);
      const edited = editSetCookie(value);
      if (edited === value) continue;
      out += text.slice(from, start);
      if (edited !== '') out += `Set-Cookie: ${edited}\r\n`;
    } else out += text.slice(from, start);
    from = stop;
  }
  out += text.slice(from, text.length - 2);
  if (edits.named !== undefined) out = withNamed(out, edits.named);
  if (edits.framing === 'chunked') out += 'Transfer-Encoding: chunked\r\n';
  if (!head.hasServer && edits.serverHeader !== '') out += `Server: ${edits.serverHeader}\r\n`;
  if (edits.cacheControl !== undefined && edits.cacheControl !== '') out = withoutSharing(out, edits.cacheControl);
  if (edits.framing === 'close' || edits.connection === 'close') out += 'Connection: close\r\n';
  else if (edits.connection === 'keep-alive') out += 'Connection: keep-alive\r\n';
  return `${out}${edits.extra}\r\n`;
}

/** `head`: whole lines. */
function withNamed(head: string, { names, edit }: NamedEdits): string {
  let out = '';
  let from = 0;
  for (let at = head.indexOf('\r\n') + 2; at < head.length;) {
    const colon = head.indexOf(':', at);
    const end = head.indexOf('\r', colon);
    for (const name of names) {
      if (colon - at !== name.length || !nameIsExactly(head, at, name)) continue;
      const value = valueOf(head, colon, end);
      const edited = edit(name, value);
      if (edited === value) continue;
      out += head.slice(from, edited === '' ? at : colon);
      if (edited !== '') out += `: ${edited}\r\n`;
      from = end + 2;
    }
    at = end + 2;
  }
  return from === 0 ? head : out + head.slice(from);
}

const CACHE_CONTROL = 'cache-control';
/** `private="set-cookie"` is weaker than `private` and stays (RFC 9111, 5.2.2.7). */
const SHARED_ONLY = /^(?:public|private|s-maxage(?:[ \t]*=.*)?)$/i;

/** All Cache-Control lines as one, where the first stood: nothing that invites shared caches, and the directive. */
function withoutSharing(head: string, directive: string): string {
  let out = '';
  let from = 0;
  let place = -1;
  const kept: string[] = [];
  for (let at = head.indexOf('\r\n') + 2; at < head.length;) {
    const colon = head.indexOf(':', at);
    const end = head.indexOf('\r', colon);
    if (colon - at === CACHE_CONTROL.length && nameIsExactly(head, at, CACHE_CONTROL)) {
      kept.push(...directivesOf(valueOf(head, colon, end)));
      out += head.slice(from, at);
      if (place < 0) place = out.length;
      from = end + 2;
    }
    at = end + 2;
  }
  out += head.slice(from);
  const line = `Cache-Control: ${[...kept, directive].join(', ')}\r\n`;
  return place < 0 ? out + line : out.slice(0, place) + line + out.slice(place);
}

/** The directives that stay; commas in quotes belong to theirs (RFC 9110, 5.6.4). */
function directivesOf(value: string): string[] {
  const items: string[] = [];
  let from = 0;
  let quoted = false;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code === 34) quoted = !quoted;
    else if (quoted && code === 92) i++;
    else if (!quoted && code === 44) {
      items.push(valueOf(value, from - 1, i));
      from = i + 1;
    }
  }
  items.push(valueOf(value, from - 1, value.length));
  return items.filter((item) => item !== '' && !SHARED_ONLY.test(item));
}

/** A 100, 102 or 103 without its hop-by-hop lines; Set-Cookie does not belong in it. Never for HTTP/1.0 clients. */
export function interimText(head: ResponseHead, named?: NamedEdits): string {
  const lines = withoutMarked(head.text, head.linesStart, head.marks);
  const text = `HTTP/1.1 ${head.status} ${head.reason}\r\n${lines}`;
  return `${named === undefined ? text : withNamed(text, named)}\r\n`;
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
