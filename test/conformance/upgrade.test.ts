/** WebSocket connections: the handshake, the bytes behind it in both directions, and every way in which they end. */
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { eventually, settled } from '../support/eventually.ts';
import {
  acceptKey,
  acceptWebSocket,
  BINARY,
  CLOSE,
  CONTINUATION,
  echoFrames,
  frame,
  header,
  RawClient,
  readFrame,
  TEXT,
  values,
  webSocketKey,
} from '../support/wire.ts';
import type { BackendHandler, Headers, Wire, WireResponse } from '../support/wire.ts';
import { COOKIE, startLab } from './lab.ts';
import type { Site } from './lab.ts';
import { requestBytes } from './lanes.ts';

const lab = await startLab({
  plain: 90,
  sticky: 16,
  policy: { rules: [{ name: 'browsers', cookie: { name: COOKIE } }], drain: { maxDuration: '500ms' } },
  config: { responseTimeout: 2000 },
});

function handshake(
  host: string,
  options: { target?: string; key?: string; version?: string; more?: Headers } = {},
): string {
  const headers: Headers = [
    ['Connection', 'Upgrade'],
    ['Upgrade', 'websocket'],
    ['Sec-WebSocket-Version', options.version ?? '13'],
    ['Sec-WebSocket-Key', options.key ?? webSocketKey()],
    ...(options.more ?? []),
  ];
  return requestBytes({ host, target: options.target ?? '/', headers });
}

/** A site whose backend echoes frames. */
function echoing(lines = '', sticky = false): Site {
  const site = sticky ? lab.stickySite() : lab.site();
  site.backend.handler = async (exchange) => {
    await echoFrames(acceptWebSocket(exchange, lines));
  };
  return site;
}

function handled(handler: BackendHandler): Site {
  const site = lab.site();
  site.backend.handler = handler;
  return site;
}

/** Asks for an upgrade over a connection of its own. */
async function upgrade(text: string): Promise<{ client: RawClient; answer: WireResponse }> {
  const client = await RawClient.connect(lab.ports.http);
  client.send(text);
  return { client, answer: await client.response() };
}

async function upgraded(site: Site): Promise<RawClient> {
  const { client, answer } = await upgrade(handshake(site.host));
  expect(answer.status).toBe(101);
  return client;
}

/** A site whose backend gives away its end of the first connection. */
function taken(sticky = false): { site: Site; backend: Promise<Wire> } {
  const site = sticky ? lab.stickySite() : lab.site();
  const { promise, resolve } = Promise.withResolvers<Wire>();
  site.backend.handler = (exchange) => {
    resolve(acceptWebSocket(exchange));
  };
  return { site, backend: promise };
}

