/** The walk over a head's bytes against the grammar written down as expressions. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KNOWN_FIELDS } from '../../../src/http1/known-fields.ts';
import {
  LINE,
  LINE_END,
  LINES,
  NO_HEAD,
  readBuffer,
  SCANNED,
  scanRequest,
  scanResponse,
  SPACE,
  USED,
} from '../../../src/http1/scan.ts';

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const VALUE = '[\\t\\x20-\\x7e\\x80-\\xff]*';
const FIELDS = `(?:${TOKEN}:${VALUE}\\r\\n)*\\r\\n`;
/** Heads are walked over where reads put them, and copied from elsewhere. */
const home = readBuffer();

const KINDS = [
  {
    name: 'request',
    scan: scanRequest,
    grammar: new RegExp(`^${TOKEN} [!"$-~]+ HTTP/1\\.[01]\\r\\n${FIELDS}$`),
    heads: [
      'GET / HTTP/1.1\r\nHost: a\r\nX:\t\xe9 \r\n\r\n',
      'OPTIONS * HTTP/1.0\r\n\r\n',
      'A http://b/?c HTTP/1.1\r\nd:e\r\n\r\n',
    ],
  },
  {
    name: 'response',
    scan: scanResponse,
    grammar: new RegExp(`^HTTP/1\\.[01] [1-9][0-9][0-9](?: ${VALUE})?\\r\\n${FIELDS}$`),
    heads: ['HTTP/1.1 200 OK\r\nServer: a\r\nB:\r\n\r\n', 'HTTP/1.0 404\r\n\r\n', 'HTTP/1.1 299 \r\nc: d\r\n\r\n'],
  },
] as const;

/** Bytes at which one kind ends and another begins. */
const BYTES = [0, 8, 9, 10, 13, 31, 32, 33, 34, 35, 36, 47, 48, 50, 57, 58, 64, 65, 91, 95, 126, 127, 128, 255];

for (const { name, scan, grammar, heads } of KINDS) {
  test(`a ${name} head is whole and well-formed exactly when the grammar says so, whatever stands around it`, () => {
    const edit = fc.record({
      kind: fc.constantFrom('set', 'insert', 'delete'),
      at: fc.nat(60),
      byte: fc.oneof(fc.constantFrom(...BYTES), fc.nat(255)),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...heads),
        fc.array(edit, { maxLength: 3 }),
        fc.nat(40),
        fc.boolean(),
        (head, edits, before, inHome) => {
          const bytes = [...Buffer.from(head, 'latin1')];
          for (const { kind, at, byte } of edits) {
            const place = at % (bytes.length + 1);
            if (kind === 'delete') bytes.splice(place, 1);
            else bytes.splice(place, kind === 'set' ? 1 : 0, byte);
          }
          const text = String.fromCharCode(...bytes);
          const whole = text.slice(0, text.indexOf('\r\n\r\n') + 4);
          const expected = grammar.test(whole) ? before + whole.length : NO_HEAD;
          const buffer = inHome ? home : new Uint8Array(before + bytes.length);
          buffer.fill(13, 0, before);
          buffer.set(bytes, before);
          const length = before + bytes.length;
          expect(scan(buffer, before, length), JSON.stringify(text)).toBe(expected);
          // What stands behind the end was read earlier.
          for (let end = before; end < length; end++) {
            expect(scan(buffer, before, end), JSON.stringify(text.slice(0, end - before))).toBe(
              expected !== NO_HEAD && end >= expected ? expected : NO_HEAD,
            );
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
}

test('known fields are told by their names, in any case, and with underscores for what they are', () => {
  const known = fc.constantFrom(...KNOWN_FIELDS.keys());
  // Characters that differ in bit 5 alone, and all others of a token.
  const character = fc.constantFrom(...`!#$%&'*+-.^_\`|~0189AZaz`);
  const edit = fc.record({ at: fc.nat(40), character, kind: fc.constantFrom('set', 'insert', 'delete', 'upper') });
  const name = fc
    .tuple(
      fc.oneof(
        known,
        fc.array(character, { minLength: 1, maxLength: 40 }).map((all) => all.join('')),
      ),
      fc.array(edit, { maxLength: 4 }),
    )
    .map(([text, edits]) => {
      const characters = [...text];
      for (const { at, character, kind } of edits) {
        const place = at % characters.length;
        if (kind === 'upper') characters[place] = characters[place]!.toUpperCase();
        else if (kind !== 'delete') characters.splice(place, kind === 'set' ? 1 : 0, character);
        else if (characters.length > 1) characters.splice(place, 1);
      }
      return characters.join('');
    });
  fc.assert(
    fc.property(fc.array(name, { minLength: 1, maxLength: 5 }), (names) => {
      const head = ['GET / HTTP/1.1', ...names.map((each) => `${each}:`), '\r\n'].join('\r\n');
      expect(scanRequest(Buffer.from(head), 0, head.length)).toBe(head.length);
      for (const [i, each] of names.entries()) {
        const number = (KNOWN_FIELDS as ReadonlyMap<string, number>).get(each.toLowerCase().replaceAll('_', '-')) ?? 0;
        expect(LINES[i * LINE + 3], each).toBe(each.includes('_') && number > 0 ? -number : number);
      }
    }),
    { numRuns: 5000 },
  );
});

test('the lines of a head stand where they are, also of a longer one than any before', () => {
  const lines = Array.from({ length: 1000 }, (_, i) => `X-${i}: ${'v'.repeat(i % 7)}`);
  const text = ['GET /path HTTP/1.1', ...lines, '\r\n'].join('\r\n');
  expect(scanRequest(Buffer.from(`..${text}`), 2, text.length + 2)).toBe(text.length + 2);
  expect(text.slice(0, SCANNED[SPACE])).toBe('GET');
  expect(text.slice(0, SCANNED[LINE_END])).toBe('GET /path HTTP/1.1');
  expect(SCANNED[USED]).toBe(1000 * LINE);
  for (const [i, line] of lines.entries()) {
    expect(text.slice(LINES[i * LINE], LINES[i * LINE + 2])).toBe(line);
    expect(text[LINES[i * LINE + 1]!]).toBe(':');
  }
});

test('the largest head that the settings allow has room, and of a larger one nothing is believed', () => {
  const bytes = 1024 * 1024;
  const lines = Array.from({ length: 10_000 }, (_, i) => `${i}:`);
  const short = ['GET / HTTP/1.1', ...lines, 'X:', '\r\n'].join('\r\n');
  const text = short.replace('X:', `X:${'v'.repeat(bytes - short.length)}`);
  expect(scanRequest(Buffer.from(text), 0, bytes)).toBe(bytes);
  expect(SCANNED[USED]).toBe(10_001 * LINE);
  expect(text.slice(LINES[10_000 * LINE], LINES[10_000 * LINE + 1]! + 1)).toBe('X:');
  expect(scanRequest(Buffer.from(text.replace('X:v', 'X:vv')), 0, bytes + 1)).toBe(NO_HEAD);
});
