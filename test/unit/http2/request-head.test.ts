/** The head that a lane gets: what HTTP/1 would have made of the same request. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_LIMITS as HEAD_LIMITS } from '../../../src/http1/limits.ts';
import { readRequestHead } from '../../../src/http1/read-request.ts';
import { RequestHead } from '../../../src/http1/request-head.ts';
import { readResponseHead } from '../../../src/http1/read-response.ts';
import { ResponseHead } from '../../../src/http1/response-head.ts';
import { requestText } from '../../../src/http1/serialize.ts';
import { GET } from '../../fixtures/http2/case.ts';
import { data, headers, settings } from '../../support/http2-frames.ts';
import type { Fields } from '../../support/http2-frames.ts';
import { START } from '../../fixtures/http2/case.ts';
import { recordClient, recordServer } from './record.ts';

/** The stream and head of a request with these fields. */
function receive(fields: Fields, end = true) {
  const recorded = recordServer();
  recorded.read(Buffer.concat([START, headers(1, fields, { end })]));
  const [stream] = recorded.streams;
  if (stream === undefined) throw new Error(recorded.summary());
  return stream;
}

function respond(fields: Fields, end: boolean): ResponseHead {
  const recorded = recordClient();
  recorded.connection.request('GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'https', true);
  recorded.read(Buffer.concat([settings(), headers(1, fields, { end })]));
  return recorded.streams[0]!.head;
}

/** All that is to be known of a head. */
function snapshot(head: RequestHead | ResponseHead): Record<string, unknown> {
  const plain: Record<string, unknown> = { ...head, marks: head.marks.cells.slice(0, head.marks.size) };
  delete plain['cookies'];
  return plain;
}

describe('a request', () => {
  const BROWSER: Fields = [
    ...GET,
    ['cookie', 'a=1'],
    ['user-agent', 'x'],
    ['cookie', 'b=2; c=3'],
    ['te', 'trailers'],
    ['x-forwarded-for', '192.0.2.1'],
    ['x_real_ip', '192.0.2.9'],
    ['x-request-id', 'r1'],
    ['http2-settings', 'AAMAAABkAAQAAP__'],
    ['cookie', 'd=4'],
  ];

  test('is text with marks; crumbs of Cookie are one line (8.2.3)', () => {
    const { head } = receive(BROWSER);
    expect(head.text).toBe(
      'GET / HTTP/1.1\r\nHost: a.example\r\nuser-agent: x\r\nte: trailers\r\nx-forwarded-for: 192.0.2.1\r\n' +
        'x-request-id: r1\r\ncookie: a=1; b=2; c=3; d=4\r\n\r\n',
    );
    expect(head.cookie).toBe('a=1; b=2; c=3; d=4');
    expect(head.header('x-forwarded-for')).toBe('192.0.2.1');
    expect([head.xForwardedFor, head.xRequestId, head.teTrailers]).toEqual(['192.0.2.1', 'r1', true]);
  });

  test('goes to a backend as HTTP/1.1', () => {
    const { head } = receive(BROWSER);
    const extra = 'X-Forwarded-For: 198.51.100.7\r\n';
    const editCookieLine = (value: string): string => value.replace('b=2; ', '');
    expect(requestText(head, { extra, editCookieLine })).toBe(
      'GET / HTTP/1.1\r\nHost: a.example\r\nuser-agent: x\r\nCookie: a=1; c=3; d=4\r\nTE: trailers\r\n' +
        'X-Forwarded-For: 198.51.100.7\r\n\r\n',
    );
  });

  test('with a body of unknown length is chunked towards HTTP/1', () => {
    expect(receive(GET, false).head.chunked).toBe(true);
    expect(receive(GET).head.hasBody).toBe(false);
    const known = receive([...GET, ['content-length', '7']], false).head;
    expect([known.chunked, known.contentLength]).toEqual([false, 7]);
  });

  test('of extended CONNECT is the GET with Upgrade (RFC 8441, 5)', () => {
    const fields: Fields = [[':method', 'CONNECT'], [':protocol', 'WebSocket'], ...GET.slice(1, 3), [':path', '/chat']];
    const { head } = receive(fields, false);
    expect([head.method, head.target, head.upgrade, head.hasBody]).toEqual(['GET', '/chat', 'websocket', false]);
    expect(head.text).toBe('GET /chat HTTP/1.1\r\nHost: a.example\r\n\r\n');
  });

  test('names that may never be indexed are kept', () => {
    const recorded = recordServer();
    const secret = Buffer.from('1003782d610131', 'hex');
    recorded.read(
      Buffer.concat([START, headers(1, Buffer.concat([Buffer.from([0x82, 0x87, 0x84, 0x41, 1, 0x61]), secret]))]),
    );
    expect(recorded.streams[0]?.never).toEqual(['x-a']);
  });

  test('is what HTTP/1 reads from its text', () => {
    const name = fc.constantFrom(
      ...['x-a', 'accept', 'te', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port'],
      ...['x-real-ip', 'x-request-id', 'forwarded', 'expect', 'content-length', 'host', 'date', 'set-cookie', 'server'],
      ...['location', 'cache-control', 'expires', 'x_request_id', 'x_b', 'content_length', 'http2-settings'],
      ...['ssl-client-verify', 'ssl-client-subject-dn', 'ssl-client-issuer-dn', 'ssl-client-cert', 'ssl_client-verify'],
    );
    const value = fc.string({ maxLength: 8, unit: fc.constantFrom(...'az09-_=;, \t"\xff') }).map((text) => text.trim());
    const field = fc.tuple(name, value).map(([n, v]): readonly [string, string] => {
      if (n === 'te') return [n, 'trailers'];
      if (n === 'expect') return [n, '100-continue'];
      if (n === 'content-length') return [n, '5'];
      return n === 'host' ? [n, 'A.example'] : [n, v];
    });
    const lists = fc.uniqueArray(field, {
      maxLength: 12,
      selector: ([n]) => (['content-length', 'expect'].includes(n) ? n : {}),
    });
    fc.assert(
      fc.property(
        lists,
        fc.boolean(),
        fc.array(fc.constantFrom('a=1', 'b="2"', 'c'), { maxLength: 3 }),
        (list, named, crumbs) => {
          const pseudo = named ? GET : GET.filter(([n]) => n !== ':authority');
          const all: Fields = [
            ...pseudo,
            ...(named ? [] : [['host', 'a.example'] as const]),
            ...list,
            ...crumbs.map((c) => ['cookie', c] as const),
          ];
          const { head } = receive(all, false);
          const again = new RequestHead();
          expect(readRequestHead(again, head.text, HEAD_LIMITS)).toBeUndefined();
          expect(snapshot(head)).toEqual({ ...snapshot(again), chunked: again.contentLength < 0 });
          expect(head.cookie).toBe(crumbs.join('; '));
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('a response', () => {
  test('is what HTTP/1 reads from its text', () => {
    const name = fc.constantFrom(
      ...[
        'x-a',
        'server',
        'date',
        'expires',
        'cache-control',
        'location',
        'set-cookie',
        'etag',
        'host',
        'x-request-id',
      ],
    );
    const value = fc.string({ maxLength: 8, unit: fc.constantFrom(...'az09-_=;, \t"\xff') }).map((text) => text.trim());
    const fields = fc.array(fc.tuple(name, value), { maxLength: 12 });
    fc.assert(
      fc.property(fields, fc.constantFrom('200', '204', '302', '304', '599'), fc.boolean(), (list, status, length) => {
        const head = respond(
          [[':status', status], ...list, ...(length ? [['content-length', '5'] as const] : [])],
          false,
        );
        const again = new ResponseHead();
        expect(readResponseHead(again, head.text, HEAD_LIMITS, 'GET')).toBeUndefined();
        const ours = snapshot(head);
        // Not said in the text: HTTP/2 needs no framing, no connection to say something about, and ends by a flag.
        const unsaid = { keepAlive: true, untilClose: false, last: false };
        expect({ ...ours, chunked: false }).toEqual({ ...snapshot(again), ...unsaid });
        expect(head.chunked).toBe(!length && !head.bodyless);
      }),
      { numRuns: 500 },
    );
  });

  test('without a body says so to HTTP/1', () => {
    const head = respond([[':status', '200']], true);
    expect([head.text, head.contentLength]).toEqual(['HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n', 0]);
    expect(respond([[':status', '204']], true).text).toBe('HTTP/1.1 204 \r\n\r\n');
  });

  test('Content-Length of 204 is left out', () => {
    expect(
      respond(
        [
          [':status', '204'],
          ['content-length', '0'],
        ],
        true,
      ).text,
    ).toBe('HTTP/1.1 204 \r\n\r\n');
  });

  test('comes with the names that may never be indexed', () => {
    const recorded = recordClient();
    recorded.connection.request('GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'https', true);
    recorded.read(
      Buffer.concat([settings(), headers(1, Buffer.from('881003782d610131', 'hex'), { end: false }), data(1, 'x')]),
    );
    expect(recorded.streams[0]?.never).toEqual(['x-a']);
    expect(recorded.events).toEqual(['1 200', '1 data x', '1 end']);
  });
});
