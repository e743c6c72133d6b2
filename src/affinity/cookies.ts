/** Edits of Cookie headers and the names in Set-Cookie lines. */
import type { ForeignCookie, TokenCookieKey } from '../model/policy.ts';
import { isNamed } from '../rules/cookie/read.ts';
import type { LiveAffinity } from './build.ts';
import { parsePlain } from './plain.ts';
import { isTokenShaped } from './token.ts';

export { cookieValues } from '../rules/cookie/read.ts';

/**
 * The Cookie value without the pairs of the given names; the other pairs stay byte for byte and in order. The same string
 * when there was none of them; empty when nothing is left, and then the header has to go (RFC 6265 section 4.2.1).
 */
export function removeCookies(cookie: string, names: readonly string[]): string {
  let result = '';
  let removed = false;
  let keptFrom = 0;
  let equals = -1;
  for (let start = 0; start < cookie.length;) {
    const semicolon = cookie.indexOf(';', start);
    const end = semicolon < 0 ? cookie.length : semicolon;
    if (equals < start) equals = cookie.indexOf('=', start);
    if (equals < 0) break;
    if (equals < end && isNamed(cookie, start, equals, names)) {
      result += cookie.slice(keptFrom, start);
      keptFrom = end + 1;
      removed = true;
    }
    start = end + 1;
  }
  return removed ? trimPairs(result + cookie.slice(keptFrom)) : cookie;
}

/** The Cookie value as the backend shall see it; the same string = unchanged, empty = the header has to go. */
export function editCookies(cookie: string, { prefixed, foreign, hiddenCookies }: LiveAffinity): string {
  let edited = cookie;
  for (const key of prefixed) {
    edited = withoutPrefix(edited, key.name ?? '', key.delimiter, (text) => isPrefix(key, text));
  }
  for (const accepted of foreign) {
    edited = withoutPrefix(edited, accepted.name, '~', (text) => isForeignPrefix(accepted, text));
  }
  return hiddenCookies.length === 0 ? edited : removeCookies(edited, hiddenCookies);
}

/** Takes what `prefixes` accepts, and the delimiter, off the values of a cookie; whether it is still valid does not matter. */
function withoutPrefix(cookie: string, name: string, delimiter: string, prefixes: (text: string) => boolean): string {
  const names = [name];
  let result = '';
  let keptFrom = 0;
  let equals = -1;
  for (let start = 0; start < cookie.length;) {
    const semicolon = cookie.indexOf(';', start);
    const end = semicolon < 0 ? cookie.length : semicolon;
    if (equals < start) equals = cookie.indexOf('=', start);
    if (equals < 0) break;
    if (equals < end && isNamed(cookie, start, equals, names)) {
      const from = valueStart(cookie, equals + 1, end);
      const value = cookie.slice(from, end);
      const length = value.indexOf(delimiter);
      if (length >= 0 && prefixes(value.slice(0, length))) {
        result += cookie.slice(keptFrom, from);
        keptFrom = from + length + 1;
      }
    }
    start = end + 1;
  }
  return result + cookie.slice(keptFrom);
}

/** Behind the spaces and the quote that a value may begin with. */
function valueStart(cookie: string, start: number, end: number): number {
  let from = start;
  while (from < end && (cookie.charCodeAt(from) === 0x20 || cookie.charCodeAt(from) === 0x09)) from++;
  return from < end && cookie.charCodeAt(from) === 0x22 ? from + 1 : from;
}

function isPrefix(key: TokenCookieKey, text: string): boolean {
  return isTokenShaped(text) || (key.format === 'Plain' && parsePlain(text, Infinity) !== undefined);
}

/** HAProxy and Tengine in mode prefix took it off, so backends have never seen it. */
function isForeignPrefix({ product, ids }: ForeignCookie, text: string): boolean {
  return Object.hasOwn(ids, text) || (product === 'HAProxy' ? /^[0-9a-f]{16}$/ : /^[0-9a-f]{32}$/).test(text);
}

/** The name in a Set-Cookie value; empty = it has none. */
export function setCookieName(line: string): string {
  const semicolon = line.indexOf(';');
  const equals = line.indexOf('=');
  if (equals < 0 || (semicolon >= 0 && equals > semicolon)) return '';
  return line.slice(0, equals).trim();
}

/** Takes separators and spaces off both ends. By hand: a regular expression for the end would be quadratic. */
function trimPairs(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isFiller(text.charCodeAt(from))) from++;
  while (to > from && isFiller(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

/** Space, tab or `;`. */
function isFiller(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x3b;
}
