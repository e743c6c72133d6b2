/** Tokens that begin with somebody else's text, over all lanes: other products' cookies (`accept`) and headers that backends mint (Wrap). */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { NAMESPACE } from '../support/manifests.ts';
import { eventually } from '../support/eventually.ts';
import { HostileBackend, values } from '../support/wire.ts';
import type { Headers } from '../support/wire.ts';
import { startLab } from './lab.ts';
import type { Site } from './lab.ts';
import { ALL_LANES, requestBytes, WIRE_LANES } from './lanes.ts';
import type { Answer, Lane } from './lanes.ts';

const ID = 'Mcp-Session-Id';
const md5 = (text: string) => createHash('md5').update(text).digest('hex');
const lab = await startLab({
  plain: 0,
  sticky: 84,
  policy: {
    rules: [
      { name: 'mcp', when: { pathPrefixes: ['/mcp'] }, header: { name: ID, mode: 'Wrap' } },
      {
        name: 'browsers',
        cookie: {
          name: 'HF',
          accept: [
            { product: 'Tengine', name: 'route', until: '2999-01-01T00:00:00Z' },
            { product: 'IngressNginx', name: 'INGRESSCOOKIE', until: '2999-01-01T00:00:00Z' },
            { product: 'HAProxy', name: 'SRV', ids: { app1: 'nobody' } },
          ],
        },
      },
    ],
  },
  // One of the cookies is accepted for good.
  warned: true,
});

function saying(lane: Lane, site: Site, lines: string, ...others: readonly HostileBackend[]): void {
  for (const backend of [site.backend, ...others]) {
    backend.handler = async (exchange) => {
      await exchange.body();
      lane.accept(exchange, lines);
    };
  }
}

async function ask(lane: Lane, site: Site, headers: Headers = [], target = '/'): Promise<Answer> {
  const client = await lane.connect(lab.ports);
  client.ask({ host: site.host, target, headers });
  return await client.answer();
}

async function withSecond(site: Site): Promise<HostileBackend> {
  const second = await HostileBackend.start();
  await lab.addEndpoint(site, second);
  return second;
}

/** Decisions of a site's policy by outcome and reason. */
async function decisions(site: Site): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { labels, value } of (await lab.app.metrics()).all('holdfast_decisions_total', { policy: site.name })) {
    const { outcome = '', reason = '' } = labels;
    if (value > 0) found[`${outcome} ${reason}`] = (found[`${outcome} ${reason}`] ?? 0) + value;
  }
  return found;
}

const pair = (line: string | undefined): string => /^[^;]*/.exec(line ?? '')?.[0] ?? '';
const set = (answer: Answer): string[] => values(answer, 'set-cookie');

