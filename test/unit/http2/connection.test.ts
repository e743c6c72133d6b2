/** What a lane does with a connection: answers, flow control, shutdown. */
import { describe, expect, test } from 'vitest';
import { CODE } from '../../../src/http2/error.ts';
import { HpackDecoder } from '../../../src/http2/hpack/decoder.ts';
import type { ClientConnection } from '../../../src/http2/client.ts';
import type { ServerConnection } from '../../../src/http2/server.ts';
import type { ServerStream } from '../../../src/http2/stream.ts';
import { get, post, START } from '../../fixtures/http2/case.ts';
import {
  data,
  describeFrame,
  goaway,
  headers,
  paddedData,
  reset,
  settings,
  T,
  windowUpdate,
} from '../../support/http2-frames.ts';
import type { ReadFrame } from '../../support/http2-frames.ts';
import { recordClient, recordServer } from './record.ts';
import type { Recorded, RecordOptions } from './record.ts';

const OK = 'HTTP/1.1 200 OK\r\nX-A: b\r\n\r\n';
const BODY = Buffer.alloc(200_000, 'b');

/** A server to which these requests have come. */
function serve(wire: readonly Buffer[], options: RecordOptions = {}): Recorded<ServerConnection> {
  const recorded = recordServer(options);
  recorded.read(Buffer.concat([START, ...wire]));
  recorded.frames();
  return recorded;
}

const said = (recorded: { frames(): ReadFrame[] }): string[] => recorded.frames().map(describeFrame);
const dataBytes = (frames: readonly ReadFrame[], id: number): number =>
  frames.reduce((sum, frame) => sum + (frame.type === T.DATA && frame.id === id ? frame.payload.length : 0), 0);

