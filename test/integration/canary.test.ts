/** A canary Ingress beside the primary one: who goes there, and what a session has to say about it. */
import { beforeEach, describe, expect, test } from 'vitest';
import {
  Client,
  file,
  ingress,
  policy,
  service,
  setCookieValue,
  slices,
  startApp,
  startBackends,
} from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';

const NGINX = 'nginx.ingress.kubernetes.io/';

let app: App;
let pods: Backend[];

beforeEach(async () => {
  pods = await startBackends('web-0', 'web-1', 'next-0', 'next-1');
});

interface Options {
  readonly sticky?: boolean;
  /** The canary's Service has no endpoints. */
  readonly empty?: boolean;
}

/** Names without a prefix are ingress-nginx's; undefined = there is no canary. */
function manifests(canary: Record<string, string> | undefined, { sticky = true, empty = false }: Options = {}): string {
  const annotations = Object.entries({ canary: 'true', ...canary }).map(([name, value]) => [
    name.includes('/') ? name : NGINX + name,
    value,
  ]);
  const of = (name: string) => pods.filter(({ pod }) => pod.startsWith(name)).map((pod) => pod.endpoint());
  return file(
    ingress(),
    ...(canary === undefined
      ? []
      : [
          ingress({
            name: 'a-canary',
            service: 'next',
            annotations: Object.fromEntries(annotations) as Record<string, string>,
          }),
        ]),
    ...(sticky ? [policy({ rules: [{ name: 'browsers', cookie: { name: 'HF' } }] })] : []),
    service('web'),
    service('next'),
    slices('web', of('web')),
    ...(empty ? [] : [slices('next', of('next'))]),
  );
}

async function start(canary: Record<string, string>, options?: Options): Promise<void> {
  app = await startApp({ manifests: manifests(canary, options) });
}

/** `web` or `next`, for each of so many requests without a session. */
async function sides(count: number, headers: Record<string, string> = {}): Promise<string[]> {
  const client = new Client(app.port);
  const found: string[] = [];
  for (let i = 0; i < count; i++) found.push(sideOf((await client.get('/', headers)).pod));
  return found;
}

function sideOf(pod: string): string {
  return pod.slice(0, pod.indexOf('-'));
}

/** A cookie of a session on that side. */
async function sessionOn(side: string): Promise<{ pod: string; cookie: string }> {
  const client = new Client(app.port);
  for (let i = 0; i < 500; i++) {
    const answer = await client.get('/');
    if (sideOf(answer.pod) === side) return { pod: answer.pod, cookie: `HF=${setCookieValue(answer, 'HF') ?? ''}` };
  }
  throw new Error(`no session came to ${side}`);
}

const HEADER = { 'canary-by-header': 'X-Canary', 'canary-by-cookie': 'canary' };

test('a weight divides new sessions, by requests of both Services; sessions stay on their side', async () => {
  await start({ 'canary-weight': '200', 'canary-weight-total': '1000' });
  const found = await sides(1000);
  const next = found.filter((side) => side === 'next').length;
  expect(Math.abs(next - 200)).toBeLessThan(5 * Math.sqrt(1000 * 0.2 * 0.8));
  const served = (await app.metrics()).by('service', 'holdfast_requests_total', { ingress: 'web' });
  expect(served).toEqual({ web: 1000 - next, next });
  for (const side of ['web', 'next']) {
    const { pod, cookie } = await sessionOn(side);
    for (let i = 0; i < 10; i++) expect((await new Client(app.port).get('/', { cookie })).pod).toBe(pod);
  }
});

test('header, then cookie, then weight', async () => {
  await start({ ...HEADER, 'canary-weight': '100' });
  expect(new Set(await sides(6))).toEqual(new Set(['next']));
  expect(new Set(await sides(6, { cookie: 'canary=never' }))).toEqual(new Set(['web']));
  expect(new Set(await sides(6, { cookie: 'canary=never', 'x-canary': 'always' }))).toEqual(new Set(['next']));
  await app.change('all.yaml', manifests({ ...HEADER, 'canary-by-header-pattern': '^b(eta)?$' }));
  expect(new Set(await sides(6, { 'x-canary': 'beta' }))).toEqual(new Set(['next']));
  expect(new Set(await sides(6, { 'x-canary': 'always' }))).toEqual(new Set(['web']));
});

