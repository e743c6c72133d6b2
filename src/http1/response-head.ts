/** The head of one response of a backend, in fields that one object per connection reuses. */
import { findField, findFields, listItems, valueOf } from './fields.ts';
import { COOKIE, Marks } from './marks.ts';

export class ResponseHead {
  /** The whole head as latin1 text, empty line included. */
  text = '';
  /** Index of the first header line. */
  linesStart = 0;
  status = 0;
  /** 0 or 1: HTTP/1.0 or HTTP/1.1. */
  minor = 1;
  /** The value of Content-Length, -1 = none. It also stands in answers to HEAD and in 304, which have no body. */
  contentLength = -1;
  /** Transfer-Encoding: chunked is there, see `contentLength`. */
  chunked = false;
  /** True for answers to HEAD, 1xx, 204 and 304 (RFC 9112, 6.3). */
  bodyless = false;
  /** Nothing follows: the message is complete with its head. */
  last = false;
  /** The body ends with the connection. */
  untilClose = false;
  /** The backend lets its connection be used again. */
  keepAlive = true;
  /** Seconds of `Keep-Alive: timeout=N`; -1 = not said. */
  keepAliveTimeout = -1;
  /** Lower-case value of Upgrade when Connection names it; empty otherwise. Never forwarded by `responseText`. */
  upgrade = '';
  hasServer = false;
  /** Strict-Transport-Security. */
  hasHsts = false;
  hasDate = false;
  hasExpires = false;
  /** All Cache-Control values joined by `, `; empty = none. */
  cacheControl = '';
  /** Raw value of Location; empty = none. */
  location = '';
  /** Lines to leave out and Set-Cookie lines. */
  readonly marks = new Marks();
  /** Lower-case names in Connection that are not hop-by-hop as such; usually empty. */
  readonly listed: string[] = [];

  /** As the backend wrote it; empty = none. */
  get reason(): string {
    return this.text.slice(13, Math.max(this.linesStart - 2, 13));
  }

  /** First value of a header by its lower-case name. */
  header(name: string): string | undefined {
    return findField(this.text, this.linesStart, name);
  }

  headers(name: string): readonly string[] {
    return findFields(this.text, this.linesStart, name);
  }

  /** The names of the cookies that the backend sets, in order; a line without `=` has the empty name. */
  setCookieNames(): string[] {
    const names: string[] = [];
    for (let i = 0; i < this.marks.size; i += 4) {
      if (this.marks.at(i + 3) !== COOKIE) continue;
      names.push(cookieName(valueOf(this.text, this.marks.at(i + 1), this.marks.at(i + 2) - 2)));
    }
    return names;
  }

  /** True when a shared cache is told that it may keep the response (RFC 9111, 3): heuristics do not count. */
  get cacheable(): boolean {
    if (this.cacheControl === '') return this.hasExpires;
    let may = this.hasExpires;
    for (const item of listItems(this.cacheControl)) {
      if (item === 'no-store' || item === 'private' || item.startsWith('private=')) return false;
      if (item === 'public' || item.startsWith('max-age=') || item.startsWith('s-maxage=')) may = true;
    }
    return may;
  }

  reset(): void {
    this.text = '';
    this.linesStart = 0;
    this.status = 0;
    this.minor = 1;
    this.contentLength = -1;
    this.chunked = false;
    this.bodyless = false;
    this.last = false;
    this.untilClose = false;
    this.keepAlive = true;
    this.keepAliveTimeout = -1;
    this.upgrade = '';
    this.hasServer = false;
    this.hasHsts = false;
    this.hasDate = false;
    this.hasExpires = false;
    this.cacheControl = '';
    this.location = '';
    this.marks.size = 0;
    if (this.listed.length > 0) this.listed.length = 0;
  }
}

/** The name that a browser would store (RFC 6265, 5.2). */
export function cookieName(setCookie: string): string {
  const semicolon = setCookie.indexOf(';');
  const pair = semicolon < 0 ? setCookie : setCookie.slice(0, semicolon);
  const equals = pair.indexOf('=');
  return equals < 0 ? '' : pair.slice(0, equals).replace(/^[ \t]+|[ \t]+$/g, '');
}
