/** Expressions in CEL as keys and as conditions, over all lanes: one policy with a rule for each. */
import { describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { HostileBackend } from '../support/wire.ts';
import type { Headers } from '../support/wire.ts';
import { startLab } from './lab.ts';
import type { Site } from './lab.ts';
import { ALL_LANES } from './lanes.ts';
import type { Lane } from './lanes.ts';

const lab = await startLab({
  plain: 0,
  sticky: 28,
  policy: {
    rules: [
      { name: 'robots', when: { cel: "request.headers['user-agent'].matches('(?i)bot')" }, none: {} },
      {
        name: 'carts',
        when: { cel: "request.path.startsWith('/cart/')", not: { cel: "'free' in request.query" } },
        expression: { cel: "request.path.split('/')[2] + '@' + request.host", mode: 'Table' },
      },
      { name: 'users', expression: { cel: "request.cookies['user'].lowerAscii()", mode: 'Hash' } },
    ],
  },
});

/** The site with a second endpoint, so that only a key leads to one of them for certain. */
async function siteOf(lane: Lane): Promise<Site> {
  const site = lab.stickySite();
  const second = await HostileBackend.start();
  await lab.addEndpoint(site, second);
  for (const backend of [site.backend, second]) {
    backend.handler = async (exchange) => {
      await exchange.body();
      lane.accept(exchange, `X-Pod: ${backend === second ? 'second' : 'first'}\r\n`);
    };
  }
  return site;
}

async function podsOf(lane: Lane, site: Site, target: string, headers: Headers): Promise<Set<string>> {
  const pods = new Set<string>();
  for (let i = 0; i < 8; i++) {
    const client = await lane.connect(lab.ports);
    client.ask({ host: site.host, target, headers });
    const answer = await client.answer();
    expect(answer.status).toBe(lane.success);
    pods.add(answer.headers.find(([name]) => name.toLowerCase() === 'x-pod')?.[1] ?? '');
  }
  return pods;
}

async function counts(site: Site, metric: string): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { labels, value } of (await lab.app.metrics()).all(metric, { policy: site.name })) {
    const key = [labels['rule'], labels['outcome'], labels['reason']].filter((part) => part !== undefined).join(' ');
    if (value > 0) found[key] = (found[key] ?? 0) + value;
  }
  return found;
}

describe.each(ALL_LANES)('lane $name', (lane) => {
  test('what an expression gives is a key of the table, or is hashed; many keys spread', async () => {
    const site = await siteOf(lane);
    const all = new Set<string>();
    for (let cart = 0; cart < 10; cart++) {
      const pods = await podsOf(lane, site, `/cart/${cart}/items`, []);
      expect(pods.size).toBe(1);
      for (const pod of pods) all.add(pod);
    }
    for (const user of ['Ann', 'Bob', 'Eve'])
      expect((await podsOf(lane, site, '/', [['Cookie', `User=${user}`]])).size).toBe(1);
    expect(all.size).toBe(2);
    await eventually(async () =>
      expect(await counts(site, 'holdfast_decisions_total')).toEqual({
        'carts new -': 10,
        'carts kept -': 70,
        'users new -': 3,
        'users kept -': 21,
      }),
    );
  });

  test('an error counts: a condition does not hold, a key is missing, and the next rule is asked', async () => {
    const site = await siteOf(lane);
    expect((await podsOf(lane, site, '/cart/1?free', [])).size).toBe(2);
    expect((await podsOf(lane, site, '/', [['User-Agent', 'Robot/1']])).size).toBe(2);
    await eventually(async () =>
      expect(await counts(site, 'holdfast_decisions_total')).toEqual({
        ' stateless missing_key': 8,
        'robots stateless -': 8,
      }),
    );
    expect(await counts(site, 'holdfast_cel_errors_total')).toEqual({ robots: 8, users: 8 });
  });
});
