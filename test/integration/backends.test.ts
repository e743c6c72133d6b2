/** Weighted backends end to end: how sessions are divided, what they stay at, and that the figures add up. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { DrainProgress } from '../../src/admin/types.ts';
import type { Rule, StickyPolicySpec } from '../../src/model/sticky-policy.ts';
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

const NAMES = ['blue', 'green', 'image'];

let app: App;
let pods: Backend[];

beforeEach(async () => {
  pods = await startBackends('blue-0', 'blue-1', 'green-0', 'green-1', 'image-0', 'image-1');
});

/** The pods of each Service are those of its name, unless `behind` says of which. */
function manifests(spec: StickyPolicySpec, behind: Readonly<Record<string, string>> = {}): string {
  return file(
    ingress({ service: 'blue' }),
    policy(spec),
    ...NAMES.flatMap((name) => [
      service(name),
      slices(
        name,
        pods.filter(({ pod }) => pod.startsWith(behind[name] ?? name)).map((pod) => pod.endpoint()),
      ),
    ]),
  );
}

function weights(blue: number, green: number): Rule {
  return { name: 'split', backends: [backend('blue', blue), backend('green', green)], cookie: { name: 'HF' } };
}

function backend(name: string, weight = 1) {
  return { service: { name, port: { number: 80 } }, weight };
}

interface Session {
  readonly pod: string;
  readonly headers: { readonly cookie: string };
}

async function begin(count: number): Promise<Session[]> {
  const client = new Client(app.port);
  const sessions: Session[] = [];
  for (let i = 0; i < count; i++) {
    const answer = await client.get('/');
    sessions.push({ pod: answer.pod, headers: { cookie: `HF=${setCookieValue(answer, 'HF') ?? ''}` } });
  }
  return sessions;
}

async function podsOf(sessions: readonly Session[]): Promise<string[]> {
  const client = new Client(app.port);
  const found: string[] = [];
  for (const { headers } of sessions) found.push((await client.get('/', headers)).pod);
  return found;
}

async function decisions(): Promise<Record<string, number>> {
  const metrics = await app.metrics();
  const sums: Record<string, number> = {};
  for (const { labels, value } of metrics.all('holdfast_decisions_total', { policy: 'web' })) {
    if (value > 0) sums[`${labels['outcome']} ${labels['reason']}`] = value;
  }
  return sums;
}

/** Requests by Service, as the metric of routes has them. */
async function requestsByService(): Promise<Record<string, number>> {
  const metrics = await app.metrics();
  const sums: Record<string, number> = {};
  for (const { labels, value } of metrics.all('holdfast_requests_total')) {
    const name = labels['service'] ?? '';
    if (value > 0) sums[name] = (sums[name] ?? 0) + value;
  }
  return sums;
}

/** What the pods themselves have counted. */
function servedBy(name: string): number {
  return pods.filter(({ pod }) => pod.startsWith(name)).reduce((sum, { requests }) => sum + requests, 0);
}

test('90/10: 2000 new sessions are divided so, and the figures of the backends add up', async () => {
  app = await startApp({ manifests: manifests({ rules: [weights(90, 10)] }) });
  const sessions = await begin(2000);
  const green = sessions.filter(({ pod }) => pod.startsWith('green')).length;
  // Five standard deviations of 200 to each side: it fails once in a million runs.
  expect(Math.abs(green - 200)).toBeLessThan(5 * Math.sqrt(2000 * 0.9 * 0.1));
  expect(servedBy('green')).toBe(green);
  expect(await requestsByService()).toEqual({ blue: 2000 - green, green });
  expect(await decisions()).toEqual({ 'new no_token': 2000 });
  const metrics = await app.metrics();
  const durations = metrics.all('holdfast_request_duration_seconds_count');
  expect(durations.reduce((sum, { value }) => sum + value, 0)).toBe(2000);
  for (const { pod, requests } of pods)
    expect(metrics.sum('holdfast_endpoint_requests_total', { pod }), pod).toBe(requests);
});

