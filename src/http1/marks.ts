/** The lines of a head that do not pass through untouched, in order of their position. */
import { nameIsExactly } from './fields.ts';

/** The line is never forwarded as it is. */
export const DROP = 0;
/** Cookie in a request, Set-Cookie in a response: forwarded unless an edit says otherwise. */
export const COOKIE = 1;

/** Four numbers a mark: start of the line, its colon, index behind its CR LF, DROP or COOKIE. Reused: never shrinks. */
export class Marks {
  readonly cells: number[] = [];
  /** Used cells. */
  size = 0;

  add(start: number, colon: number, end: number, kind: number): void {
    const cells = this.cells;
    let size = this.size;
    cells[size++] = start;
    cells[size++] = colon;
    cells[size++] = end;
    cells[size++] = kind;
    this.size = size;
  }

  /** Cell `index`, which the caller knows to be used. */
  at(index: number): number {
    return this.cells[index] ?? 0;
  }
}

/** Marks the lines that Connection names as hop-by-hop (RFC 9110, 7.6.1). Rare, so it may cost a second walk. */
export function markListed(marks: Marks, text: string, from: number, listed: readonly string[]): void {
  const old = marks.cells.slice(0, marks.size);
  let next = 0;
  marks.size = 0;
  const last = text.length - 2;
  for (let at = from; at < last;) {
    const colon = text.indexOf(':', at);
    const end = text.indexOf('\r', colon) + 2;
    if (old[next] === at && next < old.length) {
      marks.add(at, colon, end, old[next + 3] ?? DROP);
      next += 4;
    } else if (isListed(text, at, colon, listed)) marks.add(at, colon, end, DROP);
    at = end;
  }
}

function isListed(text: string, at: number, colon: number, listed: readonly string[]): boolean {
  for (const name of listed) if (name.length === colon - at && nameIsExactly(text, at, name)) return true;
  return false;
}
