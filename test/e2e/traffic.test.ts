/** Two controllers with the chart's flags and rights, real rollouts, and cookie clients who must not notice. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, cookieOf } from './support/clients.ts';
import { eventually, get, kubectl, run } from './support/kube.ts';
import { CLIENTS, expectOnlyForcedMoves, expectSameChoices, underLoad } from './support/load.ts';
import { hostOf, Shop } from './support/shop.ts';

const HOST = hostOf('web');

let shop: Shop;
const addresses = (): string[] => shop.addresses;

beforeAll(async () => {
  shop = await Shop.open([{ name: 'web', kind: 'Deployment', replicas: 10 }]);
});

afterAll(async () => {
  await shop?.close();
});

async function scale(replicas: number): Promise<void> {
  await kubectl(['-n', 'shop', 'scale', 'deployment/web', `--replicas=${replicas}`]);
  await shop.settled(replicas);
}

test('an Ingress is served, and both replicas keep a session on its pod', async () => {
  const [first = '', second = ''] = addresses();
  const answer = await eventually(async () => {
    const got = await ask(first, HOST);
    expect(got.status).toBe(200);
    return got;
  });
  const cookie = cookieOf(answer) ?? '';
  expect(cookie).toMatch(/^WEB=/);
  for (const address of [second, first, second]) {
    await eventually(async () =>
      expect(await ask(address, HOST, cookie)).toMatchObject({ status: 200, uid: answer.uid, setCookie: [] }),
    );
  }
});

test('rolling update: no failed request, and only sessions of replaced pods move', async () => {
  const load = await underLoad(addresses, HOST, async () => {
    await kubectl(['-n', 'shop', 'rollout', 'restart', 'deployment/web']);
    await shop.rolledOut('deployment/web');
    await shop.settled(10);
  });
  expectOnlyForcedMoves(load, shop.pods);
  expect(load.moves.length).toBeGreaterThanOrEqual(CLIENTS);
  expect(load.requests).toBeGreaterThan(5 * CLIENTS);
  await expectSameChoices(addresses(), HOST, load.moves);
});

test('scale 10 → 3 → 12: no failed request, sessions of lost pods move once, scaling up moves nobody', async () => {
  const load = await underLoad(addresses, HOST, async () => {
    await scale(3);
    await scale(12);
  });
  expectOnlyForcedMoves(load, shop.pods);
  expect(Math.max(...load.clients.map(({ moves }) => moves.length))).toBe(1);
  await expectSameChoices(addresses(), HOST, load.moves);
});

test('single pods deleted: no failed request, no session moved that need not', async () => {
  const load = await underLoad(addresses, HOST, async (clients) => {
    for (let deleted = 0; deleted < 2; deleted++) {
      // One that somebody is on.
      const { pod = '' } = clients[deleted] ?? {};
      await kubectl(['-n', 'shop', 'delete', 'pod', pod]);
      await shop.settled(12);
    }
  });
  expectOnlyForcedMoves(load, shop.pods);
  expect(load.moves.length).toBeGreaterThan(0);
  await expectSameChoices(addresses(), HOST, load.moves);
});

test('the status of Ingress and StickyPolicy says what holds', async () => {
  await eventually(async () => {
    const ingress = await get<{ status: unknown }>('ingress', 'web', '-n', 'shop');
    expect(ingress.status).toMatchObject({ loadBalancer: { ingress: [{ ip: '192.0.2.10' }] } });
    const policy = await get<{ status: unknown }>('stickypolicy', 'web', '-n', 'shop');
    expect(policy.status).toMatchObject({
      ancestors: [
        {
          conditions: expect.arrayContaining([
            expect.objectContaining({ type: 'Accepted', status: 'True' }),
          ]) as unknown,
        },
      ],
    });
  });
});

test('helm test passes when the controller answers', async () => {
  const test = run('helm', ['test', 'holdfast', '-n', 'holdfast', '--timeout', '60s']);
  interface TestPod {
    readonly spec: { readonly containers: readonly [{ readonly command: readonly string[] }] };
  }
  const pod = await eventually(() => get<TestPod>('pod', 'holdfast-test', '-n', 'holdfast'));
  // Nothing runs in these pods and there is no DNS: the command runs here, and its Services are one of the replicas.
  const [, ...args] = pod.spec.containers[0].command.map((arg) =>
    arg
      .replace('holdfast-replicas.holdfast.svc:9090', `${addresses()[0]}:9090`)
      .replace('holdfast.holdfast.svc:80', `${addresses()[0]}:8080`),
  );
  const ran = await run(process.execPath, args);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  const patch = JSON.stringify({ status: { phase: 'Succeeded' } });
  await kubectl([
    '-n',
    'holdfast',
    'patch',
    'pod',
    'holdfast-test',
    '--subresource=status',
    '--type=merge',
    '-p',
    patch,
  ]);
  expect((await test).code).toBe(0);
});

test('the rights of the chart are enough: nothing was forbidden', () => {
  for (const { log } of shop.controllers) {
    expect(log).toContain('"serving"');
    expect(log).not.toMatch(/forbidden|\b403\b/i);
  }
});

test('a replica that is stopped ends cleanly', async () => {
  const [last] = shop.controllers.splice(1, 1);
  expect(await last?.stop()).toBe(0);
  expect((await ask(addresses()[0] ?? '', HOST)).status).toBe(200);
});