describe('the handshake', () => {
  test('the 101 is the backend’s own, hop-by-hop headers aside', async () => {
    const site = echoing(
      'Sec-WebSocket-Protocol: chat\r\nKeep-Alive: timeout=5\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-Own: 1\r\n',
    );
    const key = webSocketKey();
    const more: Headers = [
      ['Sec-WebSocket-Protocol', 'chat, superchat'],
      ['Sec-WebSocket-Extensions', 'permessage-deflate'],
      ['Connection', 'x-secret'],
      ['X-Secret', '1'],
      ['Origin', 'http://a.example'],
    ];
    const { answer } = await upgrade(handshake(site.host, { key, more }));
    expect(answer.status).toBe(101);
    expect(values(answer, 'sec-websocket-accept')).toEqual([acceptKey(key)]);
    expect(values(answer, 'sec-websocket-protocol')).toEqual(['chat']);
    expect(values(answer, 'upgrade')).toEqual(['websocket']);
    expect(values(answer, 'connection').map((value) => value.toLowerCase())).toEqual(['upgrade']);
    expect(values(answer, 'x-own')).toEqual(['1']);
    for (const name of ['keep-alive', 'x-hop']) expect(values(answer, name)).toEqual([]);
    const { last } = site.backend;
    expect(values(last, 'sec-websocket-key')).toEqual([key]);
    expect(values(last, 'sec-websocket-protocol')).toEqual(['chat, superchat']);
    expect(values(last, 'sec-websocket-extensions')).toEqual(['permessage-deflate']);
    expect(values(last, 'origin')).toEqual(['http://a.example']);
    expect(values(last, 'x-secret')).toEqual([]);
    expect(values(last, 'connection').join().toLowerCase()).toBe('upgrade');
  });

  test('T54 the 101 carries our cookie once, behind the backend’s own; with it the next one carries none', async () => {
    const site = echoing('Set-Cookie: a=1\r\nSet-Cookie: b=2; Path=/\r\n', true);
    const first = await upgrade(handshake(site.host));
    const cookies = values(first.answer, 'set-cookie');
    expect(cookies).toEqual(['a=1', 'b=2; Path=/', expect.stringMatching(new RegExp(`^${COOKIE}=`))]);
    const cookie = `x=1; ${cookies[2]?.split(';')[0] ?? ''}`;
    const second = await upgrade(handshake(site.host, { more: [['Cookie', cookie]] }));
    expect(values(second.answer, 'set-cookie')).toEqual(['a=1', 'b=2; Path=/']);
    expect(values(site.backend.last, 'cookie')).toEqual(['x=1']);
  });

  test('behind other requests it is answered behind them', async () => {
    const [site, other] = [echoing(), lab.site()];
    const { host } = other;
    const refused = requestBytes({ host: 'nobody.test' });
    const posted = requestBytes({ host, method: 'POST', body: 'posted' });
    const { client, answer } = await upgrade(refused + posted + refused + handshake(site.host));
    expect(answer.status).toBe(404);
    expect(await client.response()).toMatchObject({ status: 200, body: 'posted' });
    expect((await client.response()).status).toBe(404);
    expect((await client.response()).status).toBe(101);
    client.send(frame(TEXT, 'hello', { mask: true }));
    expect((await readFrame(client)).payload.toString()).toBe('hello');
    const { client: second } = await upgrade(posted + refused + handshake(host, { version: '8' }));
    expect((await second.response()).status).toBe(404);
    expect((await second.response()).status).toBe(426);
    expect(await second.closed()).toBe('end');
  });

  test('behind other requests only its own answer is counted', async () => {
    const sent = async () => (await lab.app.metrics()).value('holdfast_bytes_total', { direction: 'out' });
    const before = await sent();
    const { host } = lab.site();
    const client = await RawClient.connect(lab.ports.http);
    client.send(requestBytes({ host: 'nobody.test' }).repeat(3) + handshake(host, { version: '8' }));
    let got = 0;
    client.socket.on('data', (chunk: Buffer) => (got += chunk.length));
    expect(await client.closed()).toBe('end');
    client.end();
    await eventually(async () => (await sent()) - before >= got);
    expect((await sent()) - before).toBe(got);
  });

  test('target bytes are not touched', async () => {
    const site = echoing();
    const target = '//a/../b?x=[1]|{2}';
    await upgrade(handshake(site.host, { target }));
    expect(site.backend.last.target).toBe(target);
  });

  test('another version is 426 and told which one is spoken', async () => {
    const { host, backend } = lab.site();
    const { client, answer } = await upgrade(handshake(host, { version: '8' }));
    expect(answer.status).toBe(426);
    expect(values(answer, 'sec-websocket-version')).toEqual(['13']);
    expect(await client.closed()).toBe('end');
    expect(backend.connections).toEqual([]);
  });

  test.each([
    ['a short key', handshakeWith({ key: 'c2hvcnQ=' })],
    ['an empty key', handshakeWith({ key: '' })],
    ['two keys', handshakeWith({ more: [['Sec-WebSocket-Key', webSocketKey()]] })],
    ['Content-Length', handshakeWith({ more: [['Content-Length', '0']] })],
    ['a body', (host: string) => `${handshakeWith({ more: [['Content-Length', '5']] })(host)}hello`],
    [
      'Transfer-Encoding',
      (host: string) => `${handshakeWith({ more: [['Transfer-Encoding', 'chunked']] })(host)}0\r\n\r\n`,
    ],
  ])('%s is 400, and the connection ends', async (_name, text) => {
    const { host, backend } = lab.site();
    const { client, answer } = await upgrade(text(host));
    expect(answer.status).toBe(400);
    expect(await client.closed()).toBe('end');
    expect(backend.connections).toEqual([]);
  });

  test.each([
    ['401', 'WWW-Authenticate: Basic realm="x"\r\n'],
    ['403', 'X-Own: 1\r\n'],
    ['302', 'Location: /login\r\n'],
  ])(
    'a backend that answers %s: the client gets all of it, with our cookie, and the connection ends',
    async (status, lines) => {
      const site = lab.stickySite();
      const body = 'no'.repeat(50_000);
      site.backend.handler = (exchange) => {
        exchange.answer(Number(status), lines, body);
      };
      const { client, answer } = await upgrade(handshake(site.host));
      expect(String(answer.status)).toBe(status);
      expect(answer.body === body).toBe(true);
      expect(answer.head).toContain(lines.trim());
      expect(values(answer, 'set-cookie')).toEqual([expect.stringContaining(`${COOKIE}=`)]);
      expect(values(answer, 'connection')).toEqual(['close']);
      expect(await client.rest()).toBe('');
    },
  );

  test('a large refusal waits for a client that does not read it', async () => {
    const size = 30_000_000;
    const site = handled((exchange) => {
      exchange.answer(403, '', 'n'.repeat(size));
    });
    const client = await RawClient.connect(lab.ports.http);
    client.send(handshake(site.host));
    await client.until('\r\n\r\n');
    client.socket.pause();
    const wire = site.backend.connections[0];
    expect(await settled(() => wire?.socket.writableLength ?? 0)).toBeGreaterThan(size / 4);
    client.socket.resume();
    expect((await client.take(size)).equals(Buffer.alloc(size, 'n'))).toBe(true);
    expect(await client.rest()).toBe('');
  });

  test('a backend that never answers is 504', async () => {
    const site = handled(async (exchange) => {
      await exchange.wire.closed();
    });
    await lab.counts('response_timeout', async () => {
      const { client, answer } = await upgrade(handshake(site.host));
      expect(answer.status).toBe(504);
      expect(await client.closed()).toBe('end');
    });
    await site.backend.connections[0]?.closed();
  });

  test.each([
    ['without Upgrade', 'Connection: Upgrade\r\n'],
    ['to another protocol', 'Connection: Upgrade\r\nUpgrade: h2c\r\n'],
    ['without Connection', 'Upgrade: websocket\r\n'],
    [
      'that names Set-Cookie in Connection',
      'Connection: Upgrade, Set-Cookie\r\nUpgrade: websocket\r\nSet-Cookie: a=b\r\n',
    ],
  ])('a 101 %s is 502', async (_name, lines) => {
    const site = handled((exchange) => {
      exchange.send(`HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n`);
    });
    expect((await upgrade(handshake(site.host))).answer.status).toBe(502);
    await site.backend.connections[0]?.closed();
  });

  test('a client that closes before the 101: the backend’s connection ends, 499', async () => {
    const site = handled(async (exchange) => {
      await exchange.wire.closed();
    });
    await lab.countsError('client', 499, async () => {
      const client = await RawClient.connect(lab.ports.http);
      client.send(handshake(site.host));
      await site.backend.asked(1);
      client.end();
      await site.backend.connections[0]?.closed();
    });
  });

  test('a refused client that never closes its side is let go', async () => {
    const { host } = lab.site();
    const before = (await lab.app.metrics()).sum('holdfast_connections');
    const { client } = await upgrade(handshake(host, { version: '8' }));
    await client.closed();
    await eventually(async () => (await lab.app.metrics()).sum('holdfast_connections') <= before, 12_000);
  });
});

