/** Hash algorithms and bounded load end to end: over both lanes, with requests that are really in flight. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { HashSettings } from '../../src/model/sticky-policy.ts';
import {
  Client,
  closeAtEnd,
  eventually,
  file,
  ingress,
  policy,
  service,
  slices,
  startApp,
  startBackend,
} from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';

const PODS = ['web-0', 'web-1', 'web-2'];
const HASHES: Readonly<Record<string, HashSettings>> = {
  rendezvous: {},
  maglev: { algorithm: 'Maglev' },
  ring: { algorithm: 'Ring' },
  bounded: { algorithm: 'Maglev', maxLoadFactor: 1.25 },
};

let app: App;
let backends: readonly Backend[];
/** Answers that wait, per pod; `/hold` waits, everything else is answered at once. */
const held = new Map<string, ServerResponse[]>(PODS.map((pod) => [pod, []]));

beforeAll(async () => {
  backends = await Promise.all(
    PODS.map((pod) =>
      startBackend({
        pod,
        handler: (request, response) => {
          response.setHeader('x-pod', pod);
          if (request.url === '/hold') held.get(pod)?.push(response);
          else response.end(JSON.stringify({ pod }));
        },
      }),
    ),
  );
  app = await startApp({
    manifests: file(
      service(),
      slices(
        'web',
        backends.map((backend) => backend.endpoint()),
      ),
      ...Object.entries(HASHES).flatMap(([name, hash]) => [
        ingress({ name, host: `${name}.test` }),
        policy({ name, ingress: name, rules: [{ name: 'apps', header: { name: 'X-User', mode: 'Hash', hash } }] }),
      ]),
    ),
  });
});

const client = (name: string) => new Client(app.port, { host: `${name}.test`, keepAlive: false });
const podOf = async (name: string, user: string) => (await client(name).get('/', { 'x-user': user })).pod;

async function upgradedPod(name: string, user: string): Promise<string> {
  const headers = { host: `${name}.test`, 'x-user': user };
  const socket = new WebSocket(`ws://127.0.0.1:${app.port}/ws`, { headers });
  closeAtEnd(async () => socket.terminate());
  const [message] = (await once(socket, 'message')) as [Buffer];
  socket.close();
  return message.toString();
}

describe.each(['rendezvous', 'maglev', 'ring'])('%s', (name) => {
  test('a key has one pod, over requests and WebSockets of all workers; many keys have all pods', async () => {
    const all = new Set<string>();
    for (let key = 0; key < 24; key++) {
      const user = `user-${key}`;
      const pods = [await podOf(name, user), await upgradedPod(name, user), await podOf(name, user)];
      expect(new Set(pods).size, user).toBe(1);
      all.add(pods[0] ?? '');
    }
    expect([...all].sort()).toEqual(PODS);
  });
});

test('bounded load: the ninth request in flight of one key goes to the next pod, and is counted', async () => {
  const user = 'hot';
  const own = await podOf('bounded', user);
  const answers = [];
  const waiting = () => [...held.values()].reduce((sum, { length }) => sum + length, 0);
  for (let sent = 1; sent <= 12; sent++) {
    answers.push(client('bounded').get('/hold', { 'x-user': user }));
    await eventually(() => waiting() === sent);
  }
  expect(held.get(own)).toHaveLength(8);
  const [next] = [...held].find(([pod, { length }]) => pod !== own && length > 0) ?? [];
  expect(held.get(next ?? '')).toHaveLength(4);
  // Another key's pod is its own while it has room.
  const third = PODS.find((pod) => pod !== own && pod !== next);
  for (let key = 0; ; key++) {
    if ((await podOf('maglev', `user-${key}`)) !== third) continue;
    expect(await podOf('bounded', `user-${key}`)).toBe(third);
    break;
  }
  for (const responses of held.values()) for (const response of responses.splice(0)) response.end('{}');
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 200));

  // There is room again: the key is where it was.
  expect(await podOf('bounded', user)).toBe(own);
  const metrics = await app.metrics();
  const surplus = metrics.all('holdfast_decisions_total', { policy: 'bounded', reason: 'capacity' });
  expect(surplus.map(({ labels, value }) => [labels['rule'], labels['outcome'], value])).toEqual([['apps', 'kept', 4]]);
});
