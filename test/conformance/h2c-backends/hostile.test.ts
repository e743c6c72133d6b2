/**
 * Endpoints that break HTTP/2, stall or vanish: never a clean end of something incomplete, nothing asked without end, and
 * what one request does to the connection that others share. What is malformed is the codec's business (`unit/http2/wire`):
 * of each kind one is here.
 */
import { describe, expect, test } from 'vitest';
import { eventually, settled } from '../../support/eventually.ts';
import { answerOf } from '../../support/http2-client.ts';
import { streamOf } from '../../support/http2-backend.ts';
import type { StreamSocket } from '../../support/http2-backend.ts';
import { data, frame, goaway, headers, reset, settings, T, u32, windowUpdate } from '../../support/http2-frames.ts';
import type { Fields } from '../../support/http2-frames.ts';
import { HostileBackend, values } from '../../support/wire.ts';
import type { BackendExchange } from '../../support/wire.ts';
import { endpointsSpeak } from '../endpoints.ts';
import { COOKIE, startLab } from '../lab.ts';
import type { Site } from '../lab.ts';
import type { Answer, Lane, LaneClient, Question } from '../lanes.ts';

endpointsSpeak('H2C');
const { ALL_LANES, http2Client, requestBytes } = await import('../lanes.ts');
// A WebSocket goes to such endpoints in HTTP/1.1.
const LANES = ALL_LANES.filter(({ lane }) => lane !== 'upgrade');

// The proxy's clock for these ticks every 250 ms: time-outs this short are for tests only.
const lab = await startLab({
  plain: 110,
  sticky: 2,
  config: { responseTimeout: 2000, responseBodyTimeout: 1500, bodyTimeout: 1500 },
});

const NO_ERROR = 0;
const PROTOCOL_ERROR = 1;
const INTERNAL_ERROR = 2;
const REFUSED_STREAM = 7;
const CANCEL = 8;

const ok = (more: Fields = []): Fields => [[':status', '200'], ...more];

/** What the endpoint does with a request to `/bad`; others it serves. */
type Deed = (stream: StreamSocket, exchange: BackendExchange) => void | Promise<void>;

function doing(deed: Deed, site = lab.site()): Site {
  site.backend.handler = async (exchange) => {
    if (exchange.request.target.startsWith('/bad')) return await deed(streamOf(exchange), exchange);
    await exchange.body();
    exchange.answer(200, '', exchange.request.target);
  };
  return site;
}

async function ask(lane: Lane, question: Question): Promise<Answer> {
  return await (await asking(lane, question)).answer();
}

async function asking(lane: Lane, question: Question): Promise<LaneClient> {
  const client = await lane.connect(lab.ports);
  client.ask(question);
  return client;
}

/** Asks and reads nothing of the answer. */
async function unread(lane: Lane, question: Question): Promise<{ reset(): void }> {
  if (lane.wire !== undefined) {
    const client = await lane.wire(lab.ports);
    client.socket.pause();
    client.send(requestBytes(question));
    return client;
  }
  const client = await http2Client(lab.ports, lane.secure);
  client.send({ method: 'GET', target: '/', headers: [], ...question, authority: question.host });
  return client;
}

/** Asks by POST with a body that does not come. */
async function unfinished(lane: Lane, { host, target = '/' }: Question): Promise<{ readonly status: number }> {
  if (lane.wire !== undefined) {
    const client = await lane.wire(lab.ports);
    client.send(`POST ${target} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 10\r\n\r\nhello`);
    return await client.response();
  }
  const { session } = await http2Client(lab.ports, lane.secure);
  const stream = session.request({ ':method': 'POST', ':authority': host, ':path': target }, { endStream: false });
  stream.write('hello');
  return await answerOf(stream);
}

/** Requests to `/bad` that the endpoint has seen. */
const bad = ({ backend }: Site) => backend.requests.filter(({ target }) => target === '/bad').length;

/**
 * A connection to the endpoint that has served somebody, and a neighbour's request under way on it. `unharmed` waits for the
 * neighbour's answer; `sockets`: connections that there have been by then.
 */
