/** Requests of a pod that has vanished wait for the one that is made anew under its name; over both lanes. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { beforeAll, describe, expect, test } from 'vitest';
import { Client, eventually, site, startApp, startBackend, startBackends } from '../support/app.ts';
import type { Answer, App, Backend } from '../support/app.ts';
import { settled } from '../support/eventually.ts';
import { openWebSocket } from '../support/websocket.ts';
import type { EndpointOptions } from '../support/manifests.ts';
import type { StickyPolicySpec } from '../../src/model/sticky-policy.ts';

const BY_NAME: StickyPolicySpec = { session: { identity: 'PodName' } };
const SITES: Record<string, StickyPolicySpec> = {
  web: BY_NAME,
  short: { ...BY_NAME, onEndpointLost: { goneGrace: '700ms' } },
  left: BY_NAME,
  crowd: BY_NAME,
  ended: BY_NAME,
  off: { ...BY_NAME, onEndpointLost: { goneGrace: '0s' } },
};
const WORKERS = 2;
/** Requests that may wait for one endpoint. */
const MAX_WAITING = 100;

let app: App;
const pods: Record<string, Backend[]> = {};

beforeAll(async () => {
  const manifests: Record<string, string> = {};
  for (const name of Object.keys(SITES)) {
    pods[name] = await startBackends('db-0', 'db-1');
    manifests[`${name}.yaml`] = manifestOf(name, all(name));
  }
  app = await startApp({ manifests, config: { workers: WORKERS } });
  // A process that has just started takes every pod that is missing for one that has just vanished.
  expect(await app.problems()).toEqual([]);
});

function all(name: string): EndpointOptions[] {
  return (pods[name] ?? []).map((backend) => backend.endpoint());
}

function manifestOf(name: string, endpoints: readonly EndpointOptions[]): string {
  return site(name, { endpoints, ...SITES[name] });
}

/** A client whose session is on db-0, which then vanishes. */
async function orphan(name: string): Promise<Client> {
  const client = new Client(app.port, { host: `${name}.test`, jar: true });
  await eventually(async () => {
    client.cookies.clear();
    return (await client.get('/')).pod === 'db-0';
  });
  await app.change(`${name}.yaml`, manifestOf(name, all(name).slice(1)));
  return client;
}

/** db-0 is back: another pod of the same name, on another port. */
async function made(): Promise<EndpointOptions> {
  return (await startBackend({ pod: 'db-0' })).endpoint({ uid: 'made-anew' });
}

async function rejected(policy: string): Promise<number> {
  const labels = { policy, outcome: 'rejected', reason: 'endpoint_gone' };
  return (await app.metrics()).sum('holdfast_decisions_total', labels);
}

/** Another connection of the same client. */
function clone({ port, cookieHeader }: Client, name: string): { get: () => Promise<Answer>; close: () => void } {
  const client = new Client(port, { host: `${name}.test` });
  return {
    get: () => client.get('/', { cookie: cookieHeader }),
    close: () => {
      client.close();
    },
  };
}

async function connections(): Promise<number> {
  return (await app.metrics()).sum('holdfast_connections');
}

