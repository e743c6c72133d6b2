/** Cases that were got wrong once: answers that could reach the wrong client, requests that outlived theirs, refusals that said too little. */
import { describe, expect, test } from 'vitest';
import { eventually, settled } from '../support/eventually.ts';
import { acceptWebSocket, echoFrames, header, RawClient, values, webSocketKey } from '../support/wire.ts';
import type { BackendHandler, Headers } from '../support/wire.ts';
import { COOKIE, EMPTY_HOST, startLab } from './lab.ts';
import type { Site } from './lab.ts';
import { requestBytes, testWith, WIRE_LANES } from './lanes.ts';

const lab = await startLab({
  plain: 24,
  sticky: 2,
  // A session waits for its endpoint for longer than any test lasts.
  policy: { rules: [{ name: 'browsers', cookie: { name: COOKIE } }], onEndpointLost: { notReadyGrace: '60s' } },
  config: { logLevel: 'info', accessLog: 'full' },
});

const HANDSHAKE: Headers = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'websocket'],
  ['Sec-WebSocket-Version', '13'],
  ['Sec-WebSocket-Key', webSocketKey()],
];

function handled(handler: BackendHandler): Site {
  const site = lab.site();
  site.backend.handler = handler;
  return site;
}

/** The access log's line about a request. */
async function logged(requestId: string | undefined): Promise<Record<string, unknown>> {
  expect(requestId).toMatch(/\S/);
  const line = await eventually(() => lab.app.logs.find((text) => text.includes(`"requestId":"${requestId}"`)));
  return JSON.parse(line) as Record<string, unknown>;
}

test.each(['/\\[', '/%zz\\x', '//[::1'])('a handshake to %s reaches its backend byte for byte', async (target) => {
  const site = handled(async (exchange) => {
    await echoFrames(acceptWebSocket(exchange));
  });
  const client = await RawClient.connect(lab.ports.http);
  client.send(requestBytes({ host: site.host, target, headers: HANDSHAKE }));
  expect(await client.response()).toMatchObject({ status: 101 });
  expect(site.backend.last.target).toBe(target);
  expect((await lab.app.metrics()).sum('holdfast_worker_restarts_total')).toBe(0);
});

test('a WebSocket whose client has gone is let go although its backend never ends', async () => {
  const site = handled((exchange) => {
    acceptWebSocket(exchange);
  });
  const open = async () => (await lab.app.metrics()).sum('holdfast_endpoint_inflight', { service: site.name });
  const client = await RawClient.connect(lab.ports.http);
  client.send(requestBytes({ host: site.host, headers: HANDSHAKE }));
  expect(await client.response()).toMatchObject({ status: 101 });
  expect(await open()).toBe(1);
  client.destroy();
  await eventually(async () => (await open()) === 0, 15_000);
});

