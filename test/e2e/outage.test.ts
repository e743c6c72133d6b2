/** The API server is out of the controllers' reach for a minute, under load: nothing fails, and afterwards they catch up at once. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, cookieOf } from './support/clients.ts';
import { audited, type Audited } from './support/control-plane.ts';
import type { Controller } from './support/controller.ts';
import { apply, eventually, get, kubectl, pause } from './support/kube.ts';
import { expectOnlyForcedMoves, expectSameChoices, underLoad } from './support/load.ts';
import { Relay } from './support/relay.ts';
import { hostOf, ingressOf, Shop } from './support/shop.ts';

const WEB = hostOf('web');
/** Of the whole outage, ms: it begins without a word, then connections are reset, in the end they are refused. */
const OUTAGE = { mute: 20_000, cut: 20_000, shut: 20_000 };
/** Everything is live again within this, ms. */
const CATCH_UP = 2000;
/** How long a connection may take to come about, ms. */
const CONNECT = 5000;
/** What a replica watches: seven kinds, and its Secret with the keys. */
const WATCHES = 8;

let relay: Relay;
let shop: Shop;

beforeAll(async () => {
  relay = await Relay.start();
  shop = await Shop.open([{ name: 'web', kind: 'Deployment', replicas: 6 }], relay.way);
  await apply(ingressOf('early', 'early.example', 'web'));
  await eventually(() => expectAnswers('early.example', 200));
});

afterAll(async () => {
  await shop?.close();
  await relay?.shut();
});

/** From every worker of both replicas, as good as certain: which worker takes a connection is the kernel's choice. */
async function expectAnswers(host: string, status: number): Promise<void> {
  const asked = shop.addresses.flatMap((address) => Array.from({ length: 8 }, () => ask(address, host)));
  for (const answer of await Promise.all(asked)) expect(answer.status, host).toBe(status);
}

/** A figure of each kind that is watched, of both replicas. */
async function figures(metric: string): Promise<number[]> {
  const pages = shop.controllers.map(async (controller) => (await fetch(controller.admin('/metrics'))).text());
  const pattern = new RegExp(`^holdfast_${metric}(?:\\{kind="\\w+"\\})? (\\S+)$`, 'gm');
  return (await Promise.all(pages)).flatMap((text) => [...text.matchAll(pattern)].map(([, value]) => Number(value)));
}

/** Asks until told to stop; what was said instead of "ready". */
async function unreadiness(controller: Controller, stop: AbortSignal): Promise<string[]> {
  const said: string[] = [];
  while (!stop.aborted) {
    const answer = await fetch(controller.admin('/readyz'));
    const text = await answer.text();
    if (!answer.ok) said.push(text);
    await pause(200);
  }
  return said;
}

/** What lists and watches the controllers have asked for since; others share neither their names nor their account. */
function reads(since: number): readonly Audited[] {
  return audited('holdfast', 'holdfast')
    .slice(since)
    .filter(({ verb }) => verb === 'list' || verb === 'watch');
}

/** Says in how many of the tenths of a second there was an arrival, 0 to 1. */
function spread(times: readonly number[], from: number, to: number): number {
  const tenths = new Set(times.filter((at) => at >= from && at < to).map((at) => Math.floor((at - from) / 100)));
  return tenths.size / ((to - from) / 100);
}

