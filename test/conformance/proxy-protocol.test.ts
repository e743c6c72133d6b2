/** PROXY protocol in: from trusted peers a header is read and required, from others none; what is behind it is served as ever. */
import { describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { header, HostileBackend, RawClient } from '../support/wire.ts';
import { startLab, TRUSTED } from './lab.ts';
import type { Site } from './lab.ts';
import { ALL_LANES, requestBytes } from './lanes.ts';
import type { Question } from './lanes.ts';

/** Long enough for what has to arrive within it. */
const HEAD_TIMEOUT = 1500;
const CLIENT = '198.51.100.7';
const LINE = `PROXY TCP4 ${CLIENT} 203.0.113.1 40000 443\r\n`;
const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n';
const BLOCK = `${SIGNATURE}\x21\x11\0\x0c\xc6\x33\x64\x07\xcb\0\x71\x01\x9c\x40\x01\xbb`;
const OWN_BLOCK = `${SIGNATURE}\x20\0\0\0`;
const VERSIONS = [
  ['v1', LINE],
  ['v2', BLOCK],
] as const;

const lab = await startLab({
  plain: 60,
  sticky: 2,
  policy: { rules: [{ name: 'address', sourceIP: { mode: 'Hash' } }] },
  config: { proxyProtocol: true, headTimeout: HEAD_TIMEOUT, accessLog: 'full', logLevel: 'info' },
});

const port = (secure: boolean): number => (secure ? lab.ports.https : lab.ports.http);

/** A client over a connection that begins with `before`, the request in the same segment unless it speaks TLS. */
async function proxied(secure: boolean, before: string, request: string, from = TRUSTED): Promise<RawClient> {
  const client = await RawClient.connect(port(secure), { from, secure, ...(secure ? { before } : {}) });
  client.send((secure ? '' : before) + request);
  return client;
}

async function ask(secure: boolean, before: string, question: Question, from?: string) {
  const client = await proxied(secure, before, requestBytes(question), from);
  return await client.response(question.method);
}

function told(site: Site): Record<string, string | undefined> {
  const { last } = site.backend;
  return {
    for: header(last, 'x-forwarded-for'),
    real: header(last, 'x-real-ip'),
    port: header(last, 'x-forwarded-port'),
  };
}

/** Bytes over plain TCP that make the proxy close the connection without a word. */
async function refused(secure: boolean, bytes: string, end = false): Promise<void> {
  const client = await RawClient.connect(port(secure), { from: TRUSTED });
  if (end) client.end(bytes);
  else client.send(bytes);
  expect(await client.rest()).toBe('');
}

async function gauge(name: string): Promise<number> {
  return (await lab.app.metrics()).value(name);
}

describe.each([
  ['plain', false],
  ['TLS', true],
] as const)('over %s', (_name, secure) => {
  test.each(VERSIONS)(
    'the address of a %s header is the client’s, for all requests of the connection',
    async (_version, before) => {
      const site = lab.site();
      const client = await proxied(secure, before, requestBytes({ host: site.host }));
      expect(await client.response()).toMatchObject({ status: 200 });
      const seen = { for: CLIENT, real: CLIENT, port: String(port(secure)) };
      expect(told(site)).toEqual(seen);
      client.send(requestBytes({ host: site.host, target: '/second' }));
      await client.response();
      expect(site.backend.last.target).toBe('/second');
      expect(told(site)).toEqual(seen);
      const logged = () => lab.app.logs.filter((line) => line.includes('"access"') && line.includes(site.host));
      await eventually(() => logged().length === 2);
      for (const line of logged()) expect(JSON.parse(line)).toMatchObject({ client: CLIENT });
    },
  );

  test('it is the peer from then on: what it says by X-Forwarded-For is not believed, unless it is trusted itself', async () => {
    const site = lab.site();
    const headers = [['X-Forwarded-For', '192.0.2.1']] as const;
    await ask(secure, LINE, { host: site.host, headers });
    expect(told(site)).toMatchObject({ for: CLIENT, real: CLIENT });
    await ask(secure, LINE.replace(CLIENT, TRUSTED), { host: site.host, headers });
    expect(told(site)).toMatchObject({ for: `192.0.2.1, ${TRUSTED}`, real: '192.0.2.1' });
  });

  test.each([
    ['LOCAL', OWN_BLOCK],
    ['UNKNOWN', 'PROXY UNKNOWN\r\n'],
  ])('%s: the connection is its peer’s own', async (_name, before) => {
    const site = lab.site();
    await ask(secure, before, { host: site.host, headers: [['X-Forwarded-For', '192.0.2.1']] });
    expect(told(site)).toMatchObject({ for: `192.0.2.1, ${TRUSTED}`, real: '192.0.2.1' });
  });

  test('a large body in the same write as the header arrives whole', async () => {
    const site = lab.site();
    const body = Array.from({ length: 60_000 }, (_, i) => String(i)).join(' ');
    expect(await ask(secure, BLOCK, { host: site.host, method: 'POST', body })).toMatchObject({ status: 200, body });
  });

  test('T44: another peer’s header is not read', async () => {
    const site = lab.site();
    expect(await ask(secure, '', { host: site.host }, '127.0.0.1')).toMatchObject({ status: 200 });
    expect(told(site)).toMatchObject({ for: '127.0.0.1' });
    const bytes = LINE + requestBytes({ host: site.host });
    const client = await RawClient.connect(port(secure));
    client.send(bytes);
    if (!secure) expect(await client.response()).toMatchObject({ status: 400 });
    await client.closed();
    expect(site.backend.requests).toHaveLength(1);
  });

  test.each([
    ['absent', requestBytes({ host: 'plain-0.test' })],
    ['absent, TLS instead', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'],
    ['garbled', LINE.replace('TCP4', 'TCP6')],
    ['of a later version', BLOCK.replace('\x21', '\x31')],
    ['too long', `PROXY UNKNOWN ${'x'.repeat(100)}`],
    ['longer than any', `${SIGNATURE}\x21\x11\xff\xff`],
  ])('T44: a header that is %s closes the connection', async (_what, bytes) => {
    await lab.counts('proxy_protocol', () => refused(secure, bytes));
  });

  test.each([
    ['v1', LINE.slice(0, -1)],
    ['v2', BLOCK.slice(0, -1)],
  ])('T44: half a %s header and the end', async (_version, bytes) => {
    await lab.counts('proxy_protocol', () => refused(secure, bytes, true));
  });

  test('T44: nothing or half a header, and silence', async () => {
    const halves = ['', LINE.slice(0, 20), BLOCK.slice(0, 20)];
    const wait = () => Promise.all(halves.map(async (bytes) => await refused(secure, bytes)));
    await lab.counts('head_timeout', wait, halves.length);
  });

  test('whoever only connects is not counted', async () => {
    const before = await lab.limitHits('proxy_protocol');
    await refused(secure, '', true);
    await lab.counts('proxy_protocol', () => refused(secure, 'x'));
    expect(await lab.limitHits('proxy_protocol')).toBe(before + 1);
  });
});

test.each(ALL_LANES.flatMap((lane) => VERSIONS.map(([version, before]) => ({ lane, version, before }))))(
  'lane $lane.name behind a $version header',
  async ({ lane, before }) => {
    const site = lab.site();
    site.backend.handler = (exchange) => lane.accept(exchange);
    const client = await lane.connect(lab.ports, TRUSTED, before);
    client.ask({ host: site.host });
    expect(await client.answer()).toMatchObject({ status: lane.success });
    expect(told(site)).toMatchObject({ for: CLIENT, real: CLIENT });
  },
);

test('a header that comes byte by byte', async () => {
  const site = lab.site();
  for (const [, before] of VERSIONS) {
    const client = await RawClient.connect(lab.ports.http, { from: TRUSTED });
    client.socket.setNoDelay(true);
    for (const byte of before + requestBytes({ host: site.host })) {
      client.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await client.response()).toMatchObject({ status: 200 });
    expect(told(site)).toMatchObject({ for: CLIENT });
  }
});

test('a request that is over with the write that brought the header', async () => {
  const site = lab.site();
  const client = await RawClient.connect(lab.ports.http, { from: TRUSTED });
  client.end(LINE + requestBytes({ host: site.host }));
  expect(await client.response()).toMatchObject({ status: 200 });
  expect(await client.closed()).toBe('end');
});

test('affinity by the source address goes by the header’s', async () => {
  const site = lab.stickySite();
  const other = await HostileBackend.start();
  other.handler = (exchange) => exchange.answer(200, '', 'other');
  await lab.addEndpoint(site, other);
  const pods = new Map<string, Set<string>>();
  for (let i = 0; i < 40; i++) {
    const address = `198.51.100.${i % 20}`;
    const { body } = await ask(i % 2 === 0, LINE.replace(CLIENT, address), { host: site.host });
    pods.set(address, (pods.get(address) ?? new Set()).add(body));
  }
  expect([...pods.values()].every((seen) => seen.size === 1)).toBe(true);
  expect(new Set([...pods.values()].flatMap((seen) => [...seen])).size).toBe(2);
});

test('each connection counts once, whatever it had to get through', async () => {
  const { host } = lab.site();
  await eventually(async () => (await gauge('holdfast_connections')) === 0);
  const before = await gauge('holdfast_connections_total');
  await ask(true, LINE, { host });
  expect(await gauge('holdfast_connections_total')).toBe(before + 1);
  expect(await gauge('holdfast_connections')).toBe(1);
});

test('T44: hostile headers in any number leave the others alone', async () => {
  const { host } = lab.site();
  const some = Array.from(
    { length: 300 },
    (_, i) => BLOCK.slice(0, 1 + (i % BLOCK.length)) + String.fromCharCode(i % 256),
  );
  const clients = await Promise.all(
    some.map(async (bytes, i) => {
      const client = await RawClient.connect(port(i % 2 === 0), { from: TRUSTED });
      client.end(bytes);
      return client;
    }),
  );
  expect(await ask(false, LINE, { host })).toMatchObject({ status: 200 });
  for (const client of clients) await client.rest();
});
