/** Clients that half-close, vanish, read slowly, or are many. */
import { describe, expect, test } from 'vitest';
import { eventually, settled } from '../support/eventually.ts';
import { requestBytes, WIRE_LANES } from './lanes.ts';
import { startLab } from './lab.ts';

const lab = await startLab({ plain: 40, config: { workers: 2 } });

describe.each(WIRE_LANES)('lane $name', ({ connect }) => {
  const open = () => connect(lab.ports);

  test('a client that has finished sending still gets its answer, then the connection ends', async () => {
    const site = lab.site();
    site.backend.handler = async (exchange) => {
      await exchange.body();
      // Longer than the proxy takes a silent client for a live one: it then asks.
      await new Promise((resolve) => setTimeout(resolve, 1200));
      exchange.answer(200, '', 'late');
    };
    const client = await open();
    client.end(requestBytes({ host: site.host }));
    expect(await client.response()).toMatchObject({ status: 200, body: 'late' });
    expect(await client.closed()).toBe('end');
  });

  test.each([
    ['half of another', 'Conte'],
    [
      'a handshake',
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    ],
  ])('a client that is refused and has finished sending behind %s still gets its answer', async (_, lines) => {
    const { host } = lab.site();
    // Over TLS the end mostly comes with the bytes before it.
    for (let i = 0; i < 30; i++) {
      const client = await open();
      client.end(`${requestBytes({ host: 'nobody.test' })}GET / HTTP/1.1\r\nHost: ${host}\r\n${lines}`);
      expect((await client.response()).status).toBe(404);
      await client.closed();
    }
  });

  test.each([
    ['half a head', 'GET / HT'],
    ['a body cut short', 'POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab'],
  ])(
    'a client that has finished sending behind %s: the answer before it, and then the end at once',
    async (_, part) => {
      const site = lab.site();
      const cut: Promise<unknown>[] = [];
      site.backend.handler = async (exchange) => {
        if (exchange.request.method === 'POST') return void cut.push(exchange.wire.closed());
        // The end is heard meanwhile.
        await new Promise((resolve) => setTimeout(resolve, 300));
        exchange.answer(200, '', 'before');
      };
      const client = await open();
      client.end(requestBytes({ host: site.host }) + part.replace('HOST', site.host));
      expect(await client.response()).toMatchObject({ status: 200, body: 'before' });
      // Neither a 408 nor a 102 that asks whether it is still there.
      expect(await client.rest()).toBe('');
      expect(client.ended).toBe('end');
      await Promise.all(cut);
    },
  );

  test('a client that closes while the backend works: aborted, 499, nobody else is blamed', async () => {
    const site = lab.site();
    site.backend.handler = async (exchange) => {
      await exchange.wire.closed();
    };
    const client = await open();
    await lab.countsError('client', 499, async () => {
      client.send(requestBytes({ host: site.host }));
      await site.backend.asked(1);
      client.destroy();
      await site.backend.connections[0]?.closed();
    });
    const metrics = await lab.app.metrics();
    expect(metrics.sum('holdfast_http_errors_total', { source: 'upstream' })).toBe(0);
  });

  test('a client that vanishes within its request: the backend sees no complete one', async () => {
    const site = lab.site();
    const whole: unknown[] = [];
    site.backend.handler = async (exchange) => {
      whole.push(await exchange.body());
    };
    for (const text of ['Content-Length: 10\r\n\r\nhello', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n']) {
      const before = site.backend.requests.length;
      const client = await open();
      client.send(`POST / HTTP/1.1\r\nHost: ${site.host}\r\n${text}`);
      await site.backend.asked(before + 1);
      client.end();
      await client.closed();
    }
    await eventually(() => site.backend.connections.every((wire) => wire.ended !== undefined));
    expect(whole).toEqual([]);
  });

  test('a client that vanishes within its answer: the backend’s connection ends', async () => {
    const site = lab.site();
    site.backend.handler = async (exchange) => {
      exchange.send('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhello');
      await exchange.wire.closed();
    };
    const client = await open();
    await lab.countsError('client', 499, async () => {
      client.send(requestBytes({ host: site.host }));
      await client.until('hello');
      client.reset();
      await site.backend.connections[0]?.closed();
    });
  });

  test('a client that does not read stops its backend, and loses nothing', async () => {
    const site = lab.site();
    const size = 40_000_000;
    const body = Buffer.alloc(size, 'x');
    site.backend.handler = (exchange) => {
      exchange.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      exchange.send(body);
    };
    const client = await open();
    client.send(requestBytes({ host: site.host }));
    await client.until('\r\n\r\n');
    client.socket.pause();
    const { socket } = site.backend.connections[0] ?? {};
    // What the kernel and the proxy hold is far less than all of it: when it stands still, most is still here.
    expect(await settled(() => socket?.writableLength ?? 0)).toBeGreaterThan(size / 2);
    client.socket.resume();
    expect((await client.take(size)).equals(body)).toBe(true);
  });

  test('a backend that does not read stops its client, and loses nothing', async () => {
    const site = lab.site();
    site.backend.onConnection = (wire) => wire.socket.pause();
    const body = 'y'.repeat(40_000_000);
    const client = await open();
    client.send(requestBytes({ host: site.host, method: 'PUT', body }));
    await site.backend.connected(1);
    expect(await settled(() => client.socket.writableLength)).toBeGreaterThan(body.length / 4);
    site.backend.handler = async (exchange) => {
      exchange.answer(200, '', (await exchange.body()).body === body ? 'same' : 'other');
    };
    site.backend.connections[0]?.socket.resume();
    expect(await client.response()).toMatchObject({ body: 'same' });
  });

  test('fifty clients at a time each get their own answers', async () => {
    const { host } = lab.site();
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const client = await open();
        for (let turn = 0; turn < 20; turn++) {
          const body = `client ${i} turn ${turn} ${'z'.repeat((i * turn * 37) % 20_000)}`;
          client.send(requestBytes({ host, method: 'POST', ...(turn % 2 === 0 ? { body } : { chunks: [body] }) }));
          expect((await client.response()).body === body).toBe(true);
        }
      }),
    );
  });
});
