/** The Secret with the session keys: filled, followed, kept and written back. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SessionKey } from '../../../src/affinity/keyring.ts';
import { firstKeys, formatSessionKeys } from '../../../src/control/key-list.ts';
import { KeysSecret, textOf } from '../../../src/control/keys-secret.ts';
import type { KubeClient } from '../../../src/source/kubernetes/client.ts';
import { ApiServer, logged, TestClock, until, type Raw } from './api-server.ts';

const PATH = '/api/v1/namespaces/ns/secrets/keys';
const random = (size: number): Uint8Array => new Uint8Array(size).fill(7);
const LIST = formatSessionKeys(firstKeys(0, random));

let server: ApiServer;
let client: KubeClient;
let clock: TestClock;
let leading: boolean;
let got: (readonly SessionKey[])[];
let lines: string[];
let keys: KeysSecret;

beforeEach(async () => {
  ({ server, client } = await ApiServer.start());
  clock = new TestClock();
  leading = true;
  got = [];
  const log = logged();
  lines = log.lines;
  const onKeys = (list: readonly SessionKey[]): void => void got.push(list);
  const secret = { namespace: 'ns', name: 'keys' };
  keys = new KeysSecret({ api: client, secret, leading: () => leading, onKeys, clock, random, logger: log.logger });
});

afterEach(async () => {
  keys.stop();
  await server.close();
});

function withKeys(text: string): Raw {
  return { data: { 'keys.json': Buffer.from(text).toString('base64'), other: 'a2VlcA==' } };
}

test('the leader fills an empty Secret and leaves the rest of it alone', async () => {
  keys.seen(server.put(PATH, { metadata: { labels: { a: 'b' } }, data: { other: 'a2VlcA==' } }));
  await until(() => expect(got).toHaveLength(1));
  const stored = server.objects.get(PATH);
  expect(stored?.metadata).toMatchObject({ labels: { a: 'b' } });
  expect(stored?.['data']).toMatchObject({ other: 'a2VlcA==' });
  expect(got[0]).toEqual([{ id: 0, key: random(32), issueFrom: clock.now() }]);
});

test('a replica that does not lead waits, and fills it when it leads', async () => {
  leading = false;
  keys.seen(server.put(PATH, {}));
  expect(server.seen).toEqual([]);
  leading = true;
  keys.fill();
  await until(() => expect(got).toHaveLength(1));
});

test('two leaders by mistake: the first list counts for both', async () => {
  const empty = server.put(PATH, {});
  server.put(PATH, withKeys(LIST));
  keys.seen(empty);
  await until(() => expect(got).toEqual([firstKeys(0, random)]));
  expect(server.writes()).toEqual([]);
});

test('a write in between is a conflict, and the next try finds it', async () => {
  keys.seen(server.put(PATH, {}));
  server.intercept = ({ method }) => {
    if (method === 'PUT') server.put(PATH, withKeys(LIST));
    return undefined;
  };
  await until(() => expect(server.writes()).toHaveLength(1));
  await until(() => expect(lines.join('')).toContain('answered 409'));
  clock.advance(1000);
  await until(() => expect(got).toEqual([firstKeys(0, random)]));
  expect(textOf(server.objects.get(PATH))).toBe(LIST.trim());
});

test.each<[string, () => Raw | undefined]>([
  ['emptied', () => server.put(PATH, { data: {} })],
  ['an empty list', () => server.put(PATH, withKeys('[]'))],
  [
    'gone',
    () => {
      server.objects.delete(PATH);
      return undefined;
    },
  ],
])('%s: the keys in memory stay and are written back', async (_name, lose) => {
  keys.seen(server.put(PATH, withKeys(LIST)));
  keys.seen(lose());
  await until(() => expect(textOf(server.objects.get(PATH))).toBe(LIST.trim()));
  expect(got).toHaveLength(1);
});

test('a list that cannot be read is nobody’s to write over; the keys in memory stay, and no secret is logged', async () => {
  keys.seen(server.put(PATH, withKeys(LIST)));
  keys.seen(server.put(PATH, withKeys('[{"id": 1, "key": "c2VjcmV0"}]')));
  expect(got).toHaveLength(1);
  expect(lines.join('')).toContain('key must be base64 of at least 32 bytes; the keys in memory stay in force');
  expect(lines.join('')).not.toContain('c2VjcmV0');
  expect(server.seen).toEqual([]);
});

test('without the right to make it, it says what to do, once, and goes on trying', async () => {
  server.intercept = ({ method }) => (method === 'POST' ? 403 : undefined);
  keys.seen(undefined);
  for (let i = 1; i <= 3; i++) {
    await until(() => expect(server.writes()).toHaveLength(i));
    await until(() => expect(clock.pending).toBe(1));
    clock.advance(30_000);
  }
  expect(lines.filter((line) => line.includes('kubectl -n ns create secret generic keys'))).toHaveLength(1);
});