describe.sequential('goneGrace', () => {
  test('T1: requests and handshakes wait, with a body too, and go to the pod that is made anew: nothing moves', async () => {
    const client = await orphan('web');
    let done = 0;
    const count = <T>(answer: Promise<T>) => answer.finally(() => void done++);
    const gets = Array.from({ length: 5 }, () => count(clone(client, 'web').get()));
    const post = count(
      new Client(app.port, { host: 'web.test' }).ask('/', {
        method: 'POST',
        headers: { cookie: client.cookieHeader },
        body: 'x'.repeat(200_000),
      }),
    );
    const socket = count(openWebSocket(client, '/'));
    const stranger = new Client(app.port, { host: 'web.test' });
    for (let i = 0; i < 10; i++) expect((await stranger.get('/')).pod).toBe('db-1');
    expect(done).toBe(0);

    const anew = await made();
    // It is there, but still starting.
    await app.change('web.yaml', manifestOf('web', [...all('web').slice(1), { ...anew, ready: false }]));
    for (let i = 0; i < 10; i++) expect((await stranger.get('/')).pod).toBe('db-1');
    expect(done).toBe(0);
    await app.change('web.yaml', manifestOf('web', [...all('web').slice(1), anew]));
    for (const answer of await Promise.all(gets)) expect(answer).toMatchObject({ pod: 'db-0', setCookies: [] });
    expect((await post).described).toMatchObject({ pod: 'db-0', bodyBytes: 200_000 });
    expect(await socket).toMatchObject({ pod: 'db-0', setCookies: [] });
    (await socket).socket.terminate();
    const metrics = await app.metrics();
    expect(metrics.sum('holdfast_decisions_total', { policy: 'web', outcome: 'moved' })).toBe(0);
    expect(metrics.sum('holdfast_decisions_total', { policy: 'web', outcome: 'rejected' })).toBe(0);
  });

  test('T27: after the grace the session moves, all of its requests to one pod, once', async () => {
    const client = await orphan('short');
    const answers = await Promise.all(Array.from({ length: 5 }, () => clone(client, 'short').get()));
    for (const answer of answers) {
      expect(answer.pod).toBe('db-1');
      expect(answer.setCookies).toHaveLength(1);
    }
    const metrics = await app.metrics();
    const labels = { policy: 'short', outcome: 'moved', reason: 'endpoint_gone' };
    expect(metrics.sum('holdfast_decisions_total', labels)).toBe(5);
    expect(metrics.sum('holdfast_session_moves_total', { policy: 'short' })).toBe(1);
  });

  test('0s: nobody waits', async () => {
    const client = await orphan('off');
    expect(await client.get('/')).toMatchObject({ pod: 'db-1' });
  });

  test('a client that goes away no longer waits, and is counted', async () => {
    const client = await orphan('left');
    client.close();
    const before = await settled(connections);
    const going = clone(client, 'left');
    const answer = going.get().then(
      () => 'answered',
      () => 'gone',
    );
    await eventually(async () => (await connections()) > before);
    going.close();
    expect(await answer).toBe('gone');
    await eventually(async () => (await rejected('left')) === 1);
    const anew = await made();
    await app.change('left.yaml', manifestOf('left', [...all('left').slice(1), anew]));
    expect(await client.get('/')).toMatchObject({ pod: 'db-0', setCookies: [] });
  });

  test('no more than 100 wait for a pod, the others are answered 503 with Retry-After', async () => {
    const client = await orphan('crowd');
    const early: { status: number; retryAfter: unknown }[] = [];
    const answers = Array.from({ length: MAX_WAITING + 40 }, async () => {
      const answer = await clone(client, 'crowd').get();
      if (answer.status !== 200) early.push({ status: answer.status, retryAfter: answer.headers['retry-after'] });
      return answer.status;
    });
    await eventually(async () => (await rejected('crowd')) >= 40, 30_000);
    await app.change('crowd.yaml', manifestOf('crowd', [...all('crowd').slice(1), await made()]));
    const statuses = await Promise.all(answers);
    // The kernel deals out connections, so one worker's part may be full before the other's.
    const served = statuses.filter((status) => status === 200).length;
    expect(served).toBeGreaterThanOrEqual(MAX_WAITING / WORKERS);
    expect(served).toBeLessThanOrEqual(MAX_WAITING);
    for (const refused of early) expect(refused).toEqual({ status: 503, retryAfter: '1' });
    const metrics = await app.metrics();
    expect(metrics.sum('holdfast_limit_hits_total', { limit: 'gone_waiting' })).toBe(early.length);
    expect(metrics.sum('holdfast_decisions_total', { policy: 'crowd', outcome: 'kept' })).toBe(served);
  });

  test('a controller that ends lets nobody wait: 503 with Retry-After, and the session stays', async () => {
    const client = await orphan('ended');
    const before = await rejected('ended');
    const answer = clone(client, 'ended').get();
    const headers = { host: 'ended.test', cookie: client.cookieHeader };
    const socket = new WebSocket(`ws://127.0.0.1:${app.port}/`, { headers });
    const handshake = once(socket, 'unexpected-response') as Promise<[unknown, IncomingMessage]>;
    const stranger = new Client(app.port, { host: 'ended.test' });
    for (let i = 0; i < 10; i++) await stranger.get('/');
    expect(await rejected('ended')).toBe(before);
    stranger.close();
    const closed = app.close();
    const { status, headers: told, setCookies } = await answer;
    expect([status, told['retry-after'], setCookies]).toEqual([503, '1', []]);
    const [, refused] = await handshake;
    expect([refused.statusCode, refused.headers['retry-after']]).toEqual([503, '1']);
    refused.resume();
    await closed;
  });
});
