/** Reading one parameter out of a raw query string. */

/** All values of `name`, in order, decoded as application/x-www-form-urlencoded (WHATWG URL, section 5.1). Never throws. */
export function queryValues(query: string, name: string): string[] {
  const values: string[] = [];
  let equals = -1;
  for (let start = 0; start < query.length;) {
    const found = query.indexOf('&', start);
    const end = found < 0 ? query.length : found;
    // Searched again only when passed, so that many pairs without `=` stay linear.
    if (equals < start) equals = positionOr(query.length, query.indexOf('=', start));
    const nameEnd = Math.min(equals, end);
    if (decode(query.slice(start, nameEnd)) === name) values.push(decode(query.slice(nameEnd + 1, end)));
    start = end + 1;
  }
  return values;
}

function positionOr(missing: number, position: number): number {
  return position < 0 ? missing : position;
}

/** Escapes that are not UTF-8 stay as they are: a key only has to be the same every time. */
function decode(text: string): string {
  if (!/[%+]/.test(text)) return text;
  const spaced = text.replaceAll('+', ' ');
  return spaced.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      return escapes;
    }
  });
}
