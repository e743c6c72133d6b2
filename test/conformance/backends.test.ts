/** Backends that break the protocol, stall or vanish: never a clean end of something incomplete, never another client's answer. */
import { describe, expect, test } from 'vitest';
import { RESPONSE_FIXTURES } from '../fixtures/wire/responses.ts';
import { eventually } from '../support/eventually.ts';
import { CutOffError, MalformedError, values } from '../support/wire.ts';
import type { BackendHandler } from '../support/wire.ts';
import { startLab } from './lab.ts';
import type { Site } from './lab.ts';
import { requestBytes, WIRE_LANES } from './lanes.ts';

// The proxy's clock for these ticks every 250 ms: time-outs this short are for tests only.
const lab = await startLab({
  plain: 160,
  config: { responseTimeout: 2000, responseBodyTimeout: 2000 },
});

function handled(handler: BackendHandler): Site {
  const site = lab.site();
  site.backend.handler = handler;
  return site;
}

const malformed = RESPONSE_FIXTURES.filter(({ events }) => events.includes('error'));
const wellFormed = RESPONSE_FIXTURES.filter(
  ({ events, name }) =>
    !events.includes('error') && (events.endsWith('end') || events.includes('end | left')) && name !== '101',
);

const HALF_BODIES = [
  ['Content-Length', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello'],
  ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
  ['the end of the connection', 'HTTP/1.1 200 OK\r\n\r\nhello'],
] as const;

describe.each(WIRE_LANES)('lane $name', ({ connect }) => {
  const open = () => connect(lab.ports);

  test.each(malformed)('malformed: $name', async ({ wire, events, closed }) => {
    const site = handled(async (exchange) => {
      await exchange.body();
      if (closed === true) exchange.wire.end(wire);
      else exchange.send(wire);
    });
    const client = await open();
    client.send(requestBytes({ host: site.host }));
    // A head that was good has been forwarded: then only the cut can tell the client.
    if (/(^| )200 /.test(events)) await expect(client.response()).rejects.toThrow(CutOffError);
    else expect(await client.response()).toMatchObject({ status: 502 });
    await eventually(() => site.backend.connections.every((one) => one.ended !== undefined));
    // Not a byte of an answer: a GET is tried once more.
    expect(site.backend.requests).toHaveLength(wire === '' ? 2 : 1);
  });

  test.each(wellFormed)('forwarded, and nothing behind it: $name', async ({ wire, method = 'GET', events, closed }) => {
    const site = handled(async (exchange) => {
      await exchange.body();
      if (closed === true) exchange.wire.end(wire);
      else exchange.send(wire);
    });
    const client = await open();
    client.send(requestBytes({ host: site.host, method }));
    const answer = await client.response(method);
    const [, status, body = ''] =
      /(?:^| )([2-9]\d\d) [^|]*\|(?: body ([^|]*) \|)? ?(?:trailers [^|]*\| )?end/.exec(events) ?? [];
    expect({ status: String(answer.status), body: answer.body }).toEqual({ status, body });
    // What came behind the response is thrown away together with its connection.
    if (events.includes('left')) await eventually(() => site.backend.connections[0]?.ended !== undefined);
    site.backend.handler = (exchange) => {
      exchange.answer(200, '', 'next');
    };
    client.send(requestBytes({ host: site.host }));
    expect(await client.response()).toMatchObject({ status: 200, body: 'next' });
  });

  test('two answers at once: the second is never anybody’s', async () => {
    const site = handled((exchange) => {
      exchange.send(
        'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison',
      );
    });
    for (let i = 0; i < 3; i++) {
      const client = await open();
      client.send(requestBytes({ host: site.host }).repeat(2));
      expect((await client.response()).body).toBe('first');
      expect((await client.response()).body).toBe('first');
    }
    expect(site.backend.connections).toHaveLength(6);
  });

  test('bytes on an idle connection end it: they are never an answer', async () => {
    const { host, backend } = lab.site();
    const client = await open();
    client.send(requestBytes({ host }));
    await client.response();
    backend.connections[0]?.send('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison');
    await backend.connections[0]?.closed();
    const other = await open();
    other.send(requestBytes({ host }));
    expect((await other.response()).body).toBe('ok');
    expect(backend.connections).toHaveLength(2);
  });

  test('an answer before the request is complete frees no connection for others', async () => {
    const site = handled((exchange) => {
      exchange.answer(200, '', 'early');
    });
    const slow = await open();
    slow.send(`POST / HTTP/1.1\r\nHost: ${site.host}\r\nContent-Length: 100\r\n\r\nhello`);
    expect((await slow.response()).body).toBe('early');
    const other = await open();
    other.send(requestBytes({ host: site.host }));
    expect((await other.response()).body).toBe('early');
    expect(site.backend.connections).toHaveLength(2);
  });

  test('a backend that never answers is 504', async () => {
    const site = handled(async (exchange) => {
      await exchange.wire.closed();
    });
    const client = await open();
    await lab.counts('response_timeout', async () => {
      client.send(requestBytes({ host: site.host }));
      expect(await client.response()).toMatchObject({ status: 504 });
    });
    await site.backend.connections[0]?.closed();
    // It was not the client's fault: its connection stays.
    client.send(requestBytes({ host: lab.site().host }));
    expect(await client.response()).toMatchObject({ status: 200 });
  });

  test.each(HALF_BODIES.slice(0, 2))(
    'a backend that ends within a body (%s): what came arrives, then the cut',
    async (_, wire) => {
      const site = handled((exchange) => {
        exchange.wire.end(wire);
      });
      // Over TLS the end mostly comes with the bytes before it.
      for (let i = 0; i < 20; i++) {
        const client = await open();
        client.send(requestBytes({ host: site.host }));
        expect(await client.until('hello')).toContain('HTTP/1.1 200 OK');
        await client.closed();
      }
    },
  );

  test('a backend that stalls within a body, however framed: the client’s connection is cut', async () => {
    const stall = async (text: string) => {
      const site = handled(async (exchange) => {
        exchange.send(text);
        await exchange.wire.closed();
      });
      const client = await open();
      client.send(requestBytes({ host: site.host }));
      await expect(client.response()).rejects.toThrow(CutOffError);
      expect(client.pending).not.toContain('0\r\n\r\n');
    };
    await lab.counts('response_body_timeout', () => Promise.all(HALF_BODIES.map(([, text]) => stall(text))), 3);
  });

  test.each(HALF_BODIES)(
    'a backend that resets within a body framed by %s: never a clean end',
    async (_framing, text) => {
      const client = await open();
      const site = handled(async (exchange) => {
        exchange.send(text);
        // The client has to have the first part, or the reset overtakes it.
        await client.some();
        exchange.wire.reset();
      });
      client.send(requestBytes({ host: site.host }));
      await expect(client.response()).rejects.toThrow(CutOffError);
      expect(client.pending).not.toContain('0\r\n\r\n');
    },
  );

  test('a reset within a body up to the end reaches an HTTP/1.0 client as a reset', async () => {
    const client = await open();
    const site = handled(async (exchange) => {
      exchange.send('HTTP/1.1 200 OK\r\n\r\nhello');
      await client.some();
      exchange.wire.reset();
    });
    client.send(requestBytes({ host: site.host, http10: true }));
    await client.until('hello');
    expect(await client.closed()).toBe('reset');
  });

  test('101 that nobody asked for is 502', async () => {
    const site = handled((exchange) => {
      exchange.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    });
    const client = await open();
    client.send(requestBytes({ host: site.host }));
    expect(await client.response()).toMatchObject({ status: 502 });
    await site.backend.connections[0]?.closed();
  });

  test('a reset while idle, then a request: it goes over a new connection', async () => {
    const { host, backend } = lab.site();
    const client = await open();
    client.send(requestBytes({ host, method: 'POST', body: 'a' }));
    await client.response();
    const before = (await lab.app.metrics()).value('holdfast_retries_total');
    backend.connections[0]?.reset();
    // Known to be gone or met by its end: either way the GET is answered.
    client.send(requestBytes({ host }));
    expect(await client.response()).toMatchObject({ status: 200, body: 'ok' });
    expect(backend.connections).toHaveLength(2);
    expect((await lab.app.metrics()).value('holdfast_retries_total') - before).toBeLessThanOrEqual(1);
  });

  test('a stale connection and two new ones that end too: 502 and no further try', async () => {
    const site = handled(async (exchange) => {
      await exchange.body();
      if (site.backend.requests.length > 1) exchange.wire.end();
      else exchange.answer(200, '', 'ok');
    });
    const client = await open();
    client.send(requestBytes({ host: site.host }));
    await client.response();
    client.send(requestBytes({ host: site.host }));
    expect(await client.response()).toMatchObject({ status: 502 });
    expect(site.backend.requests).toHaveLength(4);
  });

  test('a new connection that ends without an answer: a GET is tried once more, a POST is not', async () => {
    const site = handled(async (exchange) => {
      await exchange.body();
      if (site.backend.requests.length % 2 === 1) exchange.wire.end();
      else exchange.answer(200, '', 'ok');
    });
    const client = await open();
    client.send(requestBytes({ host: site.host }));
    expect(await client.response()).toMatchObject({ status: 200 });
    expect(site.backend.requests).toHaveLength(2);
    client.send(requestBytes({ host: site.host, method: 'POST', body: 'x' }));
    expect(await client.response()).toMatchObject({ status: 502 });
    expect(site.backend.requests).toHaveLength(3);
  });

  test('a backend that announces its keep-alive time-out is left before it', async () => {
    const site = handled((exchange) => {
      exchange.answer(200, 'Keep-Alive: timeout=1\r\n', 'ok');
    });
    const client = await open();
    client.send(requestBytes({ host: site.host }).repeat(2));
    for (let i = 0; i < 2; i++) expect(values(await client.response(), 'keep-alive')).toEqual([]);
    expect(site.backend.connections).toHaveLength(2);
  });

  test('the readers of these tests see a fault when there is one', async () => {
    const site = handled((exchange) => {
      exchange.answer(200, '', 'ok');
    });
    const client = await open();
    client.send(requestBytes({ host: site.host }));
    await expect(client.body('chunked')).rejects.toThrow(MalformedError);
  });
});
