/** Reading values out of a Cookie header, however odd its pairs are: linear and never an error. */

const SPACE = 0x20;
const TAB = 0x09;
const QUOTE = 0x22;

/**
 * All values of cookies with one of `names`, in the order they stand there; the quotes around a value are taken off.
 * `lower`: the same text in lower case, for `names` that are, so that case does not matter.
 * Pairs are separated by `;` alone, as browsers do it (RFC 6265 section 4.2.1), so that junk in one pair leaves the others be.
 */
export function cookieValues(cookie: string, names: readonly string[], lower = cookie): string[] {
  const values: string[] = [];
  let equals = -1;
  for (let start = 0; start < cookie.length;) {
    const end = positionOr(cookie.length, cookie.indexOf(';', start));
    // Searched again only when passed, so that many pairs without `=` stay linear.
    if (equals < start) equals = positionOr(cookie.length, cookie.indexOf('=', start));
    if (equals < end && isNamed(lower, start, equals, names)) values.push(unquote(cookie, equals + 1, end));
    start = end + 1;
  }
  return values;
}

/** Whether `text[start, end)`, spaces around it aside, is one of `names`. */
export function isNamed(text: string, start: number, end: number, names: readonly string[]): boolean {
  const from = skipSpace(text, start, end);
  const length = skipSpaceBack(text, from, end) - from;
  for (const name of names) {
    if (name.length === length && text.startsWith(name, from)) return true;
  }
  return false;
}

function unquote(text: string, start: number, end: number): string {
  const from = skipSpace(text, start, end);
  const to = skipSpaceBack(text, from, end);
  const quoted = to - from >= 2 && text.charCodeAt(from) === QUOTE && text.charCodeAt(to - 1) === QUOTE;
  return quoted ? text.slice(from + 1, to - 1) : text.slice(from, to);
}

function skipSpace(text: string, start: number, end: number): number {
  let at = start;
  while (at < end && isSpace(text.charCodeAt(at))) at++;
  return at;
}

function skipSpaceBack(text: string, start: number, end: number): number {
  let at = end;
  while (at > start && isSpace(text.charCodeAt(at - 1))) at--;
  return at;
}

function isSpace(code: number): boolean {
  return code === SPACE || code === TAB;
}

function positionOr(missing: number, position: number): number {
  return position < 0 ? missing : position;
}
