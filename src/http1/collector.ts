/** Collects trailers, and heads that do not come whole and right at once, as one latin1 string. */
import { hasBareLf } from './grammar.ts';
import { latin1 } from './latin1.ts';

/** `take` needs more bytes; all given ones are consumed. */
export const MORE = -1;
/** `take` found a LF without CR before the end of the section. */
export const BARE_LF = -2;
/** `take` found no end within the limit. */
export const TOO_LONG = -3;

export class Collector {
  /** The whole section with its empty line after `take` returned an index; what there is of it otherwise. */
  text = '';
  /** The last three characters seen: the end of a section or a bare LF may straddle two reads. */
  private tail = '';

  /** Nothing of a section has been seen, nor what stands before it. */
  get empty(): boolean {
    return this.tail === '';
  }

  /** Forgets everything. `tail` is what came directly before: CR LF in front of a trailer section, which may be empty. */
  reset(tail = ''): void {
    this.text = '';
    this.tail = tail;
  }

  /** Returns the index behind the section, or MORE, BARE_LF, TOO_LONG. `limit` counts the bytes of the whole section. */
  take(buffer: Buffer, start: number, end: number, limit: number): number {
    const known = this.tail.length;
    const piece = latin1(buffer, start, Math.min(end, start + limit - this.text.length));
    const scan = this.tail + piece;
    const at = scan.indexOf('\r\n\r\n');
    if (at >= 0) {
      const used = at + 4 - known;
      this.text += piece.slice(0, used);
      return start + used;
    }
    this.text += piece;
    if (hasBareLf(scan, known)) return BARE_LF;
    this.tail = scan.slice(-3);
    return this.text.length >= limit ? TOO_LONG : MORE;
  }
}
