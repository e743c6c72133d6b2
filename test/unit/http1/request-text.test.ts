/** The head as the backend gets it. */
import { describe, expect, test } from 'vitest';
import { requestText } from '../../../src/http1/serialize.ts';
import type { RequestEdits } from '../../../src/http1/serialize.ts';
import { requestHead } from './heads.ts';

const HOST = 'Host: a.example';

function forwarded(lines: string[], line?: string, edits: Partial<RequestEdits> = {}): string[] {
  const text = requestText(requestHead(lines, line), { extra: '', ...edits });
  expect(text.endsWith('\r\n\r\n')).toBe(true);
  return text.slice(0, -4).split('\r\n');
}

test('an ordinary head passes byte for byte', () => {
  const lines = [HOST, 'x-ODD:\tcase ', 'Cookie: a=1;b=2', 'Trailer: X-Sum', 'X: \xe9', 'Content-Length: 03'];
  expect(forwarded(lines, 'POST /a?b HTTP/1.1')).toEqual(['POST /a?b HTTP/1.1', ...lines]);
});

describe('lines that go', () => {
  test.each([
    'Connection: keep-alive',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
    'TE: gzip',
    'X-Forwarded-For: 192.0.2.1',
    'x_forwarded-for: 192.0.2.1',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: b',
    'X-FORWARDED-PORT: 1',
    'X-Real-IP: 192.0.2.1',
    'X_REAL_IP: 192.0.2.1',
    'SSL-Client-Verify: SUCCESS',
    'ssl_client_subject-dn: CN=a',
    'ssl-client-issuer-dn: CN=b',
    'ssl-client-cert: c',
    'X-Request-Id: 1',
    'Forwarded: for=b',
    'Content_Length: 5',
    'transfer_encoding: chunked',
  ])('%s', (line) => {
    expect(forwarded([HOST, line, 'X-Last: 1'])).toEqual(['GET / HTTP/1.1', HOST, 'X-Last: 1']);
    expect(forwarded([line, HOST])).toEqual(['GET / HTTP/1.1', HOST]);
  });

  test('those that Connection names, wherever they stand', () => {
    const lines = [
      'X-Hop: 1',
      HOST,
      'connection: x-hop, Close, x-other',
      'X-OTHER: 2',
      'X-Hop2: 3',
      'x-hop: 4',
      'Cookie: a=1',
    ];
    expect(forwarded(lines)).toEqual(['GET / HTTP/1.1', HOST, 'X-Hop2: 3', 'Cookie: a=1']);
  });
});

test('TE: trailers is kept', () => {
  expect(forwarded([HOST, 'TE: deflate, trailers', 'X: 1'])).toEqual(['GET / HTTP/1.1', HOST, 'X: 1', 'TE: trailers']);
});

test('chunked is said in one way', () => {
  expect(forwarded(['transfer-encoding:CHUNKED', HOST], 'POST / HTTP/1.1')).toEqual([
    'POST / HTTP/1.1',
    HOST,
    'Transfer-Encoding: chunked',
  ]);
});

test('HTTP/1.0 becomes 1.1 with a Host', () => {
  expect(forwarded(['X: 1', 'Expect: 100-continue'], 'GET /a HTTP/1.0')).toEqual(['GET /a HTTP/1.1', 'Host: ', 'X: 1']);
  expect(forwarded([HOST], 'GET /a HTTP/1.0')).toEqual(['GET /a HTTP/1.1', HOST]);
});

test('absolute-form becomes origin-form', () => {
  expect(forwarded([HOST, 'X: 1'], 'GET http://a.example/b?c HTTP/1.1')).toEqual(['GET /b?c HTTP/1.1', HOST, 'X: 1']);
});

test('edits: another target, extra lines last', () => {
  const extra = 'X-Forwarded-For: 192.0.2.7\r\nX-Real-IP: 192.0.2.7\r\n';
  expect(forwarded([HOST], 'GET /a HTTP/1.1', { target: '/z', extra })).toEqual([
    'GET /z HTTP/1.1',
    HOST,
    'X-Forwarded-For: 192.0.2.7',
    'X-Real-IP: 192.0.2.7',
  ]);
});

describe('T18 cookie lines', () => {
  const lines = ['Cookie: a=1', HOST, 'cookie:b=2', 'X: 1'];

  test('unchanged ones pass as they were written', () => {
    expect(forwarded(lines, undefined, { editCookieLine: (value) => value })).toEqual(['GET / HTTP/1.1', ...lines]);
  });

  test('changed ones are rebuilt, empty ones go', () => {
    const editCookieLine = (value: string): string => (value === 'a=1' ? '' : `${value}; c=3`);
    expect(forwarded(lines, undefined, { editCookieLine })).toEqual([
      'GET / HTTP/1.1',
      HOST,
      'Cookie: b=2; c=3',
      'X: 1',
    ]);
  });
});
