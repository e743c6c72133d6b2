/** Answers of our own and the framing of chunks. */
import { describe, expect, test } from 'vitest';
import { errorText, wantsJson } from '../../../src/http1/answers.ts';
import type { OwnAnswer } from '../../../src/http1/answers.ts';
import { CHUNK_END, chunkHeader, LAST_CHUNK, lastChunk } from '../../../src/http1/chunks.ts';
import { recordResponse } from './record.ts';

const ANSWER: OwnAnswer = {
  status: 503,
  code: 'no_endpoints',
  message: 'no endpoint is ready',
  requestId: 'abc-1',
  accept: '',
  close: false,
  headOnly: false,
  serverHeader: 'holdfast',
  date: '',
  extra: 'Retry-After: 1\r\n',
};

test('text by default', () => {
  expect(errorText(ANSWER)).toBe(
    'HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 64\r\n' +
      'Cache-Control: no-store\r\nServer: holdfast\r\nX-Request-Id: abc-1\r\nRetry-After: 1\r\n\r\n' +
      '503 Service Unavailable\nno endpoint is ready.\nRequest id: abc-1\n',
  );
});

test('JSON when asked for', () => {
  const text = errorText({ ...ANSWER, accept: 'application/json', close: true });
  const body = text.slice(text.indexOf('\r\n\r\n') + 4);
  expect(JSON.parse(body)).toEqual({
    status: 503,
    code: 'no_endpoints',
    message: 'no endpoint is ready',
    requestId: 'abc-1',
  });
  expect(text).toContain('Content-Type: application/json\r\n');
  expect(text).toContain('Connection: close\r\n');
});

test.each([
  [ANSWER, 'GET'],
  [{ ...ANSWER, accept: 'application/problem+json', requestId: '' }, 'GET'],
  [{ ...ANSWER, message: 'caf\u00e9 \u{1f600}', status: 599 }, 'GET'],
  [{ ...ANSWER, headOnly: true, keepAlive: true, date: 'Thu, 01 Jan 1970 00:00:00 GMT' }, 'HEAD'],
] as const)('is framed as it says: %#', (answer, method) => {
  const { summary } = recordResponse([errorText(answer)], method);
  expect(summary).toMatch(/^\d{3} [A-Za-z ]*( \| body .*)? \| end$/);
});

describe('wantsJson', () => {
  test.each([
    ['', false],
    ['*/*', false],
    ['text/html,application/xhtml+xml,*/*;q=0.8', false],
    ['application/json', true],
    ['Application/JSON; charset=utf-8', true],
    ['application/json, text/plain, */*', true],
    ['text/html, application/json;q=0.5', false],
    ['application/problem+json', true],
    ['application/json;q=0', false],
    ['application/json;q=0.9', true],
    ['application/json-seq', false],
  ])('%j: %s', (accept, expected) => {
    expect(wantsJson(accept)).toBe(expected);
  });
});

test('chunks', () => {
  const body = `${chunkHeader(26)}${'x'.repeat(26)}${CHUNK_END}`;
  expect(body.startsWith('1a\r\n')).toBe(true);
  expect(lastChunk('')).toBe(LAST_CHUNK);
  const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
  expect(recordResponse([head + body + lastChunk('A: 1\r\n')]).summary).toBe(
    `200 OK | body ${'x'.repeat(26)} | trailers A: 1\\r\\n | end`,
  );
});