describe.each(WIRE_LANES)('lane $name', (lane) => {
  const open = () => lane.connect(lab.ports);

  const unasked =
    'a 101 that nobody asked for, with an answer behind it: everybody gets the answer to their own request';
  testWith(lane, ['http1Answer'], unasked, async () => {
    const evil = handled((exchange) => {
      const unasked = 'HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n';
      exchange.send(`${unasked}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL`);
    });
    const both = Promise.withResolvers<undefined>();
    const good = handled(async (exchange) => {
      if (exchange.request.target !== '/warm') await both.promise;
      exchange.answer(200, '', exchange.request.target);
    });
    const warm = await open();
    warm.send(requestBytes({ host: good.host, target: '/warm' }));
    expect(await warm.response()).toMatchObject({ body: '/warm' });
    const first = await open();
    const second = await open();
    first.send(requestBytes({ host: evil.host }) + requestBytes({ host: good.host, target: '/first' }));
    await good.backend.asked(2);
    second.send(requestBytes({ host: good.host, target: '/second' }));
    await good.backend.asked(3);
    both.resolve(undefined);
    expect(await first.response()).toMatchObject({ status: 502 });
    expect(await first.response()).toMatchObject({ status: 200, body: '/first' });
    expect(await second.response()).toMatchObject({ status: 200, body: '/second' });
  });

  test('interim answers without end are 502, and the next request gets its own answer', async () => {
    const site = handled((exchange) => {
      if (exchange.request.target === '/2') return exchange.answer(200, '', 'fresh');
      exchange.send('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(33));
      exchange.answer(200, '', 'stale');
    });
    const client = await open();
    client.send(requestBytes({ host: site.host, target: '/1' }));
    expect(await client.response()).toMatchObject({ status: 502 });
    client.send(requestBytes({ host: site.host, target: '/2' }));
    expect(await client.response()).toMatchObject({ status: 200, body: 'fresh' });
  });

  test('a client that sends requests and does not read: its backend is not asked further until it reads', async () => {
    const count = 1500;
    // Answers that come in one read each: nothing else makes the proxy stop in the middle of one.
    const body = 'x'.repeat(60_000);
    const site = handled((exchange) => {
      exchange.answer(200, '', body);
    });
    const client = await open();
    client.socket.pause();
    client.send(requestBytes({ host: site.host }).repeat(count));
    await site.backend.asked(1);
    // What the kernel holds for both sides is far less than all the answers.
    expect(await settled(() => site.backend.requests.length)).toBeLessThan(count / 2);
    client.socket.resume();
    await site.backend.asked(count);
    await eventually(() => client.bytes > count * body.length);
  });

  test('an answer of our own keeps the connection: two requests at once get two answers', async () => {
    const client = await open();
    client.send(requestBytes({ host: EMPTY_HOST }).repeat(2));
    for (let i = 0; i < 2; i++) {
      const answer = await client.response();
      expect(answer).toMatchObject({ status: 503 });
      expect(values(answer, 'connection')).toEqual([]);
    }
  });

  test('a client refused while its session waits for its endpoint leaves nothing behind', async () => {
    const site = lab.stickySite();
    const visitor = await open();
    visitor.send(requestBytes({ host: site.host }));
    const [cookie = ''] = (header(await visitor.response(), 'set-cookie') ?? '').split(';');
    await site.backend.refuse();
    const client = await open();
    const lines = `Cookie: ${cookie}\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const retries = async () => (await lab.app.metrics()).value('holdfast_retries_total');
    const before = await retries();
    client.send(`POST / HTTP/1.1\r\nHost: ${site.host}\r\n${lines}`);
    await eventually(async () => (await retries()) >= before + 2);
    client.send('zz\r\n');
    expect(await client.response()).toMatchObject({ status: 400 });
    const after = await retries();
    // It stands still for longer than the longest pause between two tries.
    expect(await settled(retries)).toBe(after);
    expect((await lab.app.metrics()).sum('holdfast_endpoint_inflight', { service: site.name })).toBe(0);
  });

  test.each([
    ['CL', { body: 'hello' }],
    ['chunks', { chunks: ['hel', 'lo'] }],
  ])('the bytes of a body (%s) are counted once in the access log', async (_framing, body) => {
    const { host, backend } = lab.site();
    const client = await open();
    client.send(requestBytes({ host, method: 'POST', ...body }));
    expect(await client.response()).toMatchObject({ status: 200, body: 'hello' });
    expect(await logged(header(backend.last, 'x-request-id'))).toMatchObject({
      method: 'POST',
      bytesIn: 5,
      status: 200,
    });
  });

  test.each(['a b', 'a:99999', 'a%41', 'user@a', '*.a', '[::1'])(
    'Host: %s is 400, and the connection ends',
    async (host) => {
      const client = await open();
      client.send(requestBytes({ host }) + requestBytes({ host: EMPTY_HOST }));
      const answer = await client.response();
      expect(answer).toMatchObject({ status: 400 });
      expect(values(answer, 'connection')).toEqual(['close']);
      expect(await client.rest()).toBe('');
    },
  );

  test.each([
    ['two Hosts', 'Host: a\r\nHost: b\r\n'],
    ['a bad Host', 'Host: a:99999\r\n'],
    ['two framings', 'Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n'],
  ])(
    'a head refused for %s has a request id, and its refusal is JSON when the client asks for that',
    async (_why, lines) => {
      for (const json of [true, false]) {
        const client = await open();
        client.send(`GET / HTTP/1.1\r\nAccept: ${json ? 'application/json' : 'text/html'}\r\n${lines}\r\n`);
        const answer = await client.response();
        expect(answer).toMatchObject({ status: 400 });
        const requestId = header(answer, 'x-request-id');
        expect(header(answer, 'content-type')).toBe(json ? 'application/json' : 'text/plain; charset=utf-8');
        if (json) expect(JSON.parse(answer.body)).toMatchObject({ status: 400, requestId });
        else expect(answer.body).toContain(requestId);
        expect(await logged(requestId)).toMatchObject({ status: 400 });
      }
    },
  );

  test('CONNECT is 405 and told what is allowed', async () => {
    const client = await open();
    client.send('CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n');
    const answer = await client.response();
    expect(answer).toMatchObject({ status: 405 });
    const allowed = (header(answer, 'allow') ?? '').split(', ');
    expect(allowed).toEqual(expect.arrayContaining(['GET', 'HEAD', 'POST', 'OPTIONS']));
    expect(allowed).not.toContain('CONNECT');
    expect(await client.closed()).toBe('end');
  });
});
