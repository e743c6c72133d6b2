/** What becomes of a session whose pod refuses connections: it waits, then moves once; or as the policy says. */
import { beforeAll, describe, expect, test } from 'vitest';
import { Client, eventually, setCookieValue, site, startApp, startBackends } from '../support/app.ts';
import type { Answer, App, Backend } from '../support/app.ts';

const SITES = {
  restart: { onEndpointLost: { notReadyGrace: '20s' } },
  lost: { onEndpointLost: { notReadyGrace: '300ms' } },
  most: { onEndpointLost: { notReadyGrace: '0s' } },
  all: { onEndpointLost: { notReadyGrace: '100ms' } },
  stubborn: { onEndpointLost: { notReadyGrace: '100ms' }, retry: { changeOnFailure: false } },
  reject: { onEndpointLost: { action: 'Reject', statusCode: 410, notReadyGrace: '100ms' } },
} as const;
type Site = keyof typeof SITES;

let app: App;
const backends = {} as Record<Site, Backend[]>;

beforeAll(async () => {
  const manifests: Record<string, string> = {};
  for (const [name, spec] of Object.entries(SITES)) {
    const started = await startBackends(`${name}-0`, `${name}-1`, `${name}-2`);
    backends[name as Site] = started;
    manifests[`${name}.yaml`] = manifestOf(name as Site, started, spec);
  }
  app = await startApp({ manifests });
});

function manifestOf(name: Site, pods: readonly Backend[], spec: (typeof SITES)[Site] = SITES[name]): string {
  return site(name, { endpoints: pods.map((pod) => pod.endpoint()), ...spec });
}

function clientOf(name: Site, jar = true): Client {
  return new Client(app.port, { host: `${name}.test`, jar });
}

/** A client with a session, and the backend that it is on. */
async function sessionOn(name: Site): Promise<{ client: Client; home: Backend; cookie: string }> {
  const client = clientOf(name);
  const { pod } = await client.get('/');
  const home = backends[name].find((backend) => backend.pod === pod);
  if (home === undefined) throw new Error(`${pod} is no pod of ${name}`);
  return { client, home, cookie: client.cookieHeader };
}

async function decisions(policy: Site, outcome: string, reason: string): Promise<number> {
  return (await app.metrics()).sum('holdfast_decisions_total', { policy, outcome, reason });
}

describe.concurrent('a pod that refuses connections', () => {
  test('T2: restarted in place, its sessions wait for it and stay; new ones go elsewhere at once', async () => {
    const { home, cookie } = await sessionOn('restart');
    await home.close();
    const until = Date.now() + 2000;
    let waiting = 5;
    const answers = Array.from({ length: waiting }, async () => {
      const answer = await clientOf('restart', false).get('/', { cookie });
      waiting--;
      return answer;
    });
    for (let i = 0; i < 10; i++) expect((await clientOf('restart', false).get('/')).pod).not.toBe(home.pod);
    await eventually(() => Date.now() > until);
    expect(waiting).toBe(5);
    await home.listen();
    for (const answer of await Promise.all(answers)) expect(answer).toMatchObject({ pod: home.pod, setCookies: [] });
    expect((await app.metrics()).sum('holdfast_decisions_total', { policy: 'restart', outcome: 'moved' })).toBe(0);
  });

  test('T29, T31, T46: for longer than the grace, its sessions move once, to one pod, and do not move back', async () => {
    const { client, home, cookie } = await sessionOn('lost');
    await home.close();
    const answers = await Promise.all(Array.from({ length: 20 }, () => clientOf('lost', false).get('/', { cookie })));
    const pods = new Set(answers.map(({ pod }) => pod));
    expect(pods.size).toBe(1);
    expect(pods.has(home.pod)).toBe(false);
    for (const answer of answers) expect(answer.setCookies).toHaveLength(1);
    expect(await decisions('lost', 'moved', 'connect_failed')).toBe(20);

    // The cookie names the pod that answered.
    client.cookies.set('HF', setCookieValue(answers[0]!, 'HF') ?? '');
    const [pod] = pods;
    expect(await client.get('/')).toMatchObject({ pod, setCookies: [] });

    await home.listen();
    await eventually(async () => (await clientOf('lost', false).get('/')).pod === home.pod, 20_000);
    for (let i = 0; i < 10; i++) expect(await client.get('/')).toMatchObject({ pod, setCookies: [] });
    expect(await decisions('lost', 'moved', 'connect_failed')).toBe(20);
  });

  test('T28: two of three refuse: every request finds the third, with one cookie that names it', async () => {
    const [up, ...down] = backends.most;
    const { home, cookie, client } = await sessionOn('most');
    for (const backend of down) await backend.close();
    for (let i = 0; i < 10; i++) {
      const fresh = clientOf('most');
      const answer = await fresh.get('/');
      expect(answer.pod).toBe(up?.pod);
      expect(answer.setCookies).toHaveLength(1);
      expect(await fresh.get('/')).toMatchObject({ pod: up?.pod, setCookies: [] });
    }
    const moved = await clientOf('most', false).get('/', { cookie });
    expect(moved.pod).toBe(up?.pod);
    expect(moved.setCookies).toHaveLength(home === up ? 0 : 1);
    expect((await client.get('/')).pod).toBe(up?.pod);
  });

  test('T30: all refuse: 502 without a cookie, for new sessions and old', async () => {
    const { client } = await sessionOn('all');
    for (const backend of backends.all) await backend.close();
    const answers: Answer[] = [];
    for (let i = 0; i < 5; i++) answers.push(await clientOf('all', false).get('/'), await client.get('/'));
    for (const answer of answers) expect(answer).toMatchObject({ status: 502, setCookies: [] });
    expect(await decisions('all', 'rejected', 'connect_failed')).toBe(10);
    expect((await app.metrics()).by('outcome', 'holdfast_decisions_total', { policy: 'all' })).toEqual({
      new: 1,
      rejected: 10,
    });
  });

  test('changeOnFailure: false answers 502 after the grace and never asks another pod', async () => {
    const { client, home } = await sessionOn('stubborn');
    await home.close();
    const others = backends.stubborn.filter((backend) => backend !== home);
    const before = others.map(({ requests }) => requests);
    for (let i = 0; i < 3; i++) expect(await client.get('/')).toMatchObject({ status: 502, setCookies: [] });
    expect(others.map(({ requests }) => requests)).toEqual(before);
    await home.listen();
    await eventually(async () => {
      const { status, text } = await client.get('/');
      return status === 200 && text.includes(home.pod);
    });
    expect(others.map(({ requests }) => requests)).toEqual(before);
  });
});

test('onEndpointLost: Reject answers its status and keeps the session for the pod that comes back', async () => {
  const { client, home } = await sessionOn('reject');
  const others = backends.reject.filter((backend) => backend !== home);
  await app.change('reject.yaml', manifestOf('reject', others));
  const before = others.map(({ requests }) => requests);
  for (let i = 0; i < 3; i++) expect(await client.get('/')).toMatchObject({ status: 410, setCookies: [] });
  expect(await decisions('reject', 'rejected', 'endpoint_gone')).toBe(3);
  expect(others.map(({ requests }) => requests)).toEqual(before);
  await app.change('reject.yaml', manifestOf('reject', backends.reject));
  expect(await client.get('/')).toMatchObject({ pod: home.pod, setCookies: [] });
});
