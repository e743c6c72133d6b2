/** Cuts a byte stream into lines of bounded length. */

const LINE_FEED = 0x0a;

export class LineSplitter {
  readonly #limit: number;
  #rest: Buffer[] = [];
  #size = 0;

  /** @param limit bytes of the longest line */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * The lines that are complete now, without their line feeds; empty ones are left out.
   *
   * @throws RangeError when a line is longer than the limit; the stream is of no further use then
   */
  *push(chunk: Buffer): Generator<string> {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      const line = this.#take(chunk.subarray(start, end));
      start = end + 1;
      if (line !== '') yield line;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
  }

  #take(last: Buffer): string {
    if (this.#rest.length === 0) {
      this.#check(last.length);
      return last.toString('utf8');
    }
    this.#keep(last);
    const line = Buffer.concat(this.#rest).toString('utf8');
    this.#rest = [];
    this.#size = 0;
    return line;
  }

  #keep(part: Buffer): void {
    this.#check(this.#size + part.length);
    this.#size += part.length;
    this.#rest.push(part);
  }

  #check(size: number): void {
    if (size > this.#limit) throw new RangeError(`a line is longer than ${this.#limit} bytes`);
  }
}