test('a minute without the API server', async () => {
  const stop = new AbortController();
  const saidUnready = Promise.all(shop.controllers.map((controller) => unreadiness(controller, stop.signal)));
  const relistsBefore = await figures('watch_relists_total');
  const askedBefore = audited('holdfast', 'holdfast').length;
  expect(askedBefore).toBeGreaterThan(2 * WATCHES);
  let caughtUp = Infinity;

  const load = await underLoad(
    () => shop.addresses,
    WEB,
    async (clients) => {
      const began = Date.now();
      relay.mute();
      await pause(OUTAGE.mute);
      expect(Math.min(...(await figures('watch_last_event_age_seconds')))).toBeGreaterThan(OUTAGE.mute / 1000 - 1);

      relay.cut();
      const cutAt = Date.now();
      await eventually(async () => expect(await figures('watch_connected')).toEqual(relistsBefore.map(() => 0)));
      expect(await figures('leader')).toEqual([0, 0]);
      // Others can reach it: pods come and one goes, Ingresses and policies change.
      const lost = clients[0]?.pod ?? '';
      await kubectl(['-n', 'shop', 'scale', 'deployment/web', '--replicas=8']);
      await kubectl(['-n', 'shop', 'delete', 'pod', lost]);
      await apply(`${ingressOf('late', 'late.example', 'web')}---${policyFor('late')}`);
      await kubectl(['-n', 'shop', 'delete', 'ingress', 'early']);
      await shop.settled(8);
      await expectAnswers('early.example', 200);
      await expectAnswers('late.example', 404);
      await pause(cutAt + OUTAGE.cut - Date.now());
      const tries = relay.arrivals.filter((at) => at > cutAt).length;
      // Each watch tries twice a second, and not all in step; the leader's election and the Lease come on top.
      expect(tries).toBeLessThan((2 * (WATCHES + 1) * 3 * OUTAGE.cut) / 1000);
      expect(spread(relay.arrivals, cutAt + 2000, cutAt + OUTAGE.cut)).toBeGreaterThan(0.5);

      await relay.shut();
      await pause(began + OUTAGE.mute + OUTAGE.cut + OUTAGE.shut - Date.now());
      expect(Math.min(...(await figures('watch_last_event_age_seconds')))).toBeGreaterThan(59);

      await relay.restore();
      const back = Date.now();
      await eventually(async () => {
        await expectAnswers('late.example', 200);
        await expectAnswers('early.example', 404);
        for (const address of shop.addresses) expect(cookieOf(await ask(address, 'late.example'))).toMatch(/^LATE=/);
        const answers = await Promise.all(shop.addresses.map((address) => newcomers(address)));
        for (const pods of answers) expect(pods).toEqual(shop.pods.running.map(({ uid }) => uid).sort());
        caughtUp = Date.now() - back;
      });
      await eventually(async () => expect(await figures('watch_connected')).toEqual(relistsBefore.map(() => 1)));
    },
  );
  stop.abort();

  expect(caughtUp).toBeLessThan(CATCH_UP);
  expect(await saidUnready).toEqual([[], []]);
  expectOnlyForcedMoves(load, shop.pods);
  expect(load.moves.length).toBeGreaterThan(0);
  await expectSameChoices(shop.addresses, WEB, load.moves);

  // Its history goes further back than a minute, so watches go on from where they were; a kind with many changes may not.
  for (const [i, relists] of (await figures('watch_relists_total')).entries()) {
    expect(relists - (relistsBefore[i] ?? 0)).toBeLessThanOrEqual(1);
  }
  expect(reads(askedBefore).filter(({ verb }) => verb === 'list').length).toBeLessThanOrEqual(2 * WATCHES);
  process.stderr.write(`Everything was live ${caughtUp} ms after the API server was back.\n`);
});

/** The pods that clients without a session get. */
async function newcomers(address: string): Promise<string[]> {
  const seen = new Set<string>();
  for (let i = 0; i < 40; i++) seen.add((await ask(address, 'late.example')).uid);
  return [...seen].sort();
}

function policyFor(name: string): string {
  return `
apiVersion: holdfast.dev/v1alpha1
kind: StickyPolicy
metadata: { name: ${name}, namespace: shop }
spec:
  targetRefs: [{ group: networking.k8s.io, kind: Ingress, name: ${name} }]
  rules: [{ name: browser, cookie: { name: ${name.toUpperCase()} } }]
`;
}

test('one replica leads again and writes what it had to leave', async () => {
  await eventually(async () => expect((await figures('leader')).sort()).toEqual([0, 1]), 40_000);
  await eventually(async () => {
    const { status } = await get<{ status: unknown }>('ingress', 'late', '-n', 'shop');
    expect(status).toMatchObject({ loadBalancer: { ingress: [{ ip: '192.0.2.10' }] } });
  });
});

test('connections that came to nothing while the way was broken are not waited for when it is whole again', async () => {
  relay.cut();
  relay.mute();
  const before = relay.arrivals.length;
  // The watch of the keys alone is not among the figures.
  const disconnected = Array(2 * (WATCHES - 1)).fill(0);
  await eventually(async () => expect(await figures('watch_connected')).toEqual(disconnected));
  await eventually(() => expect(relay.arrivals.length).toBeGreaterThanOrEqual(before + 2 * WATCHES));
  await apply(ingressOf('later', 'later.example', 'web'));
  await relay.restore();
  const back = Date.now();
  await eventually(() => expectAnswers('later.example', 200), 70_000);
  expect(Date.now() - back).toBeLessThan(CONNECT + CATCH_UP);
});
