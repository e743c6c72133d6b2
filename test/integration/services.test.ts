/** Sessions of several Services: one each, kept apart, unless a group makes them one. */
import { beforeAll, expect, test } from 'vitest';
import { Client, file, ingress, policy, service, slice, slices, startApp, startBackends } from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';

const rules = [{ name: 'browsers', cookie: { name: 'HF', mode: 'Insert' as const } }];
const PATHS = [
  { path: '/', service: 'web' },
  { path: '/cart', service: 'cart' },
];

let app: App;
let web: Backend[];
let cart: Backend[];

beforeAll(async () => {
  web = await startBackends('web-0', 'web-1', 'web-2');
  cart = await startBackends('cart-0', 'cart-1', 'cart-2');
  const webEndpoints = web.map((backend) => backend.endpoint());
  const cartEndpoints = cart.map((backend) => backend.endpoint());
  app = await startApp({
    manifests: file(
      service('web'),
      service('cart'),
      slices('web', webEndpoints),
      slices('cart', cartEndpoints),
      // The pods of web once more, behind another Service.
      service('alias'),
      ...webEndpoints.map((endpoint) =>
        slice({ service: 'alias', name: `alias-${endpoint.pod}`, endpoints: [endpoint] }),
      ),

      ingress({ name: 'shop', host: 'shop.test', paths: PATHS }),
      policy({ name: 'shop', ingress: 'shop', rules }),

      ingress({ name: 'mixed', host: 'mixed.test', paths: PATHS }),
      policy({ name: 'mixed', ingress: 'mixed', rules, session: { group: 'mixed' } }),

      ingress({ name: 'same', host: 'same.test', paths: [PATHS[0]!, { path: '/api', service: 'alias' }] }),
      policy({ name: 'same', ingress: 'same', rules, session: { group: 'same' } }),

      ...['one', 'two'].flatMap((name) => [
        ingress({ name, host: 'apart.test', paths: [{ path: `/${name}`, service: 'web' }] }),
        policy({ name, ingress: name, rules: [{ name: 'browsers', cookie: { name, mode: 'Insert' } }] }),
      ]),
      ...['left', 'right'].flatMap((name) => [
        ingress({ name, host: 'grouped.test', paths: [{ path: `/${name}`, service: 'web' }] }),
        policy({ name, ingress: name, rules, session: { group: 'sides' } }),
      ]),
    ),
  });
});

/** 200 requests to two paths in turn; the pods that each reached, and the cookies that were set. */
async function alternate(host: string, paths: readonly [string, string]) {
  const client = new Client(app.port, { host, jar: true, keepAlive: false });
  const pods = [new Set<string>(), new Set<string>()] as const;
  let setCookies = 0;
  for (let i = 0; i < 200; i++) {
    const answer = await client.get(paths[i % 2] ?? '/');
    pods[i % 2 === 0 ? 0 : 1].add(answer.pod);
    setCookies += answer.setCookies.length;
  }
  return { client, pods: [[...pods[0]], [...pods[1]]] as const, setCookies };
}

async function outcomes(...policies: string[]): Promise<Record<string, number>> {
  const metrics = await app.metrics();
  const sums: Record<string, number> = {};
  for (const name of policies) {
    for (const [outcome, count] of Object.entries(metrics.by('outcome', 'holdfast_decisions_total', { policy: name })))
      sums[outcome] = (sums[outcome] ?? 0) + count;
  }
  return sums;
}

test('one policy, two Services: a browser that alternates keeps one pod of each and is never picked anew', async () => {
  const { client, pods, setCookies } = await alternate('shop.test', ['/', '/cart']);
  expect(pods[0]).toHaveLength(1);
  expect(pods[1]).toHaveLength(1);
  expect(pods[0][0]).toMatch(/^web-/);
  expect(pods[1][0]).toMatch(/^cart-/);
  expect(setCookies).toBe(2);
  expect([...client.cookies.keys()].every((name) => /^HF-[0-9a-f]{8}$/.test(name))).toBe(true);
  expect(client.cookies.size).toBe(2);
  expect(await outcomes('shop')).toEqual({ new: 2, kept: 198 });
});

test('a group over two Services with other pods: each makes its own choice, and neither disturbs the other', async () => {
  const { pods, setCookies, client } = await alternate('mixed.test', ['/', '/cart']);
  expect(pods[0]).toHaveLength(1);
  expect(pods[1]).toHaveLength(1);
  expect(setCookies).toBe(2);
  expect([...client.cookies.keys()].filter((name) => name === 'HF')).toHaveLength(1);
  expect([...client.cookies.keys()].filter((name) => /^HF-[0-9a-f]{8}$/.test(name))).toHaveLength(1);
  expect(await outcomes('mixed')).toEqual({ new: 2, kept: 198 });
});

test('T53: a group over two Services with the same pods is one session', async () => {
  const { pods, setCookies } = await alternate('same.test', ['/', '/api']);
  expect(pods[0]).toHaveLength(1);
  expect(pods[1]).toEqual(pods[0]);
  expect(setCookies).toBe(1);
  expect(await outcomes('same')).toEqual({ new: 1, kept: 199 });
});

test('T53: two policies with routes to one Service share no session, unless they share a group', async () => {
  const apart = await alternate('apart.test', ['/one', '/two']);
  expect(apart.setCookies).toBe(2);
  expect(await outcomes('one', 'two')).toEqual({ new: 2, kept: 198 });
  const grouped = await alternate('grouped.test', ['/left', '/right']);
  expect(grouped.setCookies).toBe(1);
  expect(grouped.pods[0]).toEqual(grouped.pods[1]);
  expect(await outcomes('left', 'right')).toEqual({ new: 1, kept: 199 });
});
