/** Every limit: what the client gets, and that it is counted by its name. */
import { describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { values } from '../support/wire.ts';
import { startLab } from './lab.ts';
import { ALL_LANES, requestBytes, WIRE_LANES } from './lanes.ts';

const MAX_CONNECTIONS = 8;

// The proxy's clock for these ticks every 250 ms: time-outs this short are for tests only.
const lab = await startLab({
  plain: 40,
  config: {
    headTimeout: 1000,
    bodyTimeout: 1500,
    idleTimeout: 1000,
    maxRequestsPerConnection: 3,
    maxConnections: MAX_CONNECTIONS,
    maxInFlightPerEndpoint: 1,
  },
});

/** The connection limit counts those of earlier tests until the proxy has seen them go. */
async function allGone(): Promise<void> {
  await eventually(async () => (await lab.app.metrics()).sum('holdfast_connections') === 0);
}

describe.each(WIRE_LANES)('lane $name', ({ connect }) => {
  const open = () => connect(lab.ports);

  test('a request head that does not end is 408', async () => {
    await lab.counts('head_timeout', async () => {
      const client = await open();
      client.send('GET / HTTP/1.1\r\nHost: a');
      const answer = await client.response();
      expect(answer).toMatchObject({ status: 408 });
      expect(values(answer, 'connection')).toEqual(['close']);
      expect(await client.closed()).toBe('end');
    });
  });

  test('a head that comes drop by drop has no more time', async () => {
    await lab.counts('head_timeout', async () => {
      const client = await open();
      client.send('GET / HTTP/1.1\r\n');
      const timer = setInterval(() => client.send('X-A: b\r\n'), 50);
      try {
        expect(await client.response()).toMatchObject({ status: 408 });
      } finally {
        clearInterval(timer);
      }
    });
  });

  test('a connection that says nothing is closed', async () => {
    const client = await open();
    expect(await client.rest()).toBe('');
  });

  test('an idle connection is closed without a word', async () => {
    const { host } = lab.site();
    await lab.counts('idle_timeout', async () => {
      const client = await open();
      client.send(requestBytes({ host }));
      await client.response();
      expect(await client.rest()).toBe('');
    });
  });

  test('a request body that stops is 408, and the backend’s connection is cut', async () => {
    const { host, backend } = lab.site();
    await lab.counts('body_timeout', async () => {
      const client = await open();
      client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 10\r\n\r\nhello`);
      expect(await client.response()).toMatchObject({ status: 408 });
      expect(await client.closed()).toBe('end');
    });
    await backend.connections[0]?.closed();
  });

  test('a body that goes on slowly is waited for', async () => {
    const { host } = lab.site();
    const client = await open();
    client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 20\r\n\r\n`);
    for (let i = 0; i < 20; i++) {
      client.send('x');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(await client.response()).toMatchObject({ status: 200, body: 'x'.repeat(20) });
  });

  test('a backend that does not take the body is 504', async () => {
    const site = lab.site();
    site.backend.onConnection = (wire) => wire.socket.pause();
    await lab.counts('body_timeout', async () => {
      const client = await open();
      client.send(requestBytes({ host: site.host, method: 'PUT', body: 'x'.repeat(30_000_000) }));
      expect(await client.response()).toMatchObject({ status: 504 });
    });
  });

  test('the last request that a connection may make says so', async () => {
    const { host } = lab.site();
    await lab.counts('requests_per_connection', async () => {
      const client = await open();
      client.send(requestBytes({ host }).repeat(4));
      for (const last of [false, false, true]) {
        expect(values(await client.response(), 'connection')).toEqual(last ? ['close'] : []);
      }
      expect(await client.rest()).toBe('');
    });
  });

  test('a connection too many is accepted and closed at once; when one has gone there is room again', async () => {
    await allGone();
    const { host } = lab.site();
    const clients = [];
    for (let i = 0; i < MAX_CONNECTIONS; i++) {
      const client = await open();
      client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1\r\n\r\n`);
      clients.push(client);
    }
    await eventually(async () => (await lab.app.metrics()).sum('holdfast_connections') === MAX_CONNECTIONS);
    await lab.counts('connections', async () => {
      // Over TLS it is closed before the handshake is done.
      const late = await open().catch(() => undefined);
      late?.send(requestBytes({ host }));
      expect((await late?.rest()) ?? '').toBe('');
    });
    for (const client of clients) client.reset();
    await allGone();
    const next = await open();
    next.send(requestBytes({ host }));
    expect(await next.response()).toMatchObject({ status: 200 });
  });
});

describe.each(ALL_LANES)('every lane: $name', (lane) => {
  test('a request too many for an endpoint is 503, and the next one is served', async () => {
    await allGone();
    const site = lab.site();
    const release = Promise.withResolvers<undefined>();
    site.backend.handler = async (exchange) => {
      await release.promise;
      lane.accept(exchange);
    };
    const first = await lane.connect(lab.ports);
    first.ask({ host: site.host });
    await site.backend.asked(1);
    await lab.counts('endpoint_in_flight', async () => {
      const second = await lane.connect(lab.ports);
      second.ask({ host: site.host });
      const answer = await second.answer();
      expect(answer).toMatchObject({ status: 503 });
      expect(values(answer, 'retry-after')).toEqual(['1']);
      second.reset();
    });
    release.resolve(undefined);
    expect(await first.answer()).toMatchObject({ status: lane.success });
    first.reset();
    await allGone();
    const third = await lane.connect(lab.ports);
    third.ask({ host: site.host });
    expect(await third.answer()).toMatchObject({ status: lane.success });
  });
});
