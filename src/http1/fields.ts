/** Reading single header lines in place: names without allocation, values without surrounding white space. */

/** True when the name at `at` is `lower` in any case; `_` is `_`. The lengths must be equal already. */
export function nameIsExactly(text: string, at: number, lower: string): boolean {
  for (let i = 0; i < lower.length; i++) {
    const code = text.charCodeAt(at + i);
    // `_` has no bit 5.
    if ((code === 95 ? code : code | 32) !== lower.charCodeAt(i)) return false;
  }
  return true;
}

/**
 * True when `piece`, which is not empty, stands at `at`. `startsWith` is compiled to a comparison character by character, with
 * all that it takes to get each of them; `indexOf` compares in native code. But it looks on to the end when it does not stand
 * there: for who asks a few times a head at most.
 */
export function standsAt(piece: string, text: string, at: number): boolean {
  return text.charCodeAt(at) === piece.charCodeAt(0) && text.indexOf(piece, at) === at;
}

/** The value between a colon and the end of its line, without OWS (RFC 9110, 5.6.3). */
export function valueOf(text: string, colon: number, end: number): string {
  let from = colon + 1;
  let to = end;
  while (from < to && isSpace(text.charCodeAt(from))) from++;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

/** `valueOf` where the bytes of the head are at hand, from `base` on. */
export function valueIn(text: string, bytes: Uint8Array, base: number, colon: number, end: number): string {
  let from = colon + 1;
  let to = end;
  while (from < to && isSpace(bytes[base + from]!)) from++;
  while (to > from && isSpace(bytes[base + to - 1]!)) to--;
  return text.slice(from, to);
}

function isSpace(code: number): boolean {
  return code === 32 || code === 9;
}

/** Two values of one field as one (RFC 9110, 5.3). */
export function joinValues(first: string, second: string): string {
  return first === '' ? second : `${first}, ${second}`;
}

/** First value of the field `lower` in the lines that start at `from`; undefined = absent. */
export function findField(text: string, from: number, lower: string): string | undefined {
  const last = text.length - 2;
  for (let at = from; at < last;) {
    const colon = text.indexOf(':', at);
    const end = text.indexOf('\r', colon);
    if (colon - at === lower.length && nameIsExactly(text, at, lower)) return valueOf(text, colon, end);
    at = end + 2;
  }
  return undefined;
}

/** All values of the field `lower`, in order. */
export function findFields(text: string, from: number, lower: string): string[] {
  const values: string[] = [];
  const last = text.length - 2;
  for (let at = from; at < last;) {
    const colon = text.indexOf(':', at);
    const end = text.indexOf('\r', colon);
    if (colon - at === lower.length && nameIsExactly(text, at, lower)) values.push(valueOf(text, colon, end));
    at = end + 2;
  }
  return values;
}

/** The elements of a comma-separated list, lower case, empty ones left out. */
export function listItems(value: string): string[] {
  const items: string[] = [];
  for (const part of value.split(',')) {
    const item = part.replace(/^[ \t]+|[ \t]+$/g, '').toLowerCase();
    if (item !== '') items.push(item);
  }
  return items;
}
