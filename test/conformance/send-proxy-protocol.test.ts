/** PROXY protocol out: connections to endpoints begin with the header of the client that they are for, and are no other client's. */
import { describe, expect, test } from 'vitest';
import { Http2Client } from '../support/http2-client.ts';
import { ingress } from '../support/manifests.ts';
import { header, RawClient } from '../support/wire.ts';
import type { HostileBackend, Wire } from '../support/wire.ts';
import { startLab, TRUSTED } from './lab.ts';
import type { Site } from './lab.ts';
import { ALL_LANES, requestBytes } from './lanes.ts';

const VERSIONS = ['v1', 'v2'] as const;
const labs = {
  v1: await start('v1'),
  v2: await start('v2'),
};

async function start(version: string) {
  const annotations = { 'holdfast.dev/send-proxy-protocol': version };
  return await startLab({ plain: 30, annotations, config: { proxyProtocol: true } });
}

/** What each connection to the backend begins with, as text; empty = with a request. */
function greetings(backend: HostileBackend): string[] {
  const seen: string[] = [];
  backend.greeting = async (wire) => {
    const at = seen.push('') - 1;
    seen[at] = wire.pending.startsWith('GET') ? '' : await greeting(wire);
  };
  return seen;
}

async function greeting(wire: Wire): Promise<string> {
  if (wire.pending.startsWith('P')) return (await wire.until('\r\n')).trimEnd();
  const fixed = await wire.take(16);
  const block = await wire.take(fixed.readUInt16BE(14));
  expect(fixed.toString('hex', 0, 14)).toBe('0d0a0d0a000d0a515549540a2111');
  const address = (at: number) => block.subarray(at, at + 4).join('.');
  return `PROXY TCP4 ${address(0)} ${address(4)} ${block.readUInt16BE(8)} ${block.readUInt16BE(10)}`;
}

describe.each(VERSIONS)('%s', (version) => {
  const lab = labs[version];

  const connect = async (secure = false, options: { from?: string; before?: string } = {}) =>
    await RawClient.connect(secure ? lab.ports.https : lab.ports.http, { secure, ...options });

  const ask = async (client: RawClient, { host }: Pick<Site, 'host'>, before = '') => {
    client.send(before + requestBytes({ host }));
    expect(await client.response()).toMatchObject({ status: 200 });
  };

  const lineOf = ({ socket }: RawClient) =>
    `PROXY TCP4 127.0.0.1 127.0.0.1 ${socket.localPort ?? 0} ${socket.remotePort ?? 0}`;

  test.each([false, true])('one connection for all requests of a client (TLS: %s)', async (secure) => {
    const site = lab.site();
    const seen = greetings(site.backend);
    const client = await connect(secure);
    for (let i = 0; i < 3; i++) await ask(client, site);
    expect(seen).toEqual([lineOf(client)]);
  });

  test.each(ALL_LANES)('on lane $name', async (lane) => {
    const site = lab.site();
    const seen = greetings(site.backend);
    site.backend.handler = (exchange) => lane.accept(exchange);
    for (const from of ['127.0.0.1', '127.0.0.2']) {
      const client = await lane.connect(lab.ports, from);
      client.ask({ host: site.host });
      expect(await client.answer()).toMatchObject({ status: lane.success });
    }
    expect(seen).toEqual([
      expect.stringMatching(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 [1-9]\d* [1-9]\d*$/),
      expect.stringMatching(/^PROXY TCP4 127\.0\.0\.2 127\.0\.0\.1 [1-9]\d* [1-9]\d*$/),
    ]);
  });

  test('streams of several clients at once: each comes behind a header of its own client', async () => {
    const site = lab.site();
    const named = new Map<Wire, string>();
    const pairs: string[] = [];
    site.backend.greeting = async (wire) => void named.set(wire, (await greeting(wire)).split(' ')[2] ?? '');
    site.backend.handler = (exchange) => {
      pairs.push(`${header(exchange.request, 'x-forwarded-for') ?? ''} ${named.get(exchange.wire) ?? ''}`);
      exchange.answer(200);
    };
    const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
    const ask = async (from: string) => {
      const client = await Http2Client.connect(lab.ports.https, { secure: true, from });
      const question = { method: 'GET', target: '/', authority: site.host, headers: [] };
      for (let round = 0; round < 3; round++) await Promise.all([1, 2, 3].map(async () => await client.ask(question)));
      client.destroy();
    };
    await Promise.all(addresses.map(ask));
    expect(pairs.sort()).toEqual(addresses.flatMap((address) => Array<string>(9).fill(`${address} ${address}`)));
  });

  test('no two clients share one, and a client’s goes when it goes', async () => {
    const site = lab.site();
    const seen = greetings(site.backend);
    const [one, other] = [await connect(), await connect()];
    for (const client of [one, other, one, other]) await ask(client, site);
    expect(seen).toEqual([lineOf(one), lineOf(other)]);
    const [ofOne, ofOther] = site.backend.connections;
    one.end();
    expect(await ofOne?.closed()).toBe('end');
    expect(ofOther?.ended).toBeUndefined();
    await ask(other, site);
    expect(seen).toHaveLength(2);
  });

  test('the same Service without the annotation: its connections have no header, and are not mixed', async () => {
    const site = lab.site();
    const bare = { host: `bare-${site.host}` };
    await lab.app.change('bare.yaml', ingress({ name: 'bare', host: bare.host, service: site.name }));
    const seen = greetings(site.backend);
    const client = await connect();
    for (const to of [bare, site, bare, site]) await ask(client, to);
    await ask(await connect(), bare);
    expect(seen).toEqual(['', lineOf(client)]);
  });

  test('a request that is sent again is sent behind a header, too', async () => {
    const site = lab.site();
    const seen = greetings(site.backend);
    const client = await connect();
    await ask(client, site);
    let closed = 0;
    site.backend.handler = (exchange) => {
      if (closed++ === 0) exchange.wire.destroy();
      else exchange.answer(200);
    };
    await ask(client, site);
    expect(seen).toEqual([lineOf(client), lineOf(client)]);
  });

  test.each([false, true])('a header that came in is passed on (TLS: %s)', async (secure) => {
    const site = lab.site();
    const seen = greetings(site.backend);
    const line = 'PROXY TCP4 198.51.100.7 203.0.113.1 40000 443';
    const before = `${line}\r\n`;
    const client = await connect(secure, { from: TRUSTED, ...(secure ? { before } : {}) });
    await ask(client, site, secure ? '' : before);
    await ask(client, site);
    expect(seen).toEqual([line]);
  });
});