/** The text of a handshake once its host is known. */
function handshakeWith(options: Parameters<typeof handshake>[1]): (host: string) => string {
  return (host) => handshake(host, options);
}

describe('the connection', () => {
  test('messages of any size come back, whole and in order', async () => {
    const client = await upgraded(echoing());
    const large = Buffer.alloc(1_000_000, 'large');
    const messages = [
      Buffer.from('hello'),
      Buffer.alloc(0),
      Buffer.alloc(125, 'a'),
      Buffer.alloc(126, 'b'),
      Buffer.alloc(70_000, 'c'),
      large,
    ];
    for (const message of messages) client.send(frame(BINARY, message, { mask: true }));
    for (const message of messages) {
      const { payload, opcode, masked } = await readFrame(client);
      expect({ same: payload.equals(message), opcode, masked }).toEqual({ same: true, opcode: BINARY, masked: false });
    }
  });

  test('a fragmented message keeps its fragments', async () => {
    const client = await upgraded(echoing());
    client.send(frame(TEXT, 'one ', { mask: true, final: false }));
    client.send(frame(CONTINUATION, 'two ', { mask: true, final: false }));
    client.send(frame(CONTINUATION, 'three', { mask: true }));
    const got = [await readFrame(client), await readFrame(client), await readFrame(client)];
    expect(got.map(({ opcode, final, payload }) => [opcode, final, payload.toString()])).toEqual([
      [TEXT, false, 'one '],
      [CONTINUATION, false, 'two '],
      [CONTINUATION, true, 'three'],
    ]);
  });

  test('bytes right behind the handshake and right behind the 101 arrive', async () => {
    const site = handled(async (exchange) => {
      await echoFrames(acceptWebSocket(exchange, '', frame(TEXT, 'welcome')));
    });
    const client = await RawClient.connect(lab.ports.http);
    client.send(Buffer.concat([Buffer.from(handshake(site.host)), frame(TEXT, 'early', { mask: true })]));
    expect((await client.response()).status).toBe(101);
    expect((await readFrame(client)).payload.toString()).toBe('welcome');
    expect((await readFrame(client)).payload.toString()).toBe('early');
  });

  test('bytes that come while the backend thinks arrive in order', async () => {
    const go = Promise.withResolvers<undefined>();
    const site = handled(async (exchange) => {
      await go.promise;
      await echoFrames(acceptWebSocket(exchange));
    });
    const client = await RawClient.connect(lab.ports.http);
    client.send(Buffer.concat([Buffer.from(handshake(site.host)), frame(TEXT, '1', { mask: true })]));
    await site.backend.asked(1);
    client.send(frame(TEXT, '2', { mask: true }));
    client.send(frame(TEXT, '3', { mask: true }));
    go.resolve(undefined);
    expect((await client.response()).status).toBe(101);
    for (const expected of ['1', '2', '3']) expect((await readFrame(client)).payload.toString()).toBe(expected);
  });

  test('a client that does not read stops its backend, and loses nothing', async () => {
    const { site, backend } = taken();
    const client = await upgraded(site);
    const size = 30_000_000;
    client.socket.pause();
    const wire = await backend;
    wire.send(frame(BINARY, Buffer.alloc(size, 'x')));
    expect(await settled(() => wire.socket.writableLength)).toBeGreaterThan(size / 4);
    client.socket.resume();
    expect((await readFrame(client)).payload.equals(Buffer.alloc(size, 'x'))).toBe(true);
  });

  test('a close frame of the client reaches the backend, and its answer the client', async () => {
    const client = await upgraded(echoing());
    client.send(frame(CLOSE, Buffer.from([0x03, 0xe8]), { mask: true }));
    expect(await readFrame(client)).toMatchObject({ opcode: CLOSE, payload: Buffer.from([0x03, 0xe8]) });
    expect(await client.closed()).toBe('end');
  });

  test.each([
    ['closes', 'end'],
    ['resets', 'reset'],
  ] as const)('a backend that %s ends the client’s connection', async (_name, how) => {
    const { site, backend } = taken();
    const client = await upgraded(site);
    const wire = await backend;
    if (how === 'end') wire.end();
    else wire.reset();
    await client.closed();
    expect(client.pending).toBe('');
  });

  test('a client that is gone ends the backend’s connection, and the gauge falls', async () => {
    const { site, backend } = taken();
    const client = await upgraded(site);
    const wire = await backend;
    const open = async () =>
      (await lab.app.metrics()).all('holdfast_endpoint_inflight', { service: site.name })[0]?.value;
    await eventually(async () => (await open()) === 1);
    client.reset();
    await wire.closed();
    await eventually(async () => (await open()) === 0);
  });

  test('a library’s client gets on through it', async () => {
    const site = echoing();
    const client = new WebSocket(`ws://127.0.0.1:${lab.ports.http}/`, { headers: { Host: site.host } });
    await once(client, 'open');
    client.send('x'.repeat(100_000));
    const [message] = (await once(client, 'message')) as [Buffer];
    expect(message.toString()).toBe('x'.repeat(100_000));
    client.close(1000);
    const [code] = (await once(client, 'close')) as [number];
    expect(code).toBe(1000);
  });
});

