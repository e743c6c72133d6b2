/** What is read from the head of a response, and the head as the client gets it. */
import { describe, expect, test } from 'vitest';
import { framingFor, interimText, responseText } from '../../../src/http1/serialize.ts';
import type { ResponseEdits } from '../../../src/http1/serialize.ts';
import { responseHead } from './heads.ts';

const EDITS: ResponseEdits = { extra: '', connection: '', framing: 'length', serverHeader: '' };

function delivered(lines: string[], edits: Partial<ResponseEdits> = {}, line?: string): string[] {
  const text = responseText(responseHead(lines, line), { ...EDITS, ...edits });
  expect(text.endsWith('\r\n\r\n')).toBe(true);
  return text.slice(0, -4).split('\r\n');
}

describe('ResponseHead', () => {
  test.each([
    [['Connection: close', 'Content-Length: 0'], 'HTTP/1.1 200 OK', { keepAlive: false }],
    [['Content-Length: 0'], 'HTTP/1.1 200 OK', { keepAlive: true, untilClose: false }],
    [['Content-Length: 0'], 'HTTP/1.0 200 OK', { keepAlive: false, minor: 0 }],
    [['Content-Length: 0', 'Connection: Keep-Alive'], 'HTTP/1.0 200 OK', { keepAlive: true }],
    [['Connection: keep-alive'], 'HTTP/1.0 200 OK', { keepAlive: false, untilClose: true }],
    [['Keep-Alive: timeout=5, max=100'], 'HTTP/1.1 204 No Content', { keepAliveTimeout: 5 }],
    [['Keep-Alive: max=100,Timeout=72'], 'HTTP/1.1 204', { keepAliveTimeout: 72, reason: '' }],
    [['Keep-Alive: xtimeout=5'], 'HTTP/1.1 204', { keepAliveTimeout: -1 }],
    [['Server: x', 'DATE: y', 'Location: /z'], 'HTTP/1.1 304 N', { hasServer: true, hasDate: true, location: '/z' }],
    [['Cache-Control: a', 'cache-control: b'], 'HTTP/1.1 304 N', { cacheControl: 'a, b', hasServer: false }],
    [['Connection: upgrade', 'Upgrade: WebSocket'], 'HTTP/1.1 101 S', { upgrade: 'websocket' }],
    [['Transfer-Encoding: chunked'], 'HTTP/1.1 204 N', { chunked: false, bodyless: true }],
    [['Content-Length: 7'], 'HTTP/1.1 304 N', { contentLength: 7, bodyless: true, keepAlive: true }],
  ])('%j of %s', (lines, line, expected) => {
    expect(responseHead(lines, line)).toMatchObject(expected);
  });

  test.each([
    [['Cache-Control: public'], true],
    [['Cache-Control: MAX-AGE=60'], true],
    [['Cache-Control: no-transform, s-maxage=1'], true],
    [['Expires: Thu, 01 Jan 2037 00:00:00 GMT'], true],
    [['Cache-Control: private, max-age=60'], false],
    [['Cache-Control: private="x-a", max-age=60'], false],
    [['Cache-Control: no-store', 'Expires: Thu, 01 Jan 2037 00:00:00 GMT'], false],
    [['Cache-Control: no-cache'], false],
    [[], false],
  ])('T56 %j is cacheable: %s', (lines, expected) => {
    expect(responseHead(lines).cacheable).toBe(expected);
  });

  test('names of cookies', () => {
    const lines = [
      'Set-Cookie: a=1; Path=/',
      'X: 1',
      'set-cookie:  b = 2',
      'SET-COOKIE: flag; x=1',
      'Set-Cookie2: c=1',
    ];
    expect(responseHead(lines).setCookieNames()).toEqual(['a', 'b', '']);
  });
});

