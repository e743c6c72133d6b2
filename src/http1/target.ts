/** Request targets other than origin-form (RFC 9112, 3.2), and the authority of Host. */
import { ERRORS } from './error.ts';
import type { Http1Error } from './error.ts';
import { valueOf } from './fields.ts';
import type { RequestHead } from './request-head.ts';

// RFC 3986, 3.2.2 without the comma, which others might read as a list; an IPv6 address is looked at by whoever routes.
const AUTHORITY = /^(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+)(?::[0-9]{0,5})?$/;
const ABSOLUTE = /^https?:\/\/([^/?]*)(.*)$/i;

/** The last authority that was right: most requests in a row are for the same. */
let known = '';

/** The value of a Host line; that of the line before as the very same string, so that comparing it again costs nothing. */
export function hostOf(text: string, colon: number, end: number): string {
  const value = valueOf(text, colon, end);
  return value === known ? known : value;
}

/** True for `host` or `host:port`; empty is none. */
export function isAuthority(value: string): boolean {
  if (value === known && value !== '') return true;
  if (!AUTHORITY.test(value)) return false;
  known = value;
  return true;
}

/** Turns the absolute-form into the origin-form; the asterisk stays. */
export function readTarget(head: RequestHead): Http1Error | undefined {
  if (head.target === '*') return head.method === 'OPTIONS' ? undefined : ERRORS.badTarget;
  const parts = ABSOLUTE.exec(head.target);
  if (parts === null) return ERRORS.badTarget;
  const authority = parts[1] ?? '';
  const rest = parts[2] ?? '';
  if (!isAuthority(authority)) return ERRORS.badTarget;
  if (authority.toLowerCase() !== head.authority.toLowerCase()) return ERRORS.hostMismatch;
  head.rewritten = true;
  // RFC 9112, 3.2.4: OPTIONS without path and query is meant for the whole server.
  if (rest === '') head.target = head.method === 'OPTIONS' ? '*' : '/';
  else head.target = rest.startsWith('?') ? `/${rest}` : rest;
  return undefined;
}
