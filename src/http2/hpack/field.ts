/** One decoded field. What its name means and whether it is valid is found out once, when it enters a table. */
import { BAD_NAME, BAD_VALUE, DROP, DROPPED_SPELLINGS, NAMES, OTHER, UNKNOWN_PSEUDO } from './kinds.ts';

export class Field {
  name = '';
  value = '';
  /** A number of `kinds.ts`. */
  kind = OTHER;
  /** The literal says that nobody may ever index it (RFC 7541, 6.2.3). */
  never = false;
  #line = '';

  set(name: string, value: string, kind: number): void {
    this.name = name;
    this.value = value;
    this.kind = isValue(value) || kind === BAD_NAME ? kind : BAD_VALUE;
    this.never = false;
    this.#line = '';
  }

  /** As a line of HTTP/1; a field of a table keeps it. */
  get line(): string {
    if (this.#line === '') this.#line = `${this.name}: ${this.value}\r\n`;
    return this.#line;
  }

  /** RFC 7541, 4.1 */
  get size(): number {
    return this.name.length + this.value.length + 32;
  }
}

const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** As in HTTP/1: stricter than RFC 9113, 8.2.1, which leaves other control characters to RFC 9110, 5.5. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** RFC 9113, 8.2.1 */
function isValue(value: string): boolean {
  if (value === '') return true;
  return !isSpace(value.charCodeAt(0)) && !isSpace(value.charCodeAt(value.length - 1)) && VALUE.test(value);
}

function isSpace(code: number): boolean {
  return code === 32 || code === 9;
}

/** The kind of a name that came as a literal. */
export function kindOf(name: string): number {
  const known = NAMES.get(name);
  if (known !== undefined) return known;
  if (!NAME.test(name)) return name.startsWith(':') ? UNKNOWN_PSEUDO : BAD_NAME;
  // Backends that turn names into environment variables read `_` as `-`.
  return name.includes('_') && DROPPED_SPELLINGS.has(name.replaceAll('_', '-')) ? DROP : OTHER;
}
