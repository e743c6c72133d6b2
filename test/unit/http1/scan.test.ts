/** The walk over a head's bytes against the grammar written down as expressions. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
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

test('the lines of a head stand where they are, also of a longer one than any before', () => {
  const lines = Array.from({ length: 1000 }, (_, i) => `X-${i}: ${'v'.repeat(i % 7)}`);
  const text = ['GET /path HTTP/1.1', ...lines, '\r\n'].join('\r\n');
  expect(scanRequest(Buffer.from(`..${text}`), 2, text.length + 2)).toBe(text.length + 2);
  expect(text.slice(0, SCANNED[SPACE])).toBe('GET');
  expect(text.slice(0, SCANNED[LINE_END])).toBe('GET /path HTTP/1.1');
  expect(SCANNED[USED]).toBe(3000);
  for (const [i, line] of lines.entries()) {
    expect(text.slice(LINES[i * 3], LINES[i * 3 + 2])).toBe(line);
    expect(text[LINES[i * 3 + 1]!]).toBe(':');
  }
});

test('the largest head that the settings allow has room, and of a larger one nothing is believed', () => {
  const bytes = 1024 * 1024;
  const lines = Array.from({ length: 10_000 }, (_, i) => `${i}:`);
  const short = ['GET / HTTP/1.1', ...lines, 'X:', '\r\n'].join('\r\n');
  const text = short.replace('X:', `X:${'v'.repeat(bytes - short.length)}`);
  expect(scanRequest(Buffer.from(text), 0, bytes)).toBe(bytes);
  expect(SCANNED[USED]).toBe(3 * 10_001);
  expect(text.slice(LINES[3 * 10_000], LINES[3 * 10_000 + 1]! + 1)).toBe('X:');
  expect(scanRequest(Buffer.from(text.replace('X:v', 'X:vv')), 0, bytes + 1)).toBe(NO_HEAD);
});
