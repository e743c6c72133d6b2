/** What a lane may do with a parser besides feeding it. */
import { describe, expect, test } from 'vitest';
import { DEFAULT_LIMITS } from '../../../src/http1/limits.ts';
import { RequestParser } from '../../../src/http1/request-parser.ts';
import type { RequestSink } from '../../../src/http1/request-parser.ts';
import { ResponseParser } from '../../../src/http1/response-parser.ts';
import { requestHead } from './heads.ts';
import { recordRequests, recordResponse } from './record.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

function sink(events: string[]): RequestSink {
  return {
    onHead: (head) => events.push(head.target),
    onBody: (_buffer, start, end) => events.push(`body ${end - start}`),
    onTrailers: () => events.push('trailers'),
    onEnd: () => events.push('end'),
    onError: (error) => events.push(error.code),
  };
}

describe('RequestParser', () => {
  test('stops behind each message and goes on after reset', () => {
    const events: string[] = [];
    const parser = new RequestParser(sink(events), DEFAULT_LIMITS);
    const buffer = Buffer.from(REQUEST + REQUEST);
    expect(parser.execute(buffer, 0, buffer.length)).toBe(REQUEST.length);
    expect(parser.done).toBe(true);
    expect(parser.execute(buffer, REQUEST.length, buffer.length)).toBe(REQUEST.length);
    parser.reset();
    expect(parser.idle).toBe(true);
    expect(parser.execute(buffer, REQUEST.length, buffer.length)).toBe(buffer.length);
    expect(events).toEqual(['/', 'end', '/', 'end']);
  });

  test('reads the cookies of each request, whatever those of the one before were', () => {
    const lines = [
      ['Cookie: sid=1', 'sid=1'],
      ['Cookie: sid=1', 'sid=1'],
      ['Cookie:asid=1', 'asid=1'],
      ['Cookie: sid=1', 'sid=1'],
      ['Cookie:  sid=1', 'sid=1'],
      ['Cookie: sid=1 ', 'sid=1'],
      ['Cookie: sid=2', 'sid=2'],
      ['Cookie: sid=2\r\nX: sid=1\r\nCookie: sid=2', 'sid=2; sid=2'],
      ['Cookie: sid=2; sid=2', 'sid=2; sid=2'],
      ['Cookie:xsid=2; sid=2', 'xsid=2; sid=2'],
      ['X: y', ''],
      ['Cookie: ', ''],
    ] as const;
    const read: string[] = [];
    const parser = new RequestParser({ ...sink([]), onHead: (head) => read.push(head.cookie) }, DEFAULT_LIMITS);
    for (const [line] of lines) {
      const buffer = Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n`);
      parser.execute(buffer, 0, buffer.length);
      parser.reset();
    }
    expect(read).toEqual(lines.map(([, cookie]) => cookie));
  });

  test('is idle until something but an empty line has come', () => {
    const parser = new RequestParser(sink([]), DEFAULT_LIMITS);
    const buffer = Buffer.from(`\r\n${REQUEST}`);
    parser.execute(buffer, 0, 2);
    expect(parser.idle).toBe(true);
    parser.execute(buffer, 2, 3);
    expect(parser.idle).toBe(false);
  });

  test('detached in onHead it leaves what follows the head', () => {
    const wire = `${REQUEST}\x81\x05hello`;
    const events: string[] = [];
    const parser: RequestParser = new RequestParser({ ...sink(events), onHead: () => parser.detach() }, DEFAULT_LIMITS);
    const buffer = Buffer.from(wire, 'latin1');
    expect(parser.execute(buffer, 0, buffer.length)).toBe(REQUEST.length);
    expect(parser.execute(buffer, REQUEST.length, buffer.length)).toBe(REQUEST.length);
    expect(events).toEqual([]);
  });

  test('detached in onBody it delivers nothing more', () => {
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx';
    const events: string[] = [];
    const parser: RequestParser = new RequestParser(
      {
        ...sink(events),
        onBody: () => {
          events.push('body');
          parser.detach();
        },
      },
      DEFAULT_LIMITS,
    );
    const buffer = Buffer.from(`${head}\r\n1\r\ny\r\n0\r\n\r\n`);
    expect(parser.execute(buffer, 0, buffer.length)).toBe(head.length);
    expect(events).toEqual(['/', 'body']);
  });

  test('may be reset from within onEnd', () => {
    const events: string[] = [];
    const parser: RequestParser = new RequestParser(
      {
        ...sink(events),
        onEnd: () => {
          events.push('end');
          parser.reset();
        },
      },
      DEFAULT_LIMITS,
    );
    const buffer = Buffer.from(REQUEST + REQUEST);
    expect(parser.execute(buffer, 0, buffer.length)).toBe(REQUEST.length);
    expect(parser.execute(buffer, REQUEST.length, buffer.length)).toBe(buffer.length);
    expect(events).toEqual(['/', 'end', '/', 'end']);
  });

  test('is dead after an error, for ever', () => {
    const events: string[] = [];
    const parser = new RequestParser(sink(events), DEFAULT_LIMITS);
    const bad = Buffer.from('\n');
    const good = Buffer.from(REQUEST);
    parser.execute(bad, 0, 1);
    parser.reset();
    expect(parser.execute(good, 0, good.length)).toBe(0);
    expect(parser.idle).toBe(false);
    expect(events).toEqual(['bare_lf']);
  });

  test('limits are those given', () => {
    const limits = { head: 60, headers: 2, target: 10 };
    const events = (wire: string): string => recordRequests([wire], limits).summary;
    expect(events(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'b'.repeat(60 - 32)}\r\n\r\n`)).toBe('GET / | end');
    expect(events(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'b'.repeat(61 - 32)}\r\n\r\n`)).toBe('error 431 head_too_large');
    expect(events('GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 2\r\n\r\n')).toBe('error 431 too_many_fields');
    expect(events('GET /123456789 HTTP/1.1\r\nHost: a\r\n\r\n')).toBe('GET /123456789 | end');
    expect(events('GET /1234567890 HTTP/1.1\r\nHost: a\r\n\r\n')).toBe('error 414 target_too_long');
  });
});

describe('ResponseParser', () => {
  test('is ready for the next response after reset', () => {
    const methods = ['HEAD', 'GET'];
    const ends: number[] = [];
    const parser = new ResponseParser(
      {
        onInterim: () => undefined,
        onHead: () => undefined,
        onBody: () => undefined,
        onTrailers: () => undefined,
        onEnd: () => ends.push(1),
        onError: (error) => {
          throw new Error(error.code);
        },
      },
      DEFAULT_LIMITS,
    );
    for (const method of methods) {
      const body = method === 'HEAD' ? '' : 'hello';
      const buffer = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n${body}`);
      parser.reset(method);
      expect(parser.idle).toBe(true);
      expect(parser.execute(buffer, 0, buffer.length)).toBe(buffer.length);
      expect(parser.done).toBe(true);
    }
    expect(ends.length).toBe(2);
  });

  test('finish behind a complete response says nothing', () => {
    expect(recordResponse(['HTTP/1.1 204 N\r\n\r\n'], 'GET', true).summary).toBe('204 N | end');
  });
});

test('a head of the largest size with a fault at its end is refused in good time', () => {
  const lines = Array.from({ length: 98 }, (_, i) => `X-${i}: ${'a'.repeat(150)}`);
  const before = performance.now();
  for (let i = 0; i < 100; i++) expect(() => requestHead(['Host: a', ...lines, 'X: \x01'])).toThrow('bad_field_value');
  // Backtracking that is not linear would take minutes.
  expect(performance.now() - before).toBeLessThan(2_000);
});