describe('responseText', () => {
  test('an ordinary head passes byte for byte', () => {
    const lines = ['x-ODD:\tcase ', 'Content-Length: 5', 'Set-Cookie: a=1', 'Set-Cookie: b=2', 'Server: apache'];
    expect(delivered(lines, { serverHeader: 'holdfast' })).toEqual(['HTTP/1.1 200 OK', ...lines]);
  });

  test.each(['Connection: close', 'Keep-Alive: timeout=5', 'Proxy-Connection: x', 'Upgrade: h2c', 'TE: trailers'])(
    '%s goes',
    (line) => {
      expect(delivered([line, 'Content-Length: 0', 'X: 1'])).toEqual(['HTTP/1.1 200 OK', 'Content-Length: 0', 'X: 1']);
    },
  );

  test('lines that Connection names go', () => {
    expect(delivered(['X-Hop: 1', 'Connection: X-Hop', 'Content-Length: 0'])).toEqual([
      'HTTP/1.1 200 OK',
      'Content-Length: 0',
    ]);
  });

  test('Trailer stays, chunked is said in one way', () => {
    expect(delivered(['TRANSFER-ENCODING: chunked', 'Trailer: X'], { framing: 'chunked' })).toEqual([
      'HTTP/1.1 200 OK',
      'Trailer: X',
      'Transfer-Encoding: chunked',
    ]);
  });

  test('a status line of HTTP/1.0 or without reason is rewritten', () => {
    expect(delivered(['Content-Length: 0'], {}, 'HTTP/1.0 200 Fine')[0]).toBe('HTTP/1.1 200 Fine');
    expect(responseText(responseHead([], 'HTTP/1.1 204'), EDITS)).toBe('HTTP/1.1 204 \r\n\r\n');
    expect(responseText(responseHead([], 'HTTP/1.1 204 '), EDITS)).toBe('HTTP/1.1 204 \r\n\r\n');
  });

  test('Content-Length of a 204 goes, of a 304 stays', () => {
    expect(delivered(['Content-Length: 0'], {}, 'HTTP/1.1 204 N')).toEqual(['HTTP/1.1 204 N']);
    expect(delivered(['Content-Length: 9'], {}, 'HTTP/1.1 304 N')).toEqual(['HTTP/1.1 304 N', 'Content-Length: 9']);
  });

  test('framing towards the client', () => {
    const chunked = responseHead(['Transfer-Encoding: chunked']);
    const untilClose = responseHead(['X: 1']);
    const sized = responseHead(['Content-Length: 1']);
    expect([chunked, untilClose, sized].map((head) => framingFor(head, 1))).toEqual(['chunked', 'chunked', 'length']);
    expect([chunked, untilClose, sized].map((head) => framingFor(head, 0))).toEqual(['close', 'close', 'length']);
    expect(framingFor(responseHead(['X: 1'], undefined, 'HEAD'), 1)).toBe('length');
    expect(delivered(['X: 1'], { framing: 'chunked' })).toEqual([
      'HTTP/1.1 200 OK',
      'X: 1',
      'Transfer-Encoding: chunked',
    ]);
    expect(delivered(['Transfer-Encoding: chunked'], { framing: 'close' })).toEqual([
      'HTTP/1.1 200 OK',
      'Connection: close',
    ]);
  });

  test('Server, Cache-Control, Connection and extra lines are added', () => {
    const edits = { serverHeader: 'holdfast', cacheControl: 'private', extra: 'Set-Cookie: hf=1\r\n' } as const;
    expect(delivered(['Content-Length: 0'], { ...edits, connection: 'keep-alive' })).toEqual([
      'HTTP/1.1 200 OK',
      'Content-Length: 0',
      'Server: holdfast',
      'Cache-Control: private',
      'Connection: keep-alive',
      'Set-Cookie: hf=1',
    ]);
    expect(delivered(['Content-Length: 0'], { connection: 'close' }).at(-1)).toBe('Connection: close');
  });

  test.each([
    [['Cache-Control: public, max-age=60'], ['Cache-Control: max-age=60, private']],
    [['cache-control:PUBLIC , S-MaxAge = 5,no-transform'], ['Cache-Control: no-transform, private']],
    [
      ['Cache-Control: public', 'X: 1', 'Cache-Control: max-age=60'],
      ['Cache-Control: max-age=60, private', 'X: 1'],
    ],
    [['Cache-Control: private="a, public", public'], ['Cache-Control: private="a, public", private']],
    [['Cache-Control: x="a\\", public", private'], ['Cache-Control: x="a\\", public", private']],
    [['Cache-Control: x="a\\'], ['Cache-Control: x="a\\, private']],
    [['Cache-Control:'], ['Cache-Control: private']],
    [['X-Cache-Control: public'], ['X-Cache-Control: public', 'Cache-Control: private']],
  ])('T56 %j is marked private in one line', (lines, expected) => {
    const around = ['Content-Length: 0', 'x-ODD:\tpublic '];
    const text = delivered([around[0] ?? '', ...lines, around[1] ?? ''], { cacheControl: 'private' });
    const last = expected.length > lines.length ? expected.slice(lines.length) : [];
    const inPlace = expected.slice(0, expected.length - last.length);
    expect(text).toEqual(['HTTP/1.1 200 OK', around[0], ...inPlace, around[1], ...last]);
  });

  test("T19 T20 the backend's cookie of our name goes, one that gets our token has it, the others stay as they are", () => {
    const lines = [
      'Set-Cookie: a=1; Path=/',
      'set-cookie:  hf=app; Path=/',
      'Set-Cookie: b="x, y"',
      'Content-Length: 0',
    ];
    const text = delivered(lines, {
      editSetCookie: (line) => (line.startsWith('hf=') ? '' : line.replace('b=', 'b=ours~')),
      extra: 'Set-Cookie: hf=ours\r\n',
    });
    expect(text).toEqual(['HTTP/1.1 200 OK', lines[0], 'Set-Cookie: b=ours~"x, y"', lines[3], 'Set-Cookie: hf=ours']);
  });
});

test('T58 an interim response carries neither hop-by-hop lines nor cookies', () => {
  const lines = [
    'Link: </a.css>; rel=preload',
    'Connection: x-hop',
    'X-Hop: 1',
    'Set-Cookie: a=1',
    'Content-Length: 5',
  ];
  expect(interimText(responseHead(lines, 'HTTP/1.1 103 Early Hints'))).toBe(
    'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n',
  );
  expect(interimText(responseHead([], 'HTTP/1.1 100'))).toBe('HTTP/1.1 100 \r\n\r\n');
});