test('T49: sessions stay when weights change, with weight 0, too; a removed backend moves its own, once', async () => {
  app = await startApp({ manifests: manifests({ rules: [weights(1, 1)] }) });
  const sessions = await begin(60);
  const before = sessions.map(({ pod }) => pod);
  for (const rule of [weights(1000, 1), weights(0, 1), weights(1, 0)]) {
    await app.change('all.yaml', manifests({ rules: [rule] }));
    expect(await podsOf(sessions)).toEqual(before);
  }
  expect((await begin(30)).filter(({ pod }) => pod.startsWith('green'))).toEqual([]);
  expect(Object.keys(await decisions()).sort()).toEqual(['kept -', 'new no_token']);

  await app.change('all.yaml', manifests({ rules: [{ ...weights(1, 0), backends: [backend('blue')] }] }));
  const after = await podsOf(sessions);
  expect(after.filter((pod) => !pod.startsWith('blue'))).toEqual([]);
  const lost = before.filter((pod) => pod.startsWith('green')).length;
  expect(before.filter((pod, i) => pod.startsWith('blue') && pod !== after[i])).toEqual([]);
  expect(await decisions()).toMatchObject({ 'moved endpoint_gone': lost });
  // With the old cookies again: the same places, and no further move is counted.
  expect(await podsOf(sessions)).toEqual(after);
  const metrics = await app.metrics();
  expect(metrics.sum('holdfast_session_moves_total', { policy: 'web', reason: 'endpoint_gone' })).toBe(lost);
});

test('a Service whose selector goes from blue to green moves each session once, none twice', async () => {
  const rules = [{ ...weights(1, 0), backends: [backend('blue')] }];
  app = await startApp({ manifests: manifests({ rules }) });
  const sessions = await begin(20);
  await app.change('all.yaml', manifests({ rules }, { blue: 'green' }));
  const moved = await podsOf(sessions);
  expect(moved.filter((pod) => !pod.startsWith('green'))).toEqual([]);
  expect(await podsOf(sessions)).toEqual(moved);
  const metrics = await app.metrics();
  expect(metrics.sum('holdfast_session_moves_total', { policy: 'web' })).toBe(20);
});

test('the drain of a pod knows its sessions, whichever of the Services is its', async () => {
  app = await startApp({ manifests: manifests({ rules: [weights(1, 1)] }) });
  const sessions = await begin(40);
  await podsOf(sessions);
  for (const { pod } of pods.slice(0, 4)) {
    const { sessions: left, done } = JSON.parse(
      (await app.admin(`/api/v1/drain?pod=test/${pod}`)).text,
    ) as DrainProgress;
    expect({ left, done }).toEqual({ left: sessions.filter((one) => one.pod === pod).length, done: false });
  }
});

test('a Service that does not exist is told, and the others serve; once it is there it takes its share', async () => {
  const rule = { ...weights(1, 1), backends: [backend('gone', 1), backend('green')] };
  app = await startApp({ manifests: manifests({ rules: [rule] }) });
  expect((await begin(20)).filter(({ pod }) => !pod.startsWith('green'))).toEqual([]);
  const problems = (await app.problems()).filter(({ field }) => field.startsWith('spec.rules'));
  expect(problems).toMatchObject([{ field: 'spec.rules[0].backends[0].service.name', severity: 'error' }]);
  const gone = file(service('gone'), slices('gone', [pods[4]?.endpoint() ?? { pod: '', port: 0 }]));
  await app.change('gone.yaml', gone);
  expect((await begin(60)).some(({ pod }) => pod === 'image-0')).toBe(true);
});