describe('the end of a drain', () => {
  test('T61 a draining endpoint keeps its connections; after maxDuration they end with 1001 between two frames', async () => {
    const { site, backend } = taken(true);
    const client = await upgraded(site);
    const wire = await backend;
    // Nothing is under way on these: they show when the time is up, whichever worker has them.
    const idle = await Promise.all(Array.from({ length: 8 }, () => upgraded(site)));
    // Half a frame is under way when the drain ends.
    const message = frame(TEXT, 'x'.repeat(100));
    wire.send(message.subarray(0, 50));
    await client.some();
    await lab.setEndpoint(site, { ready: false, serving: true, terminating: true });
    for (const other of idle) expect(await readFrame(other)).toMatchObject({ opcode: CLOSE });
    expect(client.ended).toBeUndefined();
    wire.send(message.subarray(50));
    expect((await readFrame(client)).payload.toString()).toBe('x'.repeat(100));
    expect(await readFrame(client)).toMatchObject({ opcode: CLOSE, masked: false, payload: Buffer.from([0x03, 0xe9]) });
    expect(await client.closed()).toBe('end');
    expect(await readFrame(wire)).toMatchObject({ opcode: CLOSE, masked: true, payload: Buffer.from([0x03, 0xe9]) });
    await wire.closed();
  });

  test('T61 an endpoint that drains without a limit keeps its connections', async () => {
    const site = echoing();
    const client = await upgraded(site);
    await lab.setEndpoint(site, { ready: false, serving: true, terminating: true });
    client.send(frame(TEXT, 'still here', { mask: true }));
    expect((await readFrame(client)).payload.toString()).toBe('still here');
    expect(header(site.backend.last, 'upgrade')).toBe('websocket');
  });
});
