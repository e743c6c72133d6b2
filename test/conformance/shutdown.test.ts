/** A graceful shutdown: what is under way ends well, what is idle goes, and nothing new comes in. */
import { describe, expect, test } from 'vitest';
import { acceptWebSocket, CLOSE, frame, RawClient, readFrame, TEXT, values } from '../support/wire.ts';
import type { Wire } from '../support/wire.ts';
import { startLab } from './lab.ts';
import type { Http2Answer, Http2Client } from '../support/http2-client.ts';
import { ALL_LANES, http2Client, requestBytes, WIRE_LANES } from './lanes.ts';

const lab = await startLab({ plain: 24, keepClients: true, config: { shutdownGrace: 3000 } });

/** Everything that is open when the shutdown begins, set up before any test looks. */
const release = Promise.withResolvers<undefined>();
const answers = await Promise.all(
  WIRE_LANES.map(async (lane) => {
    const slow = lab.site();
    slow.backend.handler = async (exchange) => {
      await release.promise;
      exchange.answer(200, '', 'in time');
    };
    const streaming = lab.site();
    streaming.backend.handler = async (exchange) => {
      exchange.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
      await release.promise;
      exchange.send('0\r\n\r\n');
    };
    const never = lab.site();
    never.backend.handler = async (exchange) => {
      exchange.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
      await exchange.wire.closed();
    };
    const [idle, waiting, begun, endless] = [
      await lane.connect(lab.ports),
      await lane.connect(lab.ports),
      await lane.connect(lab.ports),
      await lane.connect(lab.ports),
    ];
    const { host } = lab.site();
    idle.send(requestBytes({ host }));
    await idle.response();
    // The second one of these is not begun when the shutdown does: the first answer tells that it will not be.
    waiting.send(requestBytes({ host: slow.host }) + requestBytes({ host }));
    await slow.backend.asked(1);
    begun.send(requestBytes({ host: streaming.host }));
    await begun.until('hello\r\n');
    endless.send(requestBytes({ host: never.host }));
    await endless.until('hello\r\n');
    return { name: lane.name, idle, waiting, begun, endless };
  }),
);

const webSocket = await (async () => {
  const site = lab.site();
  const { promise, resolve } = Promise.withResolvers<Wire>();
  site.backend.handler = (exchange) => {
    resolve(acceptWebSocket(exchange));
  };
  const upgrade = ALL_LANES.find(({ name }) => name === 'upgrade');
  if (upgrade === undefined) throw new Error('there is no upgrade lane');
  const client = await RawClient.connect(lab.ports.http);
  const headers = [
    ['Connection', 'Upgrade'],
    ['Upgrade', 'websocket'],
    ['Sec-WebSocket-Version', '13'],
    ['Sec-WebSocket-Key', 'AAAAAAAAAAAAAAAAAAAAAA=='],
  ] as const;
  client.send(requestBytes({ host: site.host, headers }));
  expect((await client.response()).status).toBe(upgrade.success);
  return { client, backend: await promise };
})();

/** The same over HTTP/2: one connection whose streams are under way, and one without any. */
const streams = await (async () => {
  const slow = lab.site();
  slow.backend.handler = async (exchange) => {
    await release.promise;
    exchange.answer(200, '', 'in time');
  };
  const ask = async (client: Http2Client, host: string): Promise<Http2Answer> =>
    await client.ask({ method: 'GET', target: '/', authority: host, headers: [] });
  const [busy, idle] = [await http2Client(lab.ports, true), await http2Client(lab.ports, true)];
  await ask(idle, lab.site().host);
  const waiting = [ask(busy, slow.host), ask(busy, slow.host)];
  await slow.backend.asked(2);
  let goaways = 0;
  busy.session.on('goaway', () => goaways++);
  return { busy, idle, waiting, goaways: () => goaways };
})();

const { ports } = lab;
const down = lab.app.close();

describe('while shutting down', () => {
  test('idle connections are closed', async () => {
    for (const { idle } of answers) expect(await idle.rest()).toBe('');
  });

  test('new connections are refused', async () => {
    await expect(RawClient.connect(ports.http)).rejects.toThrow(/ECONNREFUSED/);
  });

  test('what is in flight is finished, and the last answer of a connection says so', async () => {
    release.resolve(undefined);
    for (const { waiting, begun } of answers) {
      const answer = await waiting.response();
      expect(answer).toMatchObject({ status: 200, body: 'in time' });
      expect(values(answer, 'connection')).toEqual(['close']);
      expect(await begun.until('0\r\n\r\n')).toBe('0\r\n\r\n');
      expect(await begun.rest()).toBe('');
      expect(await waiting.rest()).toBe('');
    }
  });

  test('streams in flight are finished, after a GOAWAY; a connection without any is closed', async () => {
    const answers = await Promise.all(streams.waiting);
    expect(answers.map(({ status, body }) => ({ status, body }))).toEqual(
      streams.waiting.map(() => ({ status: 200, body: 'in time' })),
    );
    expect(await streams.busy.closed()).toBe('end');
    expect(await streams.idle.closed()).toBe('end');
    expect(streams.goaways()).toBeGreaterThan(0);
  });

  test('a WebSocket connection works to the end of the grace, then it is closed with 1001', async () => {
    const { client, backend } = webSocket;
    backend.send(frame(TEXT, 'still here'));
    expect((await readFrame(client)).payload.toString()).toBe('still here');
    expect(await readFrame(client)).toMatchObject({ opcode: CLOSE, payload: Buffer.from([0x03, 0xe9]) });
    expect(await client.closed()).toBe('end');
  });

  test('an answer that outlasts the grace is cut, never ended', async () => {
    await down;
    for (const { endless } of answers) {
      await endless.closed();
      expect(endless.pending).toBe('');
    }
  });
});