describe('content', () => {
  test('F18: the first rule with backends that holds chooses the Services, and each set has its own session', async () => {
    const rules: Rule[] = [
      { name: 'gif', when: { pathSuffixes: ['.gif'] }, backends: [backend('image')] },
      { name: 'direct', when: { cookies: [{ name: 'XYZ-Type', value: 'direct' }] }, backends: [backend('green')] },
      { name: 'browsers', cookie: { name: 'HF' } },
    ];
    app = await startApp({ manifests: manifests({ rules }) });
    const client = new Client(app.port, { jar: true, keepAlive: false });
    const direct = new Client(app.port, { jar: true, keepAlive: false });
    direct.cookies.set('XYZ-Type', 'direct');
    const seen = { page: new Set<string>(), image: new Set<string>(), direct: new Set<string>() };
    for (let i = 0; i < 6; i++) {
      seen.page.add((await client.get('/page')).pod);
      const image = await client.get('/a.gif');
      seen.image.add(image.pod);
      expect(image.described.headers['cookie']).toBeUndefined();
      seen.direct.add((await direct.get('/page')).pod);
    }
    expect([...seen.page].join()).toMatch(/^blue-\d$/);
    expect([...seen.image].join()).toMatch(/^image-\d$/);
    expect([...seen.direct].join()).toMatch(/^green-\d$/);
    expect([...client.cookies.keys()].sort()).toHaveLength(2);
    expect(await requestsByService()).toEqual({ blue: 6, image: 6, green: 6 });
  });

  test('a rule whose Services do not exist answers 503, and only that one', async () => {
    const rules = [
      { name: 'gif', when: { pathSuffixes: ['.gif'] }, backends: [backend('gone')] },
      { name: 'browsers', cookie: { name: 'HF' } },
    ];
    app = await startApp({ manifests: manifests({ rules }) });
    const client = new Client(app.port);
    expect((await client.get('/a.gif')).status).toBe(503);
    expect((await client.get('/')).pod).toMatch(/^blue/);
  });
});

test('T50: stickTo Service: 100 requests reach one Service and both of its pods, with one cookie', async () => {
  app = await startApp({ manifests: manifests({ session: { stickTo: 'Service' }, rules: [weights(1, 1)] }) });
  const [session] = await begin(1);
  if (session === undefined) throw new Error('no session');
  const reached = await podsOf(Array.from({ length: 100 }, () => session));
  expect(new Set(reached.map((pod) => pod.split('-')[0])).size).toBe(1);
  expect(new Set(reached).size).toBe(2);
  expect(await decisions()).toEqual({ 'new no_token': 1, 'kept -': 100 });
});

test('a key of the session table stays at its backend when weights change, and with stickTo Service only there', async () => {
  const table: Rule = { ...weights(1, 1), cookie: undefined, header: { name: 'X-User', mode: 'Table' } };
  const spec = (blue: number, green: number, stickTo: 'Pod' | 'Service') => ({
    session: { stickTo },
    rules: [{ ...table, backends: [backend('blue', blue), backend('green', green)] }],
  });
  app = await startApp({ manifests: manifests(spec(1, 1, 'Pod')) });
  const client = new Client(app.port);
  const ask = async (user: number) => (await client.get('/', { 'x-user': `user-${user}` })).pod;
  const users = Array.from({ length: 20 }, (_, user) => user);
  const before: string[] = [];
  for (const user of users) before.push(await ask(user));
  expect(new Set(before.map((pod) => pod.split('-')[0])).size).toBe(2);
  await app.change('all.yaml', manifests(spec(1, 0, 'Pod')));
  for (const user of users) expect(await ask(user)).toBe(before[user]);
  await app.change('all.yaml', manifests(spec(1, 0, 'Service')));
  for (const user of users) {
    const reached = new Set([await ask(user), await ask(user), await ask(user), await ask(user)]);
    expect(reached.size).toBe(2);
    expect([...reached].every((pod) => pod.split('-')[0] === before[user]?.split('-')[0])).toBe(true);
  }
  expect(Object.keys(await decisions()).sort()).toEqual(['kept -', 'new -']);
});
