/** Ids of requests: 28 hex digits, unique per worker and start, then a count. */
import { randomBytes } from 'node:crypto';

const FIRST = 0x100000;
const LAST = 0xffffff;
/** The last two digits, which change each time; the others are joined once in 256 times. */
const DIGITS = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

export class RequestIds {
  readonly #prefix = randomBytes(10).toString('hex');
  #count = FIRST;
  #low = 0;
  #text = '';

  next(): string {
    if (this.#low === 0) {
      this.#count = this.#count === LAST ? FIRST : this.#count + 1;
      this.#text = this.#prefix + this.#count.toString(16);
    }
    const digits = DIGITS[this.#low] ?? '';
    this.#low = (this.#low + 1) & 0xff;
    return this.#text + digits;
  }
}
