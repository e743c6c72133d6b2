/** Two controllers under load while pods flap, a StatefulSet restarts, and the controllers themselves are restarted. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, cookieOf } from './support/clients.ts';
import { eventually, kubectl, pause } from './support/kube.ts';
import { CLIENTS, expectOnlyForcedMoves, expectSameChoices, underLoad } from './support/load.ts';
import { hostOf, Shop } from './support/shop.ts';

const WEB = hostOf('web');
const DB = hostOf('db');
/** The default of `onEndpointLost.notReadyGrace`, ms. */
const GRACE = 3000;

const ONCE = hostOf('once');
const PODS = 16;

let shop: Shop;
const addresses = (): string[] => shop.addresses;

beforeAll(async () => {
  shop = await Shop.open([
    { name: 'web', kind: 'Deployment', replicas: 6 },
    { name: 'db', kind: 'StatefulSet', replicas: 4, session: '{ identity: PodName }' },
    { name: 'once', kind: 'Deployment', replicas: 6, lost: '{ preferVersion: Newest }' },
  ]);
});

afterAll(async () => {
  await shop?.close();
});

/** How both replicas see a pod. */
async function states(pod: string): Promise<string[]> {
  const pages = shop.controllers.map(async (controller) => (await fetch(controller.admin('/metrics'))).text());
  return (await Promise.all(pages)).map((text) => {
    const lines = text.split('\n').filter((line) => line.startsWith('holdfast_endpoint_state{'));
    const on = lines.find((line) => line.includes(`pod="${pod}"`) && line.endsWith(' 1'));
    return /state="([^"]*)"/.exec(on ?? '')?.[1] ?? '';
  });
}

async function seenAs(pod: string, state: string): Promise<void> {
  await eventually(async () => expect(await states(pod)).toEqual([state, state]));
}

test('a pod that is not ready for less than the grace keeps its sessions, however often', async () => {
  const load = await underLoad(addresses, WEB, async ([client]) => {
    const { pod = '' } = client ?? {};
    for (let flap = 0; flap < 3; flap++) {
      await shop.pods.setReady(pod, false);
      await seenAs(pod, 'NotReady');
      await shop.pods.setReady(pod, true);
      await seenAs(pod, 'Ready');
    }
  });
  expect(load.failures).toEqual([]);
  expect(load.moves).toEqual([]);
});

test('a pod that is not ready for longer loses each of its sessions once, and they do not move back', async () => {
  let since = 0;
  let lost = '';
  let there = 0;
  const load = await underLoad(addresses, WEB, async (clients) => {
    const { pod = '', uid = '' } = clients[0] ?? {};
    const sessions = clients.filter((client) => client.uid === uid);
    lost = uid;
    there = sessions.length;
    since = Date.now();
    await shop.pods.setReady(pod, false);
    await eventually(() => expect(sessions.filter((client) => client.uid === uid)).toEqual([]));
    await shop.pods.setReady(pod, true);
    await seenAs(pod, 'Ready');
  });
  expect(load.failures).toEqual([]);
  expect(load.moves).toHaveLength(there);
  expect(load.clients.filter(({ moves }) => moves.length === 1)).toHaveLength(there);
  for (const { from, at } of load.moves) {
    expect(from).toBe(lost);
    expect(at - since).toBeGreaterThan(GRACE);
  }
});

test('a StatefulSet restarts: with identity PodName sessions find the pod of the same name again', async () => {
  // Their browsers rest while their pods are away.
  const resting = await Promise.all(
    Array.from({ length: CLIENTS }, async (_, i) => {
      const answer = await ask(shop.addresses[i % 2] ?? '', DB);
      return { pod: answer.pod, uid: answer.uid, cookie: cookieOf(answer) ?? '' };
    }),
  );
  const load = await underLoad(addresses, DB, async () => {
    await kubectl(['-n', 'shop', 'rollout', 'restart', 'statefulset/db']);
    await shop.rolledOut('statefulset/db');
    await shop.settled(PODS);
  });
  expectOnlyForcedMoves(load, shop.pods);
  expect(load.moves.length).toBeGreaterThanOrEqual(CLIENTS);
  expect(new Set(resting.map(({ pod }) => pod))).toEqual(new Set(['db-0', 'db-1', 'db-2', 'db-3']));
  for (const { pod, uid, cookie } of resting) {
    for (const address of shop.addresses) {
      const answer = await ask(address, DB, cookie);
      expect(answer).toMatchObject({ status: 200, pod, setCookie: [] });
      expect(answer.uid).not.toBe(uid);
    }
  }
});

test('T45: a rolling update with preferVersion Newest moves nearly every session once', async () => {
  const load = await underLoad(addresses, ONCE, async () => {
    await kubectl(['-n', 'shop', 'rollout', 'restart', 'deployment/once']);
    await shop.rolledOut('deployment/once');
    await shop.settled(PODS);
  });
  expectOnlyForcedMoves(load, shop.pods);
  for (const { moves } of load.clients) expect(moves.length).toBeGreaterThanOrEqual(1);
  // A replica may hear of a pod's endpoint a moment before it hears of its labels.
  expect(load.moves.length).toBeLessThanOrEqual(CLIENTS * 1.05);
});

/** Drops a replica from `open` as soon as its /readyz fails, and takes it back when it is ready. */
async function balance(open: string[], stop: AbortSignal): Promise<void> {
  const all = [...open];
  while (!stop.aborted) {
    const answers = all.map(async (address) => {
      const answer = await fetch(`http://${address}:9090/readyz`).catch(() => undefined);
      await answer?.body?.cancel();
      return answer?.ok === true;
    });
    const ready = await Promise.all(answers);
    open.splice(0, Infinity, ...all.filter((_, i) => ready[i]));
    await pause(100);
  }
}

test('a controller restarts under load, then the other: nothing fails and nobody moves', async () => {
  const open = addresses();
  const stop = new AbortController();
  const balancing = balance(open, stop.signal);
  const load = await underLoad(
    () => open,
    WEB,
    async () => {
      for (const [i, controller] of shop.controllers.entries()) {
        expect(await controller.stop()).toBe(0);
        expect(open).not.toContain(controller.address);
        shop.controllers[i] = await controller.again();
        await eventually(() => expect(open).toHaveLength(2));
      }
    },
  );
  stop.abort();
  await balancing;
  expect(load.failures).toEqual([]);
  expect(load.moves).toEqual([]);
});

test('a pod that is lost while one controller is away: the one that comes back chooses as the other did', async () => {
  const [first, second] = shop.controllers;
  if (first === undefined || second === undefined) throw new Error('two replicas are needed');
  const open = [second.address];
  const load = await underLoad(
    () => open,
    WEB,
    async (clients) => {
      expect(await first.stop()).toBe(0);
      await kubectl(['-n', 'shop', 'delete', 'pod', clients[0]?.pod ?? '']);
      await shop.settled(PODS);
      await eventually(() => expect(clients.filter(({ uid }) => shop.pods.lives.get(uid)?.gone)).toEqual([]));
      shop.controllers[0] = await first.again();
      open.push(first.address);
    },
  );
  expectOnlyForcedMoves(load, shop.pods);
  expect(load.moves.length).toBeGreaterThan(0);
  await expectSameChoices(shop.addresses, WEB, load.moves);
});
