/** The HTTP/2 lane against clients that mean no good, and the ends of connections: counted by name, and felt by nobody else. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, settled } from '../support/eventually.ts';
import { Http2Client } from '../support/http2-client.ts';
import type { Http2Answer } from '../support/http2-client.ts';
import {
  data,
  describeFrame,
  encode,
  frame,
  headers,
  ping,
  PREFACE,
  readFrames,
  reset,
  settings,
  SETTINGS_ACK,
  T,
  windowUpdate,
} from '../support/http2-frames.ts';
import type { Fields } from '../support/http2-frames.ts';
import { closeWithWires, RawClient } from '../support/wire.ts';
import { startLab } from './lab.ts';

const lab = await startLab({
  plain: 12,
  config: { headTimeout: 1000, idleTimeout: 1000, bodyTimeout: 1500, maxRequestsPerConnection: 50 },
});

const SITE = lab.site();
const GET: Fields = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/'],
  [':authority', SITE.host],
];
const POST: Fields = [[':method', 'POST'], ...GET.slice(1)];

/** A connection as frames, its settings exchanged. */
async function raw(): Promise<RawClient> {
  const client = await RawClient.connect(lab.ports.https, { secure: true, protocol: 'h2' });
  client.send(Buffer.concat([PREFACE, settings(), SETTINGS_ACK]));
  return client;
}

/** What the server says until it closes, from its first GOAWAY or RST_STREAM on. */
async function lastWords(client: RawClient): Promise<string[]> {
  const frames = readFrames(Buffer.from(await client.rest(), 'latin1'));
  return frames.filter(({ type }) => type === T.GOAWAY || type === T.RST_STREAM).map(describeFrame);
}

function times(count: number, bytes: Buffer): Buffer[] {
  return Array.from({ length: count }, () => bytes);
}

async function open(): Promise<Http2Client> {
  const client = await Http2Client.connect(lab.ports.https, { secure: true });
  closeWithWires(client);
  return client;
}

async function ask(client: Http2Client, authority = SITE.host): Promise<Http2Answer> {
  return await client.ask({ method: 'GET', target: '/', authority, headers: [] });
}

describe('floods', () => {
  const odd = (count: number) => Array.from({ length: count }, (_, i) => 2 * i + 1);
  test.each<[name: string, limit: string, wire: () => Buffer, last: RegExp]>([
    [
      '10,000 rapid resets',
      'http2_reset_flood',
      () => Buffer.concat(odd(10_000).map((id) => Buffer.concat([headers(id, GET), reset(id)]))),
      /ENHANCE_YOUR_CALM reset_flood/,
    ],
    [
      '10,000 streams reset by our own errors',
      'http2_reset_flood',
      () => Buffer.concat(odd(10_000).map((id) => headers(id, [...GET, ['connection', 'close']]))),
      /ENHANCE_YOUR_CALM reset_flood/,
    ],
    [
      'a flood of 100,000 CONTINUATION frames',
      'http2_continuation_flood',
      () => Buffer.concat([frame(T.HEADERS, 1, 1, encode(GET)), ...times(100_000, frame(T.CONTINUATION, 0, 1))]),
      /ENHANCE_YOUR_CALM continuation_flood/,
    ],
    [
      'a field block without end',
      'http2_block_bytes',
      () =>
        Buffer.concat([
          frame(T.HEADERS, 1, 1, encode(GET)),
          ...times(10, frame(T.CONTINUATION, 0, 1, Buffer.alloc(16_000))),
        ]),
      /ENHANCE_YOUR_CALM block_too_large/,
    ],
    ['100,000 PINGs', 'http2_ping_flood', () => Buffer.concat(times(100_000, ping())), /ENHANCE_YOUR_CALM ping_flood/],
    [
      '10,000 SETTINGS',
      'http2_settings_flood',
      () => Buffer.concat(times(10_000, settings([1, 4096]))),
      /ENHANCE_YOUR_CALM settings_flood/,
    ],
    [
      '10,000 DATA frames without data',
      'http2_empty_data_flood',
      () => Buffer.concat([headers(1, POST, { end: false }), ...times(10_000, data(1, '', false))]),
      /ENHANCE_YOUR_CALM empty_data_flood/,
    ],
    [
      '100,000 WINDOW_UPDATEs',
      'http2_window_update_flood',
      () => Buffer.concat(times(100_000, windowUpdate(0, 1))),
      /ENHANCE_YOUR_CALM window_update_flood/,
    ],
    [
      '100,000 frames of unknown type',
      'http2_idle_frame_flood',
      () => Buffer.concat(times(100_000, frame(0x42, 0, 0, 'what?'))),
      /ENHANCE_YOUR_CALM idle_frame_flood/,
    ],
  ])('%s end the connection, and nobody else’s', async (_name, limit, wire, last) => {
    const other = await open();
    expect((await ask(other)).status).toBe(200);
    await lab.counts(limit, async () => {
      const client = await raw();
      client.send(wire());
      expect((await lastWords(client)).at(-1)).toMatch(last);
    });
    expect((await ask(other)).status).toBe(200);
  });

  test('whoever floods is not read any more', async () => {
    const client = await RawClient.connect(lab.ports.http);
    const size = 40_000_000;
    client.send(Buffer.concat([PREFACE, settings(), SETTINGS_ACK, Buffer.alloc(size, ping())]));
    await client.closed();
    expect(await settled(() => client.socket.writableLength)).toBeGreaterThan(size / 2);
  });

  test.each<[name: string, fields: (host: string) => Fields, end: boolean]>([
    ['requests', (host) => [...GET.slice(0, 3), [':authority', host]], true],
    [
      'WebSockets',
      (host) => [
        [':method', 'CONNECT'],
        [':protocol', 'websocket'],
        ...GET.slice(1, 3),
        [':authority', host],
        ['sec-websocket-version', '13'],
      ],
      false,
    ],
  ])('%s that are reset in the same breath are never begun', async (_name, fields, end) => {
    const site = lab.site();
    const before = await lab.errors('client', 499);
    const client = await raw();
    const resets = odd(40).map((id) => Buffer.concat([headers(id, fields(site.host), { end }), reset(id)]));
    client.send(Buffer.concat([...resets, headers(81, fields(site.host), { end })]));
    await site.backend.asked(1);
    await eventually(async () => (await lab.errors('client', 499)) === before + 40);
    client.reset();
    const begun = async () => (await lab.app.metrics()).sum('holdfast_requests_total', { service: site.name });
    await eventually(async () => (await begun()) > 0);
    expect([await begun(), site.backend.sockets]).toEqual([1, 1]);
  });

  test('streams above the limit are refused, and may come again', async () => {
    const site = lab.site();
    const release = Promise.withResolvers<undefined>();
    site.backend.handler = async (exchange) => {
      await release.promise;
      exchange.answer(200);
    };
    const wide: Fields = [...GET.slice(0, 3), [':authority', site.host]];
    await lab.counts('http2_streams', async () => {
      const client = await raw();
      client.send(Buffer.concat(odd(101).map((id) => headers(id, wide))));
      await site.backend.asked(50);
      release.resolve(undefined);
      await eventually(() => client.pending.includes('\u0000\u0000\u0000\u0007'));
    });
  });
});

