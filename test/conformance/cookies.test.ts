/** The cookie modes that touch the application's own cookies, over all lanes: one policy with a rule for each. */
import { describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { HostileBackend, values } from '../support/wire.ts';
import type { Message } from '../support/wire.ts';
import { startLab } from './lab.ts';
import type { Site } from './lab.ts';
import { ALL_LANES, requestBytes, WIRE_LANES } from './lanes.ts';
import type { Answer, Lane } from './lanes.ts';

const lab = await startLab({
  plain: 0,
  sticky: 70,
  policy: {
    rules: [
      { name: 'rewritten', cookie: { name: 'RW', mode: 'Rewrite' } },
      { name: 'prefixed', cookie: { name: 'PX', mode: 'Prefix' } },
      { name: 'ours', when: { pathPrefixes: ['/ours'] }, cookie: { name: 'HF', preserve: true } },
    ],
  },
  // `preserve` is told to be forgeable.
  warned: true,
});

/** The site's backends answer with these lines. */
function saying(lane: Lane, site: Site, lines: string, ...backends: readonly HostileBackend[]): void {
  for (const backend of [site.backend, ...backends]) {
    backend.handler = async (exchange) => {
      await exchange.body();
      lane.accept(exchange, lines);
    };
  }
}

async function ask(lane: Lane, site: Site, cookie = '', target = '/'): Promise<Answer> {
  const client = await lane.connect(lab.ports);
  client.ask({ host: site.host, target, headers: cookie === '' ? [] : [['Cookie', cookie]] });
  return await client.answer();
}

/** A second endpoint, so that only a session leads to the first for certain. */
async function withSecond(site: Site): Promise<HostileBackend> {
  const second = await HostileBackend.start();
  await lab.addEndpoint(site, second);
  return second;
}

const setCookies = (answer: Message): string[] => values(answer, 'set-cookie');
const pair = (line: string | undefined): string => /^[^;]*/.exec(line ?? '')?.[0] ?? '';

async function outcomes(site: Site): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { labels, value } of (await lab.app.metrics()).all('holdfast_decisions_total', { policy: site.name })) {
    const outcome = labels['outcome'] ?? '';
    if (value > 0) found[outcome] = (found[outcome] ?? 0) + value;
  }
  return found;
}

describe.each(ALL_LANES)('lane $name', (lane) => {
  test('H14 F9 Rewrite: a blank cookie of the backend carries the token, the other lines stay (T20)', async () => {
    const site = lab.stickySite();
    const lines = ['a=1; Path=/', `RW=${'0'.repeat(120)}; Path=/x; HttpOnly`, 'b="2, 3"; Secure'];
    saying(lane, site, lines.map((line) => `Set-Cookie: ${line}\r\n`).join(''));
    const answer = await ask(lane, site);
    expect(answer.status).toBe(lane.success);
    const [first, second, third, ...more] = setCookies(answer);
    expect([first, third, more]).toEqual([lines[0], lines[2], []]);
    expect(second).toMatch(/^RW=[\w-]{56}; Path=\/x; HttpOnly$/);
    await eventually(async () => (await outcomes(site))['new'] === 1);

    const other = await withSecond(site);
    saying(lane, site, '', other);
    for (let i = 0; i < 4; i++) {
      const kept = await ask(lane, site, `x=1;${pair(second)};  y=2`);
      expect(setCookies(kept)).toEqual([]);
      expect(values(site.backend.last, 'cookie')).toEqual([`x=1;${pair(second)};  y=2`]);
    }
    expect(site.backend.requests.length).toBe(5);
    expect(await outcomes(site)).toEqual({ new: 1, kept: 4 });
  });

  test('Tengine T7 Rewrite: no cookie of the backend, no session', async () => {
    const site = lab.stickySite();
    saying(lane, site, '');
    expect(setCookies(await ask(lane, site))).toEqual([]);
    await eventually(async () => (await outcomes(site))['stateless'] === 1);
  });

  test('H13 Prefix: the token before the value, taken off again (T18)', async () => {
    const site = lab.stickySite();
    saying(lane, site, 'Set-Cookie: PX=app~1; Path=/\r\n');
    const [line, ...more] = setCookies(await ask(lane, site));
    expect(more).toEqual([]);
    expect(line).toMatch(/^PX=[\w-]{56}~app~1; Path=\/$/);

    const other = await withSecond(site);
    saying(lane, site, '', other);
    for (let i = 0; i < 4; i++) {
      await ask(lane, site, `x="1";  ${pair(line)} ;y=2`);
      expect(values(site.backend.last, 'cookie')).toEqual(['x="1";  PX=app~1 ;y=2']);
    }
    expect(site.backend.requests.length).toBe(5);
  });

  test('the application takes its cookie back', async () => {
    const site = lab.stickySite();
    const lines = ['RW=; Path=/; Max-Age=0', 'PX=; Expires=Thu, 01 Jan 1970 00:00:00 GMT'];
    saying(lane, site, lines.map((line) => `Set-Cookie: ${line}\r\n`).join(''));
    expect(setCookies(await ask(lane, site))).toEqual(lines);
  });

  test('H10 preserve: the backend’s cookie of our name, or else ours; exactly one', async () => {
    const site = lab.stickySite();
    saying(lane, site, 'Set-Cookie: HF=its-own; Path=/\r\n');
    expect(setCookies(await ask(lane, site, '', '/ours'))).toEqual(['HF=its-own; Path=/']);
    saying(lane, site, '');
    const [ours, ...more] = setCookies(await ask(lane, site, '', '/ours'));
    expect(more).toEqual([]);
    expect(ours).toMatch(/^HF=[\w-]{56};/);
    // A plain value names the pod.
    expect(setCookies(await ask(lane, site, `HF=${site.name}-pod`, '/ours'))).toEqual([]);
    expect((await outcomes(site))['kept']).toBe(1);
  });

  test('T30 no token on answers of our own', async () => {
    const site = lab.stickySite();
    saying(lane, site, 'Set-Cookie: RW=x\r\nSet-Cookie: PX=y\r\n');
    const cookies = setCookies(await ask(lane, site))
      .map(pair)
      .join('; ');
    await lab.setEndpoint(site, { ready: false, serving: false, terminating: true });
    const answer = await ask(lane, site, cookies);
    expect(answer).toMatchObject(lane.refused(503));
    expect(setCookies(answer)).toEqual([]);
  });
});

describe.each(WIRE_LANES)('lane $name', ({ connect }) => {
  test('T58 a 304 carries neither the token nor a line without it', async () => {
    const site = lab.stickySite();
    site.backend.handler = async (exchange) => {
      await exchange.body();
      exchange.wire.end(
        'HTTP/1.1 304 Not Modified\r\nSet-Cookie: RW=x\r\nSet-Cookie: PX=y\r\nSet-Cookie: z=1\r\nConnection: close\r\n\r\n',
      );
    };
    const client = await connect(lab.ports);
    client.send(requestBytes({ host: site.host }));
    expect(setCookies(await client.response())).toEqual(['z=1']);
  });
});
