/** Edits of Cookie headers and the names in Set-Cookie lines. */
import { isNamed } from '../rules/cookie/read.ts';

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