describe('slow clients', () => {
  test('a field block that is not continued', async () => {
    await lab.counts('head_timeout', async () => {
      const client = await raw();
      client.send(frame(T.HEADERS, 1, 1, encode(GET)));
      expect(await lastWords(client)).toEqual(['GOAWAY 0 ENHANCE_YOUR_CALM']);
    });
  });

  test('a frame that comes drop by drop', async () => {
    await lab.counts('head_timeout', async () => {
      const client = await raw();
      const slow = headers(1, [...GET, ['x-slow', 'a'.repeat(1000)]]);
      let at = 0;
      const timer = setInterval(() => client.send(slow.subarray(at, ++at)), 50);
      try {
        expect(await lastWords(client)).toEqual(['GOAWAY 0 ENHANCE_YOUR_CALM']);
      } finally {
        clearInterval(timer);
      }
    });
  });

  test('settings that are not acknowledged', async () => {
    await lab.counts('head_timeout', async () => {
      const client = await RawClient.connect(lab.ports.https, { secure: true, protocol: 'h2' });
      client.send(Buffer.concat([PREFACE, settings()]));
      expect(await lastWords(client)).toEqual(['GOAWAY 0 SETTINGS_TIMEOUT']);
    });
  });

  test('a connection without a stream is told to go', async () => {
    await lab.counts('idle_timeout', async () => {
      const client = await raw();
      client.send(headers(1, GET));
      expect(await lastWords(client)).toEqual(['GOAWAY 1 NO_ERROR']);
    });
  });

  test('a request body that stops is answered 408, the connection goes on', async () => {
    const site = lab.site();
    await lab.counts('body_timeout', async () => {
      const client = await open();
      const stream = client.session.request({ ':method': 'POST', ':authority': site.host }, { endStream: false });
      stream.write('hello');
      const status = new Promise((resolve) => stream.on('response', (fields) => resolve(fields[':status'])));
      expect(await status).toBe(408);
      expect((await ask(client)).status).toBe(200);
    });
  });

  test('an answer that nobody takes is given up', async () => {
    const site = lab.site();
    const bytes = 4 * 1024 * 1024;
    site.backend.handler = (exchange) => exchange.answer(200, '', 'x'.repeat(bytes));
    const client = await raw();
    client.send(headers(1, [...GET.slice(0, 3), [':authority', site.host]]));
    await site.backend.asked(1);
    await eventually(() => client.bytes > 65_535);
    expect(site.backend.connections[0]?.ended).toBeUndefined();
    client.reset();
    await eventually(() => site.backend.connections[0]?.ended !== undefined);
  });
});

describe('the last streams of a connection', () => {
  test('after so many requests the client is asked to come again, and none is lost', async () => {
    await lab.counts('requests_per_connection', async () => {
      const client = await open();
      const answers = await Promise.all(Array.from({ length: 60 }, () => ask(client)));
      expect(answers.every(({ status }) => status === 200)).toBe(true);
      await client.closed();
    });
  });
});

describe('malformed requests', () => {
  test('are counted as the client’s errors, whatever stream they were on', async () => {
    await lab.countsError('client', 400, async () => {
      const client = await raw();
      client.send(headers(1, [...GET, ['X-Upper', 'case']]));
      await eventually(() => client.pending.length > 60);
    });
  });
});

describe('while others misbehave', () => {
  let memory = 0;
  beforeAll(() => {
    memory = process.memoryUsage().rss;
  });
  afterAll(() => {
    // One process: the proxy, its clients and backends. A leak of a field block a connection would be some 100 MB.
    expect(process.memoryUsage().rss - memory).toBeLessThan(200 * 1024 * 1024);
  });

  test('200 connections that each flood: another one’s requests are answered all the while', async () => {
    const other = await open();
    const flood = Buffer.concat([frame(T.HEADERS, 1, 1, encode(GET)), ...times(2000, frame(T.CONTINUATION, 0, 1))]);
    const attack = (async () => {
      for (let i = 0; i < 200; i++) {
        const client = await raw();
        client.send(flood);
        await client.rest();
      }
    })();
    let answered = 0;
    for (let i = 0; i < 40; i++) if ((await ask(other)).status === 200) answered++;
    await attack;
    expect(answered).toBe(40);
  });
});