describe.each(ALL_LANES)('lane $name', (lane) => {
  test('another product’s cookie leads to its endpoint once, and then ours does', async () => {
    const site = lab.stickySite();
    const other = await withSecond(site);
    saying(lane, site, '', other);
    const theirs = `a=1;  route=127.0.0.1:${site.backend.port}|1|1;b=2`;
    let ours = '';
    for (let i = 0; i < 4; i++) {
      const [line, ...more] = set(await ask(lane, site, [['Cookie', theirs]]));
      expect(more).toEqual([]);
      expect(line).toMatch(/^HF=[\w-]{56}; Path=\/; HttpOnly; (Secure; )?SameSite=Lax$/);
      ours = pair(line);
      // T18: the other cookies are the application's business, byte for byte.
      expect(values(site.backend.last, 'cookie')).toEqual([theirs]);
    }
    const moved = `route=127.0.0.1:${other.port}|1|1; ${ours}`;
    for (let i = 0; i < 4; i++) expect(set(await ask(lane, site, [['Cookie', moved]]))).toEqual([]);
    expect(site.backend.requests.length).toBe(8);
    expect(other.requests.length).toBe(0);
    await eventually(async () => (await decisions(site))['kept -'] === 4);
    expect(await decisions(site)).toEqual({ 'kept accepted_foreign': 4, 'kept -': 4 });
  });

  test('a cookie of ingress-nginx, whose backend names the port by number or by name', async () => {
    const site = lab.stickySite();
    const other = await withSecond(site);
    saying(lane, site, '', other);
    for (const backend of [`${NAMESPACE}-${site.name}-80`, `${NAMESPACE}-${site.name}-http`]) {
      const key = md5(`${backend}127.0.0.1:${site.backend.port}`);
      const cookie = `INGRESSCOOKIE=${key}|${md5(md5(backend) + backend)}`;
      for (let i = 0; i < 3; i++) expect(set(await ask(lane, site, [['Cookie', cookie]]))).toHaveLength(1);
    }
    expect(site.backend.requests.length).toBe(6);
    await eventually(async () => (await decisions(site))['kept accepted_foreign'] === 6);
  });

  test('T16 values that mean nobody here are no sessions and no errors', async () => {
    const site = lab.stickySite();
    saying(lane, site, '');
    for (const junk of ['', '|||', '~', 'x'.repeat(6000), '10.9.9.9:1', '"', 'app1']) {
      const answer = await ask(lane, site, [['Cookie', `route=${junk}; SRV=${junk}`]]);
      expect(answer.status).toBe(lane.success);
      expect(set(answer)).toHaveLength(1);
    }
    await eventually(async () => (await decisions(site))['new no_token'] === 7);
  });

  test('H13 what stood in front of the application’s value is taken off', async () => {
    const site = lab.stickySite();
    saying(lane, site, '');
    await ask(lane, site, [['Cookie', 'x=1; SRV=app1~its-own ;y=2']]);
    expect(values(site.backend.last, 'cookie')).toEqual(['x=1; SRV=its-own ;y=2']);
  });

  test('Wrap: the client holds our token and the backend’s id, the backend sees its own', async () => {
    const site = lab.stickySite();
    saying(lane, site, `A: 1\r\n${ID}: id.~1\r\nB: 2\r\n`);
    const first = await ask(lane, site, [], '/mcp');
    const [id = '', ...more] = values(first, ID);
    expect(more).toEqual([]);
    expect(id).toMatch(/^[\w-]{56}\.id\.~1$/);
    expect([values(first, 'a'), values(first, 'b'), set(first)]).toEqual([['1'], ['2'], []]);
    await eventually(async () => (await decisions(site))['new no_token'] === 1);

    const other = await withSecond(site);
    saying(lane, site, '', other);
    for (let i = 0; i < 4; i++) {
      const answer = await ask(
        lane,
        site,
        [
          ['x', '1'],
          [ID.toUpperCase(), id],
          ['y', '2'],
        ],
        '/mcp',
      );
      expect(values(answer, ID)).toEqual([]);
      expect(values(site.backend.last, ID)).toEqual(['id.~1']);
      expect([values(site.backend.last, 'x'), values(site.backend.last, 'y')]).toEqual([['1'], ['2']]);
    }
    // A backend that repeats its id: the client's text stays the same.
    saying(lane, site, `${ID}: id.~1\r\n`, other);
    expect(values(await ask(lane, site, [[ID, id]], '/mcp'), ID)).toEqual([id]);
    expect(site.backend.requests.length).toBe(6);
    expect(await decisions(site)).toEqual({ 'new no_token': 1, 'kept -': 5 });
  });

  test('Wrap: on every route of the policy, whichever rule decides', async () => {
    const site = lab.stickySite();
    saying(lane, site, `${ID}: id-1\r\n`);
    const first = await ask(lane, site, [], '/elsewhere');
    const [id = ''] = values(first, ID);
    expect(id).toMatch(/^[\w-]{56}\.id-1$/);
    expect(set(first)).toHaveLength(1);
    await ask(lane, site, [[ID, id]], '/elsewhere');
    expect(values(site.backend.last, ID)).toEqual(['id-1']);
  });

  test('Wrap: values without a token of ours pass as they are', async () => {
    const site = lab.stickySite();
    saying(lane, site, '');
    for (const value of ['id-1', `${'A'.repeat(56)}.id-1`, 'x'.repeat(4000)]) {
      expect((await ask(lane, site, [[ID, value]], '/mcp')).status).toBe(lane.success);
      expect(values(site.backend.last, ID)).toEqual([value]);
    }
    await eventually(async () => (await decisions(site))['stateless invalid_token'] === 1);
  });

  test('Wrap: the id of a lost endpoint goes to another one, and its backend says what it says', async () => {
    const site = lab.stickySite();
    saying(lane, site, `${ID}: id-1\r\n`);
    const [id = ''] = values(await ask(lane, site, [], '/mcp'), ID);
    const other = await withSecond(site);
    other.handler = async (exchange) => {
      await exchange.body();
      exchange.answer(404);
    };
    await lab.setEndpoint(site, { ready: false, serving: false, terminating: true });
    const answer = await ask(lane, site, [[ID, id]], '/mcp');
    expect(answer.status).toBe(404);
    expect(values(answer, ID)).toEqual([]);
    expect(values(other.last, ID)).toEqual(['id-1']);
    await eventually(async () => (await decisions(site))['moved endpoint_gone'] === 1);
  });
});

describe.each(WIRE_LANES)('lane $name', ({ connect }) => {
  test('Wrap: an event stream begins with the wrapped id and flows on, and its session stays in use', async () => {
    const site = lab.stickySite();
    let go: (() => void) | undefined;
    const going = new Promise<void>((resolve) => (go = resolve));
    site.backend.handler = async (exchange) => {
      await exchange.body();
      exchange.send(
        `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n${ID}: id-1\r\nTransfer-Encoding: chunked\r\n\r\n`,
      );
      exchange.send('9\r\ndata: 1\n\n\r\n');
      await going;
      exchange.send('9\r\ndata: 2\n\n\r\n0\r\n\r\n');
    };
    const client = await connect(lab.ports);
    client.send(requestBytes({ host: site.host, target: '/mcp', headers: [['Accept', 'text/event-stream']] }));
    // The first event comes before the second has been sent.
    const begin = await client.until('data: 1\n\n\r\n');
    expect(begin).toMatch(/\r\nMcp-Session-Id: [\w-]{56}\.id-1\r\n/i);
    go?.();
    expect(await client.until('0\r\n\r\n')).toContain('data: 2');
  });

  test('T58 Wrap: no raw id in interim answers and 304', async () => {
    const site = lab.stickySite();
    site.backend.handler = async (exchange) => {
      await exchange.body();
      exchange.send(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n${ID}: raw\r\n\r\n`);
      exchange.send(`HTTP/1.1 304 Not Modified\r\nX-A: 1\r\n${ID}: raw\r\n\r\n`);
    };
    const client = await connect(lab.ports);
    client.send(requestBytes({ host: site.host, target: '/mcp' }));
    const answer = await client.response();
    expect(answer.interim.map((head) => [values(head, 'link'), values(head, ID)])).toEqual([[['</a>'], []]]);
    expect([answer.status, values(answer, 'x-a'), values(answer, ID)]).toEqual([304, ['1'], []]);
  });
});
