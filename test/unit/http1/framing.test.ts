/** What is read of a line's bytes is what would be read of its value as text. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CLOSE, connectionIn, KEEP_ALIVE, UPGRADE } from '../../../src/http1/connection.ts';
import { lengthIn, readLength } from '../../../src/http1/framing.ts';

const space = fc.string({ unit: fc.constantFrom(' ', '\t'), maxLength: 3 });

test('a length', () => {
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 17 });
  const odd = fc.string({ unit: fc.constantFrom(...'0159 \t+-.,;xA/:\xb5\xff'), maxLength: 6 });
  fc.assert(
    fc.property(fc.oneof(digits, odd), space, space, (value, before, after) => {
      const bytes = Buffer.from(`Content-Length:${before}${value}${after}\r\n`, 'latin1');
      const trimmed = value.replaceAll(/^[ \t]+|[ \t]+$/g, '');
      expect(lengthIn(bytes, 15, bytes.length - 2)).toBe(readLength(trimmed));
    }),
    { numRuns: 3000 },
  );
  expect(lengthIn(Buffer.from('7'), 0, 1)).toBe(7);
  expect(lengthIn(Buffer.from(' 123456789012345 '), 0, 17)).toBe(123456789012345);
});

test.each<readonly [value: string, flags: number, ...listed: string[]]>([
  [' keep-alive', KEEP_ALIVE],
  ['\tKEEP-alive', KEEP_ALIVE],
  ['keep-alive', KEEP_ALIVE],
  [' keep-alive ', KEEP_ALIVE],
  ['xkeep-alive', 0, 'xkeep-alive'],
  [',keep-alive', KEEP_ALIVE],
  [' keep_alive', 0, 'keep_alive'],
  [' keep-alivd', 0, 'keep-alivd'],
  [' keep\xadalive', 0, 'keep\xadalive'],
  [' close, Upgrade', CLOSE | UPGRADE],
  [' close', CLOSE],
  [' keep-alive, x-a', KEEP_ALIVE, 'x-a'],
  ['', 0],
])('Connection:%j', (value, flags, ...listed) => {
  const before = 'HTTP/1.1 200 OK\r\n';
  const text = `Connection:${value}\r\n`;
  const names: string[] = [];
  const bytes = Buffer.from(`${before}${text}`, 'latin1');
  expect(connectionIn(text, bytes, before.length, 10, text.length - 2, names)).toBe(flags);
  expect(names).toEqual(listed);
});