describe('T47: a session and a header that do not agree', () => {
  test('the session comes first', async () => {
    await start({ ...HEADER, 'canary-weight': '50' });
    const { pod, cookie } = await sessionOn('web');
    const answer = await new Client(app.port).get('/', { cookie, 'x-canary': 'always' });
    expect(answer).toMatchObject({ pod, setCookies: [] });
    const other = await sessionOn('next');
    expect((await new Client(app.port).get('/', { cookie: other.cookie, 'x-canary': 'never' })).pod).toBe(other.pod);
  });

  test('canary-overrides-session: the header does; the session moves, and stays where it was asked to', async () => {
    await start({ ...HEADER, 'canary-weight': '50', 'holdfast.dev/canary-overrides-session': 'true' });
    const { cookie } = await sessionOn('web');
    const client = new Client(app.port);
    const moved = await client.get('/', { cookie, 'x-canary': 'always' });
    expect(sideOf(moved.pod)).toBe('next');
    const renewed = `HF=${setCookieValue(moved, 'HF') ?? ''}`;
    for (const headers of [{}, { 'x-canary': 'always' }])
      expect(await client.get('/', { cookie: renewed, ...headers })).toMatchObject({ pod: moved.pod, setCookies: [] });
    expect(sideOf((await client.get('/', { cookie: `${renewed}; canary=never` })).pod)).toBe('web');
    const metrics = await app.metrics();
    expect(metrics.sum('holdfast_decisions_total', { outcome: 'moved', reason: 'override' })).toBe(2);
    expect(metrics.sum('holdfast_session_moves_total', { reason: 'override' })).toBe(2);
  });
});

test('T48: a forged value leads nobody into the canary', async () => {
  await start({ 'canary-weight': '0' });
  const forged = ['next', 'a|b', 'http://127.0.0.1:80', Buffer.alloc(42, 1).toString('base64url')];
  for (const value of forged) expect(await sides(5, { cookie: `HF=${value}` })).toEqual(Array(5).fill('web'));
});

test('T49: with weight 0 sessions stay; a canary that is removed moves them to the primary Service, once', async () => {
  await start({ 'canary-weight': '100' });
  const { pod, cookie } = await sessionOn('next');
  await app.change('all.yaml', manifests({ 'canary-weight': '0' }));
  expect((await new Client(app.port).get('/', { cookie })).pod).toBe(pod);
  expect(new Set(await sides(20))).toEqual(new Set(['web']));
  await app.change('all.yaml', manifests(undefined));
  const moved = await new Client(app.port).get('/', { cookie });
  expect(sideOf(moved.pod)).toBe('web');
  expect((await new Client(app.port).get('/', { cookie })).pod).toBe(moved.pod);
  const metrics = await app.metrics();
  expect(metrics.sum('holdfast_session_moves_total', { reason: 'endpoint_gone' })).toBe(1);
});

test('legacy: the canary has no sessions, and each request is chosen for', async () => {
  await start({ ...HEADER, 'canary-weight': '50', 'affinity-canary-behavior': 'legacy' });
  const { pod, cookie } = await sessionOn('web');
  const client = new Client(app.port);
  const asked = await client.get('/', { cookie, 'x-canary': 'always' });
  expect(asked).toMatchObject({ setCookies: [] });
  expect(sideOf(asked.pod)).toBe('next');
  // Nor does it see the session's token.
  expect(asked.described.headers['cookie']).toBeUndefined();
  const seen = new Set<string>();
  for (let i = 0; i < 40; i++) seen.add((await client.get('/', { cookie })).pod);
  expect([...seen].filter((one) => one.startsWith('web'))).toEqual([pod]);
  expect([...seen].some((one) => one.startsWith('next'))).toBe(true);
});

test('a canary without endpoints leaves everything to the primary Service', async () => {
  await start({ ...HEADER, 'canary-weight': '100' }, { empty: true });
  expect(new Set(await sides(6))).toEqual(new Set(['web']));
  expect(new Set(await sides(6, { 'x-canary': 'always' }))).toEqual(new Set(['web']));
});

test('without a policy nothing sticks: header, cookie and weight choose', async () => {
  await start({ ...HEADER, 'canary-weight': '50' }, { sticky: false });
  expect(new Set(await sides(40))).toEqual(new Set(['web', 'next']));
  expect(new Set(await sides(10, { 'x-canary': 'always' }))).toEqual(new Set(['next']));
  expect(new Set(await sides(10, { 'x-canary': 'never' }))).toEqual(new Set(['web']));
});