async function shared(lane: Lane, deed: Deed) {
  const held = Promise.withResolvers<undefined>();
  const site = doing(async (stream, exchange) => {
    if (exchange.request.target === '/bad') return await deed(stream, exchange);
    await held.promise;
    exchange.answer(200, '', 'held');
  });
  expect(await ask(lane, { host: site.host, target: '/first' })).toMatchObject({ status: 200, body: '/first' });
  const neighbour = await asking(lane, { host: site.host, target: '/bad-neighbour' });
  await site.backend.asked(2);
  const unharmed = async (sockets = 1) => {
    held.resolve(undefined);
    expect(await neighbour.answer()).toMatchObject({ status: 200, body: 'held' });
    expect(site.backend.sockets).toBe(sockets);
  };
  return { site, unharmed };
}

/** Heads of which nothing reaches the client but a 502, and no connection ends. */
const MALFORMED: [code: string, frames: (id: number) => Buffer][] = [
  ['bad_field_name', (id) => headers(id, ok([['X-Upper', '1']]))],
  ['bad_field_value', (id) => headers(id, ok([['x-a', '1\r\nset-cookie: a=b']]))],
  ['connection_field', (id) => headers(id, ok([['connection', 'close']]))],
  ['connection_field', (id) => headers(id, ok([['transfer-encoding', 'chunked']]), { end: false })],
  ['missing_pseudo', (id) => headers(id, [['x-a', '1']])],
  ['bad_pseudo', (id) => headers(id, ok([[':path', '/']]))],
  ['bad_status', (id) => headers(id, [[':status', '101']], { end: false })],
  ['bad_status', (id) => headers(id, [[':status', '103']])],
  [
    'bad_content_length',
    (id) =>
      headers(
        id,
        ok([
          ['content-length', '5'],
          ['content-length', '5'],
        ]),
        { end: false },
      ),
  ],
  ['length_mismatch', (id) => headers(id, ok([['content-length', '5']]))],
  ['data_before_head', (id) => data(id, 'hello')],
  ['list_too_large', (id) => headers(id, ok([['x-a', 'a'.repeat(20_000)]]), {}, 16_000)],
];

/** Answers that begin and do not end as they should: the client's is cut, no connection to the endpoint ends. */
const CUT: [name: string, frames: (id: number) => Buffer[]][] = [
  [
    'more DATA than Content-Length',
    (id) => [headers(id, ok([['content-length', '3']]), { end: false }), data(id, 'hello')],
  ],
  [
    'less DATA than Content-Length',
    (id) => [headers(id, ok([['content-length', '9']]), { end: false }), data(id, 'hello')],
  ],
  ['a reset', (id) => [headers(id, ok(), { end: false }), data(id, 'hello', false), reset(id, INTERNAL_ERROR)]],
  [
    'a reset without a fault',
    (id) => [headers(id, ok(), { end: false }), data(id, 'hello', false), reset(id, NO_ERROR)],
  ],
  [
    'trailers that end nothing',
    (id) => [headers(id, ok(), { end: false }), headers(id, [['x-a', '1']], { end: false })],
  ],
  ['trailers with a status', (id) => [headers(id, ok(), { end: false }), data(id, 'hello', false), headers(id, ok())]],
];

/** Faults of the connection: it ends, and the requests on it are made anew or failed. */
const BROKEN: [name: string, frames: (id: number) => Buffer[]][] = [
  ['a frame that is too large', (id) => [frame(T.DATA, 0, id, Buffer.alloc(20_000))]],
  ['a field block that cannot be decoded', (id) => [headers(id, Buffer.from([0x80]))]],
  ['an answer on a stream that nobody has opened', (id) => [headers(id + 100, ok())]],
  ['a push', (id) => [frame(T.PUSH_PROMISE, 4, id, u32(2))]],
  ['a setting that cannot be', () => [settings([2, 1])]],
  ['a window beyond all bounds', () => [windowUpdate(0, 0x7fff_ffff), windowUpdate(0, 0x7fff_ffff)]],
  [
    'a field block without end',
    (id) => [
      frame(T.HEADERS, 1, id, Buffer.from([0x88])),
      ...Array.from({ length: 20 }, () => frame(T.CONTINUATION, 0, id)),
    ],
  ],
];

