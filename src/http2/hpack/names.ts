/** What the encoder knows of field names; shared by all connections of a thread. */
import { STATIC_FIELDS } from './static-table.ts';

export class Name {
  /** Lower case. */
  readonly text: string;
  /** Index in the static table; 0 = none. */
  readonly index: number;
  readonly rule: 'index' | 'never' | 'skip';
  /** Insertions that may still be made without one of them having been of use. */
  credit = FIRST_CREDIT;
  #skipped = 0;

  constructor(text: string, index: number, rule: Name['rule']) {
    this.text = text;
    this.index = index;
    this.rule = rule;
  }

  /** Values that are never seen twice (request ids, dates on quiet connections) would only push others out of the table. */
  worthInserting(): boolean {
    if (this.credit > 0) {
      this.credit--;
      return true;
    }
    this.#skipped = (this.#skipped + 1) % TRY_AGAIN;
    return this.#skipped === 0;
  }

  /** An insertion was of use. */
  used(): void {
    this.credit = FULL_CREDIT;
  }
}

const FIRST_CREDIT = 4;
const FULL_CREDIT = 16;
/** Without credit every so many values are inserted nevertheless. */
const TRY_AGAIN = 32;
/** Spellings kept; backends may invent names without end. */
const MAX_SPELLINGS = 1024;

/** Secrets that could be guessed by their compressed length (RFC 7541, 7.1.3). */
const NEVER = new Set(['authorization', 'cookie', 'proxy-authorization', 'set-cookie']);
/** RFC 9113, 8.2.2; Host is :authority. */
const SKIP = new Set([
  'connection',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

const STATIC_INDICES = new Map<string, number>();
STATIC_FIELDS.forEach(([name], i) => {
  if (!STATIC_INDICES.has(name)) STATIC_INDICES.set(name, i + 1);
});

const bySpelling = new Map<string, Name>();

/** The name as anybody spells it. */
export function nameOf(spelling: string): Name {
  return bySpelling.get(spelling) ?? learn(spelling);
}

function learn(spelling: string): Name {
  const text = spelling.toLowerCase();
  let name = bySpelling.get(text);
  if (name === undefined) {
    const rule = NEVER.has(text) ? 'never' : SKIP.has(text) ? 'skip' : 'index';
    name = new Name(text, STATIC_INDICES.get(text) ?? 0, rule);
    keep(text, name);
  }
  keep(spelling, name);
  return name;
}

/** A copy of the text: a slice would keep the whole head that it was cut from. */
function keep(spelling: string, name: Name): void {
  if (bySpelling.size < MAX_SPELLINGS) bySpelling.set(Buffer.from(spelling, 'latin1').toString('latin1'), name);
}
