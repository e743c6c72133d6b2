/** Content-Length and Connection as they stand in heads, with white space around their values or without. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CLOSE, KEEP_ALIVE, readConnection, UPGRADE } from '../../../src/http1/connection.ts';
import { ERRORS } from '../../../src/http1/error.ts';
import { valueIn } from '../../../src/http1/fields.ts';
import { DEFAULT_LIMITS } from '../../../src/http1/limits.ts';
import { readRequestHead } from '../../../src/http1/read-request.ts';
import { readResponseHead } from '../../../src/http1/read-response.ts';
import { RequestHead } from '../../../src/http1/request-head.ts';
import { ResponseHead } from '../../../src/http1/response-head.ts';

const space = fc.string({ unit: fc.constantFrom(' ', '\t'), maxLength: 3 });

test('a length', () => {
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 17 });
  const odd = fc.string({ unit: fc.constantFrom(...'0159 \t+-.,;xA/:\xb5\xff'), maxLength: 6 });
  fc.assert(
    fc.property(fc.oneof(digits, odd), space, space, (value, before, after) => {
      const lines = `Content-Length:${before}${value}${after}\r\n\r\n`;
      const trimmed = value.replaceAll(/^[ \t]+|[ \t]+$/g, '');
      const right = /^[0-9]{1,15}$/.test(trimmed);
      const request = new RequestHead();
      const response = new ResponseHead();
      const faults = [
        readRequestHead(request, `POST / HTTP/1.1\r\nHost: a\r\n${lines}`, DEFAULT_LIMITS),
        readResponseHead(response, `HTTP/1.1 200 OK\r\n${lines}`, DEFAULT_LIMITS, 'GET'),
      ];
      expect(faults).toEqual(Array(2).fill(right ? undefined : ERRORS.badContentLength));
      const length = right ? Number(trimmed) : -1;
      expect([request.contentLength, response.contentLength]).toEqual([length, length]);
    }),
    { numRuns: 3000 },
  );
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
  expect(readConnection(valueIn(text, bytes, before.length, 10, text.length - 2), names)).toBe(flags);
  expect(names).toEqual(listed);
});
