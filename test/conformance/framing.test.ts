/** Where messages begin and end: lengths, chunks, trailers, interim answers, pipelining, the life of a connection. */
import { describe, expect, test } from 'vitest';
import { header, values } from '../support/wire.ts';
import type { BackendHandler } from '../support/wire.ts';
import { startLab } from './lab.ts';
import type { Site } from './lab.ts';
import { requestBytes, testWith, WIRE_LANES } from './lanes.ts';

const lab = await startLab({ plain: 120 });

/** A site whose backend reads the request and says these bytes; `end` = then it closes. */
function saying(text: string, end = false): Site {
  return handled(async (exchange) => {
    await exchange.body();
    exchange.send(text);
    if (end) exchange.wire.end();
  });
}

function handled(handler: BackendHandler): Site {
  const site = lab.site();
  site.backend.handler = handler;
  return site;
}

describe.each(WIRE_LANES)('lane $name', (lane) => {
  const open = () => lane.connect(lab.ports);

  test('answers without a body are followed by the next answer on the same connection', async () => {
    const bodyless: [method: string, text: string, length: string | undefined][] = [
      ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', '5'],
      ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', undefined],
      ['HEAD', 'HTTP/1.1 200 OK\r\n\r\n', undefined],
      ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', undefined],
      ['GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n', undefined],
      ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', '5'],
      ['POST', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', '0'],
      ['GET', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', undefined],
    ];
    const client = await open();
    for (const [method, text, length] of bodyless) {
      const { host } = saying(text);
      client.send(requestBytes({ host, method }));
      const answer = await client.response(method);
      expect({ text, body: answer.body, length: header(answer, 'content-length') }).toEqual({ text, body: '', length });
      expect(header(answer, 'connection')).toBeUndefined();
    }
    client.send(requestBytes({ host: lab.site().host }));
    expect(await client.response()).toMatchObject({ status: 200, body: 'ok' });
  });

  test('a body up to the end of the backend’s connection is chunked for HTTP/1.1, whose connection stays', async () => {
    const { host } = saying('HTTP/1.1 200 OK\r\n\r\nhello', true);
    const client = await open();
    for (let i = 0; i < 2; i++) {
      client.send(requestBytes({ host }));
      const answer = await client.response();
      expect(answer).toMatchObject({ body: 'hello', untilClose: false });
      expect(header(answer, 'transfer-encoding')).toBe('chunked');
    }
  });

  testWith(lane, ['http1Answer'], 'an HTTP/1.0 backend’s answer becomes one of HTTP/1.1', async () => {
    const { host } = saying('HTTP/1.0 200 OK\r\n\r\nhello', true);
    const client = await open();
    client.send(requestBytes({ host }));
    expect(await client.response()).toMatchObject({ status: 200, body: 'hello' });
  });

  test('HTTP/1.0 clients get neither chunks nor trailers but the end of the connection', async () => {
    const bodies = [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n',
      'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello',
    ];
    for (const text of bodies) {
      const { host } = saying(text, true);
      const client = await open();
      client.send(requestBytes({ host, http10: true, headers: [['Connection', 'keep-alive']] }));
      const answer = await client.response();
      expect(answer).toMatchObject({ body: 'hello', untilClose: true, trailers: [] });
      expect(values(answer, 'transfer-encoding')).toEqual([]);
      expect(values(answer, 'connection')).toEqual(['close']);
    }
  });

  test('HTTP/1.0: the connection stays only when the client asks for it', async () => {
    const { host, backend } = lab.site();
    const client = await open();
    client.send(requestBytes({ host, http10: true, headers: [['Connection', 'Keep-Alive']] }));
    const first = await client.response();
    expect(values(first, 'connection')).toEqual(['keep-alive']);
    client.send(requestBytes({ host, http10: true }));
    const second = await client.response();
    expect({ body: second.body, connection: values(second, 'connection') }).toEqual({
      body: 'ok',
      connection: ['close'],
    });
    expect(await client.closed()).toBe('end');
    expect(backend.requests.map(({ minor }) => minor)).toEqual([1, 1]);
  });

  test('chunks are framed anew in both directions: extensions go, content and trailers stay', async () => {
    const seen: unknown[] = [];
    const { host } = handled(async (exchange) => {
      seen.push(await exchange.body());
      exchange.send(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n03;x="y;z"\r\nabc\r\n0;q\r\nx-after: 1\r\nSet-Cookie: a=b\r\nContent-Length: 3\r\n\r\n',
      );
    });
    const client = await open();
    client.send(
      `DELETE / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n0005;a=b;c\r\nhello\r\n0;z\r\nx-sum: 1\r\nHost: evil\r\nX-Forwarded-For: 6.6.6.6\r\nAuthorization: x\r\n\r\n`,
    );
    const { body, trailers } = await client.response();
    // The test's own readers take no extension and no leading zero.
    expect(seen).toEqual([{ body: 'hello', trailers: [['x-sum', '1']] }]);
    expect({ body, trailers }).toEqual({ body: 'abc', trailers: [['x-after', '1']] });
  });

  test('a chunked DELETE or OPTIONS keeps its framing: the body is never taken for a request', async () => {
    for (const method of ['DELETE', 'OPTIONS']) {
      const { host, backend } = lab.site();
      const smuggled = `GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
      const client = await open();
      client.send(requestBytes({ host, method, chunks: [smuggled] }) + requestBytes({ host, target: '/next' }));
      expect((await client.response()).body).toBe(smuggled);
      expect((await client.response()).body).toBe('ok');
      expect(backend.requests.map((request) => `${request.method} ${request.target}`)).toEqual([
        `${method} /`,
        'GET /next',
      ]);
    }
  });

  test('a request that comes byte by byte is the same request', async () => {
    const { host, backend } = lab.site();
    const client = await open();
    const bytes = requestBytes({
      host,
      method: 'POST',
      target: '/slow',
      chunks: ['ab', 'c'],
      trailers: [['X-Sum', '1']],
    });
    for (const byte of bytes) {
      client.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await client.response()).toMatchObject({ status: 200, body: 'abc' });
    expect(backend.last.target).toBe('/slow');
  });

  test('large bodies arrive whole in both directions', async () => {
    const { host } = lab.site();
    const large = Array.from({ length: 200_000 }, (_, i) => i.toString(36)).join(',');
    const client = await open();
    client.send(requestBytes({ host, method: 'PUT', body: large }));
    expect((await client.response()).body === large).toBe(true);
    const parts = [large.slice(0, 10), large.slice(10, 300_000), large.slice(300_000)];
    client.send(requestBytes({ host, method: 'PUT', chunks: parts }));
    expect((await client.response()).body === large).toBe(true);
  });

  test('100-continue is relayed: the body comes when the backend asks for it', async () => {
    const { host } = handled(async (exchange) => {
      expect(header(exchange.request, 'expect')).toBe('100-continue');
      exchange.send('HTTP/1.1 100 Continue\r\n\r\n');
      exchange.answer(200, '', (await exchange.body()).body);
    });
    const client = await open();
    client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`);
    expect(await client.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 100 .*\r\n\r\n$/);
    client.send('hello');
    expect(await client.response()).toMatchObject({ status: 200, body: 'hello' });
  });

  test('a final answer instead of 100: it is relayed, and the connection ends with it', async () => {
    const { host } = handled((exchange) => {
      exchange.answer(403, '', 'no');
      exchange.wire.end();
    });
    const client = await open();
    client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`);
    const answer = await client.response();
    expect(answer).toMatchObject({ status: 403, body: 'no', interim: [] });
    expect(values(answer, 'connection')).toEqual(['close']);
    expect(await client.closed()).toBe('end');
  });

  test('103 is relayed as often as it comes, but not to HTTP/1.0', async () => {
    const hint = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n';
    const { host } = saying(`${hint}${hint}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`);
    const modern = await open();
    modern.send(requestBytes({ host }));
    const answer = await modern.response();
    expect(answer.interim.map((message) => header(message, 'link'))).toEqual(Array(2).fill('</a.css>; rel=preload'));
    expect(answer.body).toBe('ok');
    const old = await open();
    old.send(requestBytes({ host, http10: true }));
    expect(await old.response()).toMatchObject({ status: 200, interim: [], body: 'ok' });
  });

  test('pipelined requests are answered in order, also behind a slow one', async () => {
    const slow = Promise.withResolvers<undefined>();
    const first = handled(async (exchange) => {
      await slow.promise;
      exchange.answer(200, '', 'first');
    });
    const second = lab.site();
    const client = await open();
    const rest = Array.from({ length: 10 }, (_, i) =>
      requestBytes({ host: second.host, method: 'POST', body: `b${i}` }),
    );
    client.send(requestBytes({ host: first.host }) + rest.join(''));
    await first.backend.asked(1);
    expect(second.backend.connections).toEqual([]);
    slow.resolve(undefined);
    expect((await client.response()).body).toBe('first');
    for (let i = 0; i < 10; i++) expect((await client.response()).body).toBe(`b${i}`);
  });

  test('more is pipelined than is held: nothing is lost', async () => {
    const { host, backend } = lab.site();
    const client = await open();
    const body = 'x'.repeat(1000);
    client.send(requestBytes({ host, method: 'POST', body }).repeat(300));
    for (let i = 0; i < 300; i++) expect((await client.response()).body).toBe(body);
    expect(backend.requests).toHaveLength(300);
  });

  test('an early answer comes through while the request is still being sent', async () => {
    const { host } = handled((exchange) => {
      exchange.answer(413, '', 'too much');
    });
    const client = await open();
    client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000\r\n\r\nhello`);
    const answer = await client.response();
    expect(answer).toMatchObject({ status: 413, body: 'too much' });
    expect(values(answer, 'connection')).toEqual(['close']);
    expect(await client.closed()).toBe('end');
  });

  test('both directions stream at the same time, and each piece at once', async () => {
    const { host } = handled(async (exchange) => {
      exchange.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
      for (const word of ['one', 'two', 'three']) {
        expect(await exchange.wire.until(`${word}\r\n`)).toContain(word);
        exchange.send(`${word.length}\r\n${word}\r\n`);
      }
      await exchange.wire.until('0\r\n\r\n');
      exchange.send('0\r\n\r\n');
      exchange.wire.end();
    });
    const client = await open();
    client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`);
    await client.until('\r\n\r\n');
    for (const word of ['one', 'two', 'three']) {
      client.send(`${word.length}\r\n${word}\r\n`);
      expect(await client.until(`${word}\r\n`)).toBe(`${word.length}\r\n${word}\r\n`);
    }
    client.send('0\r\n\r\n');
    expect(await client.until('0\r\n\r\n')).toBe('0\r\n\r\n');
  });

  test('Connection: close of the client ends its connection, not the backend’s', async () => {
    const { host, backend } = lab.site();
    for (let i = 0; i < 2; i++) {
      const client = await open();
      client.send(requestBytes({ host, headers: [['Connection', 'close']] }));
      const answer = await client.response();
      expect(values(answer, 'connection')).toEqual(['close']);
      expect(await client.closed()).toBe('end');
    }
    expect(backend.sockets).toBe(1);
    expect(values(backend.last, 'connection')).toEqual([]);
  });

  testWith(
    lane,
    ['http1Answer'],
    'Connection: close of the backend ends its connection, not the client’s',
    async () => {
      const { host, backend } = saying('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok');
      const client = await open();
      for (let i = 0; i < 2; i++) {
        client.send(requestBytes({ host }));
        const answer = await client.response();
        expect({ body: answer.body, connection: values(answer, 'connection') }).toEqual({ body: 'ok', connection: [] });
      }
      expect(backend.connections).toHaveLength(2);
    },
  );

  test('Upgrade: h2c and an upgrade with a body are served as plain requests', async () => {
    const { host, backend } = lab.site();
    const client = await open();
    const h2c = [
      ['Connection', 'Upgrade, HTTP2-Settings'],
      ['Upgrade', 'h2c'],
      ['HTTP2-Settings', 'AAMAAABkAAQ'],
    ] as const;
    client.send(requestBytes({ host, headers: h2c }));
    expect(await client.response()).toMatchObject({ status: 200, body: 'ok' });
    const posted = [
      ['Connection', 'Upgrade'],
      ['Upgrade', 'websocket'],
    ] as const;
    client.send(requestBytes({ host, method: 'POST', headers: posted, body: 'hello' }));
    expect(await client.response()).toMatchObject({ status: 200, body: 'hello' });
    for (const request of backend.requests) {
      for (const name of ['upgrade', 'http2-settings', 'connection']) expect(values(request, name)).toEqual([]);
    }
  });

  test('TE: trailers is kept, other codings go', async () => {
    const { host, backend } = lab.site();
    const client = await open();
    client.send(
      requestBytes({
        host,
        headers: [
          ['TE', 'gzip, trailers;q=0.5'],
          ['Connection', 'TE'],
        ],
      }),
    );
    await client.response();
    client.send(
      requestBytes({
        host,
        headers: [
          ['TE', 'trailers'],
          ['Connection', 'TE'],
        ],
      }),
    );
    await client.response();
    const te = backend.requests.map((request) => values(request, 'te'));
    expect(te[1]).toEqual(['trailers']);
    expect(te[0]?.join()).not.toContain('gzip');
  });

  test('HEAD: an error has its headers and no body', async () => {
    const client = await open();
    client.send(requestBytes({ host: 'nobody.test', method: 'HEAD' }));
    const answer = await client.response('HEAD');
    expect(answer.status).toBe(404);
    expect(Number(header(answer, 'content-length'))).toBeGreaterThan(0);
    client.send(requestBytes({ host: lab.site().host }));
    expect(await client.response()).toMatchObject({ status: 200, body: 'ok' });
  });
});