describe.each(LANES)('lane $name', (lane) => {
  test.each(MALFORMED)(
    'a malformed head (%s, %#): 502, nothing is tried again, the others go on',
    async (code, frames) => {
      const { site, unharmed } = await shared(lane, (stream) => stream.inject(frames(stream.id)));
      await lab.countsError('upstream', 502, async () => {
        const answer = await ask(lane, { host: site.host, target: '/bad', headers: [['Accept', 'application/json']] });
        expect(answer.status).toBe(502);
        expect(JSON.parse(answer.body)).toMatchObject({ code });
      });
      await unharmed();
      expect(bad(site)).toBe(1);
    },
  );

  test.each(CUT)('%s in an answer that has begun: the client’s is cut, the others go on', async (_name, frames) => {
    const { site, unharmed } = await shared(lane, (stream) => stream.inject(...frames(stream.id)));
    await expect(ask(lane, { host: site.host, target: '/bad' })).rejects.toThrow();
    await unharmed();
    expect(bad(site)).toBe(1);
  });

  test('interim answers without end: 502, and the answer behind them is nobody’s', async () => {
    const { site, unharmed } = await shared(lane, (stream) =>
      stream.inject(
        ...Array.from({ length: 33 }, () => headers(stream.id, [[':status', '103']], { end: false })),
        headers(stream.id, ok(), { end: false }),
        data(stream.id, 'stale'),
      ),
    );
    const client = await asking(lane, { host: site.host, target: '/bad' });
    expect(await client.answer()).toMatchObject({ status: 502 });
    client.ask({ host: site.host, target: '/next' });
    expect(await client.answer()).toMatchObject({ status: 200, body: '/next' });
    await unharmed();
    expect(bad(site)).toBe(1);
  });

  test('an answer without its end is given up in time, by a reset', async () => {
    let given: StreamSocket | undefined;
    const { site, unharmed } = await shared(lane, (stream) => {
      given = stream;
      stream.inject(headers(stream.id, ok(), { end: false }), data(stream.id, 'hello', false));
    });
    await lab.counts('response_body_timeout', async () => {
      await expect(ask(lane, { host: site.host, target: '/bad' })).rejects.toThrow();
    });
    await eventually(() => given?.reset === CANCEL);
    await unharmed();
  });

  test.each(BROKEN)('%s ends the connection: what may be sent twice goes over another', async (_name, frames) => {
    const { site, unharmed } = await shared(lane, (stream) => {
      if (bad(site) === 1) stream.inject(...frames(stream.id));
      else stream.inject(headers(stream.id, ok()));
    });
    expect(await ask(lane, { host: site.host, target: '/bad' })).toMatchObject({ status: 200 });
    await unharmed(2);
    expect(bad(site)).toBe(2);
  });

  test.each([
    ['the connection ends', (stream: StreamSocket) => stream.cut()],
    ['the connection breaks', (stream: StreamSocket) => stream.inject(headers(stream.id, Buffer.from([0x80])))],
    ['the stream is reset', (stream: StreamSocket) => stream.inject(reset(stream.id, INTERNAL_ERROR))],
    ['the stream is reset without a fault', (stream: StreamSocket) => stream.inject(reset(stream.id, NO_ERROR))],
  ])('without an answer, and %s: a GET is tried a few times, a POST is not', async (_name, deed) => {
    const site = doing(deed);
    expect(await ask(lane, { host: site.host })).toMatchObject({ status: 200 });
    await lab.countsError('upstream', 502, async () => {
      expect(await ask(lane, { host: site.host, target: '/bad' })).toMatchObject({ status: 502 });
    });
    expect(bad(site)).toBe(3);
    expect(await ask(lane, { host: site.host })).toMatchObject({ status: 200 });
    expect(await ask(lane, { host: site.host, target: '/bad', method: 'POST', body: 'x' })).toMatchObject({
      status: 502,
    });
    expect(bad(site)).toBe(4);
  });

  test('an endpoint that refuses every stream is not asked without end, whatever the request', async () => {
    const site = doing((stream) => stream.inject(reset(stream.id, REFUSED_STREAM)));
    expect(await ask(lane, { host: site.host })).toMatchObject({ status: 200 });
    for (const question of [{}, { method: 'POST', body: 'x' }]) {
      const before = bad(site);
      expect(await ask(lane, { host: site.host, target: '/bad', ...question })).toMatchObject({ status: 502 });
      expect(bad(site) - before).toBeLessThan(10);
    }
    expect(site.backend.sockets).toBe(1);
  });

  test('a refused stream is opened anew with its body, if that is small and nothing else', async () => {
    const site = doing(async (stream, exchange) => {
      const { body } = await exchange.body();
      if (bad(site) % 2 === 1) stream.inject(reset(stream.id, REFUSED_STREAM));
      else exchange.answer(200, '', String(body.length));
    });
    const upload = { host: site.host, target: '/bad', method: 'POST' };
    expect(await ask(lane, { ...upload, body: 'x'.repeat(10_000) })).toMatchObject({ status: 200, body: '10000' });
    expect(await ask(lane, { ...upload, chunks: ['he', 'llo'] })).toMatchObject({ status: 200, body: '5' });
    expect(await ask(lane, { ...upload, body: 'x'.repeat(20_000) })).toMatchObject({ status: 502 });
    expect(bad(site)).toBe(5);
  });

  test('frames behind the end of an answer are nobody else’s', async () => {
    const { site, unharmed } = await shared(lane, (stream) =>
      stream.inject(headers(stream.id, ok(), { end: false }), data(stream.id, 'mine'), data(stream.id, 'poison')),
    );
    const client = await asking(lane, { host: site.host, target: '/bad' });
    expect(await client.answer()).toMatchObject({ status: 200, body: 'mine' });
    client.ask({ host: site.host, target: '/next' });
    expect(await client.answer()).toMatchObject({ status: 200, body: '/next' });
    // The connection is over, and the neighbour's request was made anew.
    await unharmed(2);
  });

  test('an answer before the request is complete, and a reset behind it: it arrives whole', async () => {
    for (const code of [NO_ERROR, CANCEL]) {
      const { site, unharmed } = await shared(lane, (stream) =>
        stream.inject(
          headers(stream.id, [[':status', '413']], { end: false }),
          data(stream.id, 'no'),
          reset(stream.id, code),
        ),
      );
      const answer = await ask(lane, { host: site.host, target: '/bad', method: 'POST', body: 'x'.repeat(300_000) });
      expect(answer).toMatchObject({ status: 413, body: 'no' });
      await unharmed();
      // It would wait for the rest of the request, since of the reset its stream knows nothing.
      site.backend.destroy();
    }
  });

  test('GOAWAY on an idle connection: the next request has another one', async () => {
    const site = doing(() => undefined);
    let given: StreamSocket | undefined;
    site.backend.handler = async (exchange) => {
      given ??= streamOf(exchange);
      exchange.answer(200, '', 'ok');
    };
    const client = await asking(lane, { host: site.host });
    expect(await client.answer()).toMatchObject({ status: 200 });
    given?.inject(goaway(given.id));
    await given?.ended();
    client.ask({ host: site.host, method: 'POST', body: 'x' });
    expect(await client.answer()).toMatchObject({ status: 200 });
    expect([site.backend.sockets, site.backend.requests.length]).toEqual([2, 2]);
  });

  test.each([
    ['gracefully', NO_ERROR],
    ['for a fault', PROTOCOL_ERROR],
  ])('GOAWAY %s while requests are under way: they are finished there, later ones go elsewhere', async (_how, code) => {
    const { site, unharmed } = await shared(lane, (stream) =>
      stream.inject(goaway(stream.id, code), headers(stream.id, ok(), { end: false }), data(stream.id, 'last')),
    );
    expect(await ask(lane, { host: site.host, target: '/bad' })).toMatchObject({ status: 200, body: 'last' });
    expect(await ask(lane, { host: site.host, target: '/later' })).toMatchObject({ status: 200, body: '/later' });
    await unharmed(2);
    expect(bad(site)).toBe(1);
  });

  test('GOAWAY in the middle of an answer, and then the end: the client’s is cut', async () => {
    const site = doing((stream) => {
      stream.inject(headers(stream.id, ok(), { end: false }), data(stream.id, 'hello', false), goaway(stream.id));
      stream.cut();
    });
    await expect(ask(lane, { host: site.host, target: '/bad' })).rejects.toThrow();
    expect(bad(site)).toBe(1);
  });

  test('a session stays where it is, whatever its endpoint does', async () => {
    const site = lab.stickySite();
    const second = await HostileBackend.start();
    await lab.addEndpoint(site, second);
    const deeds: Deed[] = [
      (stream) => stream.inject(headers(stream.id, ok([['X-Upper', '1']]))),
      (stream) => stream.inject(reset(stream.id, INTERNAL_ERROR)),
      (stream) => stream.inject(reset(stream.id, REFUSED_STREAM)),
      (stream) => stream.inject(goaway(0), headers(stream.id, ok())),
      (stream) => stream.inject(headers(stream.id, Buffer.from([0x80]))),
      (stream) => stream.cut(),
    ];
    let deed: Deed = () => undefined;
    for (const backend of [site.backend, second])
      doing((stream, exchange) => deed(stream, exchange), { ...site, backend });
    const first = await ask(lane, { host: site.host });
    const [cookie = ''] = (values(first, 'set-cookie')[0] ?? '').split(';');
    expect(cookie).toContain(COOKIE);
    const own = second.requests.length > 0 ? second : site.backend;
    const elsewhere = own === second ? site.backend : second;
    for (const one of deeds) {
      deed = one;
      await ask(lane, { host: site.host, target: '/bad', headers: [['Cookie', cookie]] });
      const kept = await ask(lane, { host: site.host, headers: [['Cookie', cookie]] });
      expect([kept.status, values(kept, 'set-cookie')]).toEqual([200, []]);
    }
    expect(elsewhere.requests).toEqual([]);
  });

  test('a client that does not read its answer stops that stream, and no other of the connection', async () => {
    let sent = 0;
    const site = doing(async (stream, exchange) => {
      exchange.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      const chunk = `10000\r\n${'e'.repeat(0x10000)}\r\n`;
      while (!stream.destroyed) {
        sent += 0x10000;
        await new Promise<unknown>((resolve) => stream.write(chunk, resolve));
      }
    });
    const slow = await unread(lane, { host: site.host, target: '/bad' });
    await site.backend.asked(1);
    expect(await settled(() => sent)).toBeLessThan(64 * 1024 * 1024);
    const other = await lane.connect(lab.ports);
    for (let i = 0; i < 10; i++) {
      other.ask({ host: site.host });
      expect(await other.answer()).toMatchObject({ status: 200 });
    }
    expect(site.backend.sockets).toBe(1);
    slow.reset();
    await site.backend.connections[0]?.closed();
  });

  test('a client that stops within its request, or goes: the endpoint’s stream is reset, the others go on', async () => {
    const given: StreamSocket[] = [];
    const { site, unharmed } = await shared(lane, async (stream, { wire }) => {
      given.push(stream);
      await wire.closed();
    });
    await lab.counts('body_timeout', async () => {
      expect((await unfinished(lane, { host: site.host, target: '/bad' })).status).toBe(408);
    });
    const client = await asking(lane, { host: site.host, target: '/bad' });
    await eventually(() => given.length === 2);
    client.reset();
    await eventually(() => given.every((stream) => stream.reset === CANCEL));
    await unharmed();
  });

  test('an endpoint that opens no window: the upload is 504 and reset, the others go on', async () => {
    let given: StreamSocket | undefined;
    const { site, unharmed } = await shared(lane, async (stream, { wire }) => {
      given = stream;
      wire.socket.pause();
      await wire.closed();
    });
    await lab.counts('body_timeout', async () => {
      const upload = { host: site.host, target: '/bad', method: 'POST', body: 'x'.repeat(4_000_000) };
      expect(await ask(lane, upload)).toMatchObject({ status: 504 });
    });
    await eventually(() => given?.reset === CANCEL);
    await unharmed();
  });
});
