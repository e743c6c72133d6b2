/** The head of one request: what deciding, forwarding and framing need, in fields that one object reuses. */
import { NO_TLS } from '../model/facts.ts';
import type { RequestFacts } from '../model/facts.ts';
import { findField, findFields, valueOf } from './fields.ts';
import { COOKIE, Marks } from './marks.ts';

export class RequestHead implements RequestFacts {
  /** The whole head as latin1 text, empty line included. */
  text = '';
  /** Index of the first header line. */
  linesStart = 0;
  method = '';
  /** As it is forwarded: origin-form, or `*`. */
  target = '/';
  /** True when `target` is not what stands in `text` (absolute-form). */
  rewritten = false;
  /** 0 or 1: HTTP/1.0 or HTTP/1.1. */
  minor = 1;
  /** Raw value of Host; empty = none or an empty one. */
  authority = '';
  hasHost = false;
  /** Bytes; -1 = no Content-Length. */
  contentLength = -1;
  chunked = false;
  /** What the client asked for; HTTP/1.0 has to ask. */
  keepAlive = true;
  /** The client waits for a 100 (never with HTTP/1.0). */
  expectContinue = false;
  /** Lower-case value of Upgrade when Connection names it; empty otherwise. Never forwarded by `requestText`. */
  upgrade = '';
  teTrailers = false;
  /** The client's values, all lines joined by `, `; empty = none. Their lines are never forwarded. */
  xForwardedFor = '';
  forwarded = '';
  xForwardedProto = '';
  xRequestId = '';
  /** Lines to leave out and Cookie lines. */
  readonly marks = new Marks();
  /** Lower-case names in Connection that are not hop-by-hop as such; usually empty. */
  readonly listed: string[] = [];

  // Set by the lane once it has resolved them.
  host = '';
  path = '/';
  query = '';
  clientAddress = '';
  scheme: 'http' | 'https' = 'http';
  port = 0;
  tls = NO_TLS;

  private cookies: string | undefined = undefined;
  /** What the last request had, whosever it was: the same is given as the very same string, so that comparing it costs nothing. */
  private lastCookies = '';

  /** True when a body of at least one byte may follow. */
  get hasBody(): boolean {
    return this.chunked || this.contentLength > 0;
  }

  get cookie(): string {
    if (this.cookies === undefined)
      this.cookies = this.lastCookies = joinCookies(this.text, this.marks, this.lastCookies);
    return this.cookies;
  }

  /** First value of a header by its lower-case name, also of lines that are not forwarded. */
  header(name: string): string | undefined {
    return findField(this.text, this.linesStart, name);
  }

  headers(name: string): readonly string[] {
    return findFields(this.text, this.linesStart, name);
  }

  /** Readies the object for the next request; the client's address, scheme, port and TLS stay until the lane sets them. */
  reset(): void {
    this.text = '';
    this.linesStart = 0;
    this.method = '';
    this.target = '/';
    this.rewritten = false;
    this.minor = 1;
    this.authority = '';
    this.hasHost = false;
    this.contentLength = -1;
    this.chunked = false;
    this.keepAlive = true;
    this.expectContinue = false;
    this.upgrade = '';
    this.teTrailers = false;
    this.xForwardedFor = '';
    this.forwarded = '';
    this.xForwardedProto = '';
    this.xRequestId = '';
    this.marks.size = 0;
    if (this.listed.length > 0) this.listed.length = 0;
    this.host = '';
    this.path = '/';
    this.query = '';
    this.cookies = undefined;
  }
}

/** `last`: what may stand there again. */
function joinCookies(text: string, marks: Marks, last: string): string {
  let joined = '';
  for (let i = 0; i < marks.size; i += 4) {
    if (marks.at(i + 3) !== COOKIE) continue;
    const colon = marks.at(i + 1);
    const end = marks.at(i + 2) - 2;
    const value = valueOf(text, colon, end);
    if (value !== '') joined = joined === '' ? value : `${joined}; ${value}`;
  }
  return joined === last ? last : joined;
}
