/** Keys that only the session table knows (modes Table and Learn), over all lanes: one policy with a rule for each. */
import { describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { HostileBackend, values } from '../support/wire.ts';
import type { Headers } from '../support/wire.ts';
import { startLab } from './lab.ts';
import type { Site } from './lab.ts';
import { ALL_LANES } from './lanes.ts';
import type { Answer, Lane } from './lanes.ts';

const lab = await startLab({
  plain: 0,
  sticky: 56,
  policy: {
    rules: [
      { name: 'app', cookie: { name: 'JS', mode: 'Learn', extract: { length: 4 } } },
      { name: 'mcp', header: { name: 'Mcp-Session-Id', mode: 'Learn' } },
      { name: 'users', header: { name: 'X-User', mode: 'Table' } },
    ],
  },
});

/** The site with a second endpoint, so that only a session leads to one of them for certain. */
async function pairOf(lane: Lane): Promise<{ site: Site; both: readonly HostileBackend[] }> {
  const site = lab.stickySite();
  const second = await HostileBackend.start();
  await lab.addEndpoint(site, second);
  const both = [site.backend, second];
  say(lane, both, '');
  return { site, both };
}

function say(lane: Lane, backends: readonly HostileBackend[], lines: string): void {
  for (const backend of backends) {
    backend.handler = async (exchange) => {
      await exchange.body();
      lane.accept(exchange, lines);
    };
  }
}

async function ask(lane: Lane, site: Site, headers: Headers = []): Promise<Answer> {
  const client = await lane.connect(lab.ports);
  client.ask({ host: site.host, headers });
  const answer = await client.answer();
  expect(answer.status).toBe(lane.success);
  return answer;
}

/** How many of eight requests come to each backend. */
async function spread(lane: Lane, site: Site, both: readonly HostileBackend[], headers: Headers): Promise<number[]> {
  const before = both.map(({ requests }) => requests.length);
  for (let i = 0; i < 8; i++) await ask(lane, site, headers);
  return both.map(({ requests }, i) => requests.length - (before[i] ?? 0));
}

async function decisions(site: Site): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { labels, value } of (await lab.app.metrics()).all('holdfast_decisions_total', { policy: site.name })) {
    const key = `${labels['rule']} ${labels['outcome']} ${labels['reason']}`;
    if (value > 0) found[key] = (found[key] ?? 0) + value;
  }
  return found;
}

describe.each(ALL_LANES)('lane $name', (lane) => {
  test('H3 stick store-response, appsession: the cookie that a backend mints leads back to it, until it is taken back', async () => {
    const { site, both } = await pairOf(lane);
    const forged: Headers = [['Cookie', 'a=1; JS=nobody-minted-this']];
    expect(await spread(lane, site, both, forged)).toEqual([4, 4]);

    say(lane, both, 'Set-Cookie: a=1\r\nSet-Cookie: JS="abcd!node1"; Path=/; HttpOnly\r\n');
    const minted = await ask(lane, site);
    // What the backend sets reaches the client as it is.
    expect(values(minted, 'set-cookie')).toEqual(['a=1', 'JS="abcd!node1"; Path=/; HttpOnly']);
    await eventually(async () => (await decisions(site))[' new missing_key'] === 1);
    say(lane, both, '');
    const back: Headers = [['Cookie', 'x=2; JS="abcd!node1"']];
    expect((await spread(lane, site, both, back)).sort()).toEqual([0, 8]);
    expect(values((both.find(({ requests }) => requests.length > 5) ?? site.backend).last, 'cookie')).toEqual([
      'x=2; JS="abcd!node1"',
    ]);

    say(lane, both, 'Set-Cookie: JS=; Path=/; Max-Age=0\r\n');
    await ask(lane, site, back);
    say(lane, both, '');
    // Where they go depends on the connections that are open.
    await spread(lane, site, both, back);
    await eventually(async () => (await decisions(site))['app stateless unknown_key'] === 16);
    expect(await decisions(site)).toEqual({
      'app stateless unknown_key': 16,
      ' new missing_key': 1,
      'app kept -': 9,
    });
  });

  test('H3 a header that a backend mints leads back to it', async () => {
    const { site, both } = await pairOf(lane);
    expect(await spread(lane, site, both, [['mcp-session-id', 's-0']])).toEqual([4, 4]);
    say(lane, both, 'Mcp-Session-Id: s-1\r\n');
    const answer = await ask(lane, site);
    expect(values(answer, 'mcp-session-id')).toEqual(['s-1']);
    say(lane, both, '');
    expect((await spread(lane, site, both, [['mcp-session-id', 's-1']])).sort()).toEqual([0, 8]);
  });

  test('F17 F22 H3 a key of the table stays where it was first, and other keys spread', async () => {
    const { site, both } = await pairOf(lane);
    expect((await spread(lane, site, both, [['X-User', 'u-1']])).sort()).toEqual([0, 8]);
    const pods = new Set<string>();
    for (let user = 2; user < 8; user++) pods.add(String(await spread(lane, site, both, [['X-User', `u-${user}`]])));
    expect([...pods].sort()).toEqual(['0,8', '8,0']);
    await eventually(async () => (await decisions(site))['users kept -'] === 49);
    expect(await decisions(site)).toEqual({ 'users new -': 7, 'users kept -': 49 });
  });

  test('L21 a key whose endpoint leaves is moved, and counted once', async () => {
    const { site, both } = await pairOf(lane);
    // One that is at the first endpoint, which can be taken away.
    let user: Headers = [['X-User', 'u-0']];
    for (let id = 1; (await spread(lane, site, both, user))[0] === 0; id++) user = [['X-User', `u-${id}`]];
    await lab.setEndpoint(site, { ready: false, serving: false, terminating: true });
    expect(await spread(lane, site, both, user)).toEqual([0, 8]);
    const moves = async () =>
      (await lab.app.metrics()).by('reason', 'holdfast_session_moves_total', { policy: site.name });
    await eventually(async () => (await moves())['endpoint_gone'] === 1);
    expect((await decisions(site))['users moved endpoint_gone']).toBe(1);
    // A session does not move back.
    await lab.setEndpoint(site, { ready: true, serving: true, terminating: false });
    expect(await spread(lane, site, both, user)).toEqual([0, 8]);
  });
});