describe('answers', () => {
  test('head, body and trailers', () => {
    const server = serve([get()]);
    const [stream] = server.streams as [ServerStream];
    server.connection.respond(stream, OK, false);
    expect(server.connection.send(stream, Buffer.from('hello'), 0, 5, false)).toBe(5);
    server.connection.end(stream, 'Grpc-Status: 0\r\n');
    expect(said(server)).toEqual(['HEADERS 1', 'DATA 1', 'HEADERS 1 end']);
    expect(server.connection.streams).toBe(0);
  });

  test('a head alone, and a body that ends empty', () => {
    const server = serve([get(1), get(3)]);
    const [first, second] = server.streams as [ServerStream, ServerStream];
    server.connection.interim(first, 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n');
    server.connection.respond(first, OK, true);
    server.connection.respond(second, OK, false);
    server.connection.end(second, '');
    expect(said(server)).toEqual(['HEADERS 1', 'HEADERS 1 end', 'HEADERS 3', 'DATA 3 end']);
  });

  test('the end of the last range is the end of the stream', () => {
    const server = serve([get()]);
    const [stream] = server.streams as [ServerStream];
    server.connection.respond(stream, OK, false);
    expect(server.connection.send(stream, BODY, 0, 20_000, true)).toBe(20_000);
    expect(said(server)).toEqual(['HEADERS 1', 'DATA 1', 'DATA 1 end']);
  });

  test('a large head goes out in frames of 16,384 bytes at most', () => {
    const server = serve([get()]);
    const [stream] = server.streams as [ServerStream];
    const line = `X-Large: ${'v'.repeat(40_000)}\r\n`;
    server.connection.respond(stream, `HTTP/1.1 200 OK\r\n${line}\r\n`, true);
    const frames = server.frames();
    expect(frames.map(({ type, flags }) => [type, flags])).toEqual([
      [T.HEADERS, 1],
      [T.CONTINUATION, 0],
      [T.CONTINUATION, 4],
    ]);
    expect(Math.max(...frames.map(({ payload }) => payload.length))).toBe(16_384);
    const block = Buffer.concat(frames.map(({ payload }) => payload));
    const values: number[] = [];
    new HpackDecoder().decode(block, 0, block.length, { onField: (field) => values.push(field.value.length) });
    expect(values).toEqual([3, 40_000]);
  });

  test('of a refused request: the rest of it is not wanted (8.1)', () => {
    const server = serve([post(1, [['expect', 'x']])]);
    const [stream] = server.streams as [ServerStream];
    server.connection.respond(stream, 'HTTP/1.1 417 No\r\n\r\n', true);
    expect(said(server)).toEqual(['HEADERS 1 end', 'RST 1 NO_ERROR']);
    server.read(data(1, 'late'));
    expect(server.summary()).toBe('1 refused 417 bad_expectation');
  });

  test('before the request is complete, which then ends the stream', () => {
    const server = serve([post()]);
    const [stream] = server.streams as [ServerStream];
    server.connection.respond(stream, OK, true);
    expect(server.connection.streams).toBe(1);
    server.read(data(1, 'x'));
    expect(server.events).toEqual(['1 POST /', '1 data x', '1 end']);
    expect(server.connection.streams).toBe(0);
  });

  test('a stream that the lane resets gets nothing more, and hears nothing', () => {
    const server = serve([post()]);
    server.connection.reset(server.streams[0]!, CODE.CANCEL);
    server.connection.reset(server.streams[0]!, CODE.CANCEL);
    server.read(Buffer.concat([data(1, 'late'), windowUpdate(1, 5), reset(1)]));
    expect(server.summary()).toBe('1 POST / | RST 1 CANCEL');
  });

  test('an answer within onHead: the stream is over before onEnd', () => {
    const server: Recorded<ServerConnection> = recordServer({
      events: { onHead: (stream) => server.connection.respond(stream, OK, true) },
    });
    server.read(Buffer.concat([START, get(1), get(3)]));
    expect(server.summary()).toBe('SETTINGS ack | HEADERS 1 end | HEADERS 3 end');
  });
});

describe('what we may send', () => {
  const response = (server: Recorded<ServerConnection>, at = 0): ServerStream => {
    const stream = server.streams[at]!;
    server.connection.respond(stream, OK, false);
    return stream;
  };

  test('stops at the stream’s window and goes on with it', () => {
    const server = serve([windowUpdate(0, 1_000_000), get()]);
    const stream = response(server);
    expect(server.connection.send(stream, BODY, 0, BODY.length, true)).toBe(65_535);
    server.read(windowUpdate(1, 10));
    expect(server.events.at(-1)).toBe('1 writable');
    expect(server.connection.send(stream, BODY, 0, 50, true)).toBe(10);
    expect(dataBytes(server.frames(), 1)).toBe(65_545);
  });

  test('stops at the connection’s window; who waits goes on in turn', () => {
    const server = serve([settings([4, 1_000_000]), get(1), get(3), get(5)]);
    const streams = [0, 1, 2].map((at) => response(server, at));
    expect(streams.map((stream) => server.connection.send(stream, BODY, 0, BODY.length, true))).toEqual([65_535, 0, 0]);
    server.events.length = 0;
    // Nobody takes more than there is.
    server.read(windowUpdate(0, 10));
    expect(server.events).toEqual(['1 writable', '3 writable', '5 writable']);
  });

  test('streams share the connection’s window in turn', () => {
    const order: number[] = [];
    const server: Recorded<ServerConnection> = recordServer({
      events: {
        onWritable(stream) {
          order.push(stream.id);
          server.connection.send(stream, BODY, 0, BODY.length, false);
        },
      },
    });
    server.read(Buffer.concat([START, settings([4, 10_000_000]), get(1), get(3), get(5)]));
    for (let at = 0; at < 3; at++) server.connection.send(response(server, at), BODY, 0, BODY.length, false);
    for (let i = 0; i < 5; i++) server.read(windowUpdate(0, 1_000));
    expect(order).toEqual([1, 3, 5, 1, 3]);
  });

  test('SETTINGS_INITIAL_WINDOW_SIZE can make a window negative (6.9.2)', () => {
    const server = serve([get()]);
    const stream = response(server);
    expect(server.connection.send(stream, BODY, 0, 40_000, false)).toBe(40_000);
    server.read(settings([4, 10_000]));
    expect(server.connection.send(stream, BODY, 0, 1, true)).toBe(0);
    server.read(windowUpdate(1, 30_000));
    expect(server.events.at(-1)).toBe('1 end');
    server.read(windowUpdate(1, 1));
    expect(server.events.at(-1)).toBe('1 writable');
    expect(server.connection.send(stream, BODY, 0, 1, true)).toBe(1);
  });

  test('a larger SETTINGS_INITIAL_WINDOW_SIZE lets streams go on', () => {
    const server = serve([settings([4, 0]), get()]);
    const stream = response(server);
    expect(server.connection.send(stream, BODY, 0, 5, true)).toBe(0);
    server.read(settings([4, 3]));
    expect(server.events.at(-1)).toBe('1 writable');
    expect(server.connection.send(stream, BODY, 0, 5, true)).toBe(3);
  });

  test('an end needs no window', () => {
    const server = serve([settings([4, 0]), get()]);
    const stream = response(server);
    expect(server.connection.send(stream, BODY, 0, 0, true)).toBe(0);
    expect(said(server)).toEqual(['HEADERS 1', 'DATA 1 end']);
  });

  test('a stream that is reset while it waits is not woken', () => {
    const server = serve([settings([4, 1_000_000]), get(1), get(3)]);
    const streams = [0, 1].map((at) => response(server, at));
    for (const stream of streams) server.connection.send(stream, BODY, 0, BODY.length, true);
    server.read(Buffer.concat([reset(1), windowUpdate(0, 10)]));
    expect(server.events.slice(-2)).toEqual(['1 reset CANCEL', '3 writable']);
  });

  test('a download of 10 MB needs as many writes as there are windows', () => {
    let left = 10_000_000;
    const send = (stream: ServerStream): void => {
      while (left > 0) {
        const part = Math.min(left, BODY.length);
        const sent = server.connection.send(stream, BODY, 0, part, part === left);
        left -= sent;
        if (sent < part) return;
      }
    };
    const server: Recorded<ServerConnection> = recordServer({ events: { onWritable: send } });
    server.read(Buffer.concat([START, settings([4, 1 << 20]), windowUpdate(0, 1 << 20), get()]));
    send(response(server));
    let turns = 0;
    let got = dataBytes(server.frames(), 1);
    while (left > 0) {
      server.read(Buffer.concat([windowUpdate(1, got), windowUpdate(0, got)]));
      got = dataBytes(server.frames(), 1);
      turns++;
    }
    expect(turns).toBeLessThan(20);
    expect(server.connection.streams).toBe(0);
  });
});

describe('what a peer may send', () => {
  const limits = { streamWindow: 100_000, connectionWindow: 150_000 };
  const chunk = (id: number, size: number): Buffer => data(id, Buffer.alloc(size), false);
  /** A lane that takes nothing until it is told to. */
  const slow = (wire: readonly Buffer[]): Recorded<ServerConnection> =>
    serve(wire, { limits, events: { onData: () => undefined } });
  const six = (id: number): Buffer => Buffer.concat(Array.from({ length: 6 }, () => chunk(id, 16_384)));

  test('is announced', () => {
    const wire: Buffer[] = [];
    recordServer({
      limits,
      events: { onWrite: (block, length) => wire.push(block.subarray(0, length)) },
    }).connection.flush();
    expect(Buffer.concat(wire).toString('hex')).toBe(
      '00001804000000000000040001' +
        '86a0' +
        '000600004000' +
        '000300000064' +
        '000800000001' +
        '000004080000000000' +
        '000149f1',
    );
  });

  test('ends at the stream’s window', () => {
    const server = slow([post(), six(1)]);
    server.read(chunk(1, 1_696));
    expect(said(server)).toEqual([]);
    server.read(chunk(1, 1));
    expect(server.events.at(-1)).toBe('1 reset FLOW_CONTROL_ERROR stream_window_exceeded');
    expect(said(server)).toEqual(['RST 1 FLOW_CONTROL_ERROR', 'WINDOW 0 +100000']);
  });

  test('ends at the connection’s window', () => {
    const server = slow([post(1), six(1), post(3)]);
    server.read(Buffer.concat([chunk(3, 16_384), chunk(3, 16_384), chunk(3, 16_384)]));
    server.read(chunk(3, 2_545));
    expect(server.summary()).toMatch(/error window_exceeded \| GOAWAY 3 FLOW_CONTROL_ERROR window_exceeded$/);
  });

  test('goes on when half a window is consumed', () => {
    const server = slow([post(), six(1)]);
    const [stream] = server.streams as [ServerStream];
    server.connection.consumed(stream, 49_999);
    expect(said(server)).toEqual([]);
    server.connection.consumed(stream, 1);
    expect(said(server)).toEqual(['WINDOW 1 +50000']);
    server.connection.consumed(stream, 25_000);
    expect(said(server)).toEqual(['WINDOW 0 +75000']);
  });

  test('padding is given back at once', () => {
    const server = serve([post(1), post(3)], { limits: { streamWindow: 65_535, connectionWindow: 65_535 } });
    for (let i = 0; i < 1_000; i++) server.read(paddedData(1, 'x', 255, false));
    for (const frame of server.frames()) expect(frame.type).toBe(T.WINDOW_UPDATE);
    expect(server.events.length).toBe(3);
  });

  test('what a stream held when it was reset the connection gets back', () => {
    const server = slow([post(), six(1)]);
    const [stream] = server.streams as [ServerStream];
    server.connection.reset(stream, CODE.CANCEL);
    expect(said(server)).toEqual(['RST 1 CANCEL', 'WINDOW 0 +98304']);
    server.connection.consumed(stream, 98_304);
    expect(said(server)).toEqual([]);
  });

  test('DATA on a stream that is over counts for the connection alone', () => {
    const server = slow([post()]);
    server.connection.reset(server.streams[0]!, CODE.CANCEL);
    server.read(six(1));
    expect(said(server)).toEqual(['RST 1 CANCEL', 'WINDOW 0 +81920']);
  });

  test('a stream that the peer has ended needs no window', () => {
    const server = slow([post(), six(1), data(1, '')]);
    server.connection.consumed(server.streams[0]!, 98_304);
    expect(said(server)).toEqual(['WINDOW 0 +98304']);
  });
});

describe('the end', () => {
  test('GOAWAY in two steps (6.8)', () => {
    const server = serve([post(1)]);
    server.connection.goawaySoon();
    server.read(get(3));
    server.connection.goawayNow();
    server.read(Buffer.concat([get(5), data(1, 'x'), data(5, 'ignored'), get(7)]));
    expect(server.summary()).toBe(
      '1 POST / | 3 GET / | 3 end | 1 data x | 1 end | GOAWAY 2147483647 NO_ERROR | GOAWAY 3 NO_ERROR',
    );
    expect(server.connection.streams).toBe(2);
  });

  test('a connection that has failed consumes nothing and writes nothing', () => {
    const server = serve([post(1)]);
    server.read(Buffer.concat([windowUpdate(0, 0), get(3)]));
    server.read(get(5));
    expect(server.connection.dead).toBe(true);
    expect(server.connection.streams).toBe(0);
    expect(server.summary()).toBe(
      '1 POST / | 1 reset PROTOCOL_ERROR zero_increment | error zero_increment | GOAWAY 1 PROTOCOL_ERROR zero_increment',
    );
  });

  test('the lane may give up: SETTINGS that are never acknowledged', () => {
    const server = serve([post(1)]);
    expect(server.connection.settingsAcked).toBe(false);
    server.connection.abort(CODE.SETTINGS_TIMEOUT);
    server.connection.abort(CODE.SETTINGS_TIMEOUT);
    expect(server.summary()).toBe('1 POST / | 1 reset SETTINGS_TIMEOUT | GOAWAY 1 SETTINGS_TIMEOUT');
  });
});

describe('the client', () => {
  test('keeps to the streams that the server allows', () => {
    const client = recordClient();
    const ask = () => client.connection.request('GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'https', true);
    client.read(settings([3, 2]));
    ask();
    ask();
    expect(client.connection.free).toBe(false);
    client.read(headers(1, [[':status', '200']]));
    expect(client.connection.free).toBe(true);
    expect(ask().id).toBe(5);
  });

  test('may ask anew as soon as an answer is complete', () => {
    const ask = () => client.connection.request('GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'https', true);
    const client: Recorded<ClientConnection> = recordClient(
      {},
      {
        onEnd(stream) {
          if (!stream.localEnded) client.connection.end(stream, '');
          ask();
        },
      },
    );
    client.connection.request('POST / HTTP/1.1\r\nHost: a\r\n\r\n', 'https', false);
    client.read(settings());
    client.read(headers(1, [[':status', '200']], { end: false }));
    client.read(data(1, 'x'));
    client.read(headers(3, [[':status', '200']], { end: false }));
    client.read(headers(3, [['x-sum', '1']]));
    client.read(headers(5, [[':status', '204']]));
    expect(client.connection.streams).toBe(1);
    const frames = ['HEADERS 1', 'SETTINGS ack', 'DATA 1 end', 'HEADERS 3 end', 'HEADERS 5 end', 'HEADERS 7 end'];
    expect(client.summary()).toBe(
      ['1 200', '1 data x', '3 200', '3 trailers x-sum: 1\\r\\n', '5 204', ...frames].join(' | '),
    );
  });

  test('opens nothing behind GOAWAY', () => {
    const client = recordClient();
    client.read(Buffer.concat([settings(), goaway(0)]));
    expect(client.connection.free).toBe(false);
  });

  test('knows whether the server takes extended CONNECT', () => {
    const client = recordClient();
    expect(client.connection.takesExtendedConnect).toBe(false);
    client.read(settings([8, 1]));
    expect(client.connection.takesExtendedConnect).toBe(true);
    const stream = client.connection.request('GET /c HTTP/1.1\r\nHost: a\r\n\r\n', 'https', false, 'websocket');
    client.read(Buffer.concat([headers(1, [[':status', '200']], { end: false }), data(1, 'hi', false)]));
    expect(client.events).toEqual(['1 200', '1 data hi']);
    expect(stream.remoteEnded).toBe(false);
  });
});
