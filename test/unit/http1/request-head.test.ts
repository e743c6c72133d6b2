/** What is read from the head of a request. */
import { describe, expect, test } from 'vitest';
import { requestHead } from './heads.ts';

const HOST = 'Host: a.example';
const HTTP10 = 'GET / HTTP/1.0';

describe('keep-alive', () => {
  test.each([
    ['GET / HTTP/1.1', [], true],
    ['GET / HTTP/1.1', ['Connection: close'], false],
    ['GET / HTTP/1.1', ['Connection: Keep-Alive, CLOSE'], false],
    ['GET / HTTP/1.1', ['Connection: keep-alive', 'Connection: close'], false],
    [HTTP10, [], false],
    [HTTP10, ['Connection: Keep-Alive'], true],
    [HTTP10, ['Connection: keep-alive, close'], false],
  ])('%s with %j: %s', (line, lines, expected) => {
    expect(requestHead([HOST, ...lines], line).keepAlive).toBe(expected);
  });
});

describe('upgrade', () => {
  test.each([
    [['Connection: Upgrade', 'Upgrade: WebSocket'], 'websocket'],
    [['Upgrade: websocket', 'Connection: keep-alive, upgrade'], 'websocket'],
    [['Upgrade: websocket'], ''],
    [['Connection: upgrade'], ''],
    [['Connection: upgrade', 'Upgrade: h2c', 'Upgrade: websocket'], 'h2c, websocket'],
  ])('%j: %j', (lines, expected) => {
    expect(requestHead([HOST, ...lines]).upgrade).toBe(expected);
  });

  test('is ignored in HTTP/1.0', () => {
    expect(requestHead(['Connection: upgrade', 'Upgrade: websocket'], HTTP10).upgrade).toBe('');
  });
});

describe('cookies', () => {
  test('T17 several lines are read as one', () => {
    const head = requestHead([HOST, 'Cookie: a=1', 'X: y', 'cookie:\tb=2; c=3 ', 'COOKIE:', 'cookie: d=4']);
    expect(head.cookie).toBe('a=1; b=2; c=3; d=4');
  });

  test('no line gives the empty string, and names that only resemble it do not count', () => {
    expect(requestHead([HOST, 'Cookie2: a=1', 'Cookies: b=1', 'X-Cookie: c=1']).cookie).toBe('');
  });

  test('a reset head does not remember them', () => {
    const head = requestHead([HOST, 'Cookie: a=1']);
    expect(head.cookie).toBe('a=1');
    head.reset();
    expect(head.cookie).toBe('');
  });
});

describe('header', () => {
  const head = requestHead([HOST, 'X-A: 1', 'x-a:2', 'X-Empty:', 'X-AB: 3']);

  test('gives the first value, whatever the case of the name', () => {
    expect(head.header('x-a')).toBe('1');
    expect(head.header('host')).toBe('a.example');
    expect(head.header('x-empty')).toBe('');
    expect(head.header('x-b')).toBeUndefined();
  });

  test('gives all values in order', () => {
    expect(head.headers('x-a')).toEqual(['1', '2']);
    expect(head.headers('x-b')).toEqual([]);
  });

  test('a lower-case name matches only that name', () => {
    // Setting bit 5 must not turn one token character into another.
    expect(requestHead([HOST, 'X_A: 1', 'X^A: 2', 'X~A: 3']).header('x-a')).toBeUndefined();
  });
});

test('forwarding fields of the client are kept aside, spellings with `_` are not believed', () => {
  const head = requestHead([
    HOST,
    'X-Forwarded-For: 192.0.2.1',
    'x-forwarded-for: 192.0.2.2',
    'X_Forwarded_For: 192.0.2.3',
    'X-Forwarded-Proto: https',
    'x-forwarded_proto: http',
    'Forwarded: for=192.0.2.9',
    'X-Request-Id: abc',
    'X_Request_Id: def',
  ]);
  expect(head).toMatchObject({
    xForwardedFor: '192.0.2.1, 192.0.2.2',
    xForwardedProto: 'https',
    forwarded: 'for=192.0.2.9',
    xRequestId: 'abc',
  });
});

describe('the rest', () => {
  test.each([
    ['POST / HTTP/1.1', ['Content-Length: 12'], { contentLength: 12, chunked: false, hasBody: true }],
    ['POST / HTTP/1.1', ['Content-Length: 0'], { contentLength: 0, hasBody: false }],
    ['POST / HTTP/1.1', ['Transfer-Encoding: Chunked'], { contentLength: -1, chunked: true, hasBody: true }],
    ['GET / HTTP/1.1', [], { contentLength: -1, chunked: false, hasBody: false }],
    ['POST / HTTP/1.1', ['Expect: 100-continue', 'Content-Length: 1'], { expectContinue: true }],
    ['POST / HTTP/1.0', ['Expect: 100-continue', 'Content-Length: 1'], { expectContinue: false }],
    ['GET / HTTP/1.1', ['TE: trailers'], { teTrailers: true }],
    ['GET / HTTP/1.1', ['TE: gzip;q=0.5', 'te: Trailers, deflate'], { teTrailers: true }],
    ['GET / HTTP/1.1', ['TE: gzip'], { teTrailers: false }],
    ['GET http://A.example:80/x HTTP/1.1', ['X: y'], { target: '/x', rewritten: true }],
    ['GET /x HTTP/1.0', ['X: y'], { minor: 0, target: '/x', rewritten: false }],
  ])('%s %j', (line, lines, expected) => {
    const host = line.includes(':80/') ? 'Host: a.example:80' : HOST;
    expect(requestHead([host, ...lines], line)).toMatchObject(expected);
  });

  test('authority is raw', () => {
    expect(requestHead(['Host: A.Example:8080']).authority).toBe('A.Example:8080');
  });
});
