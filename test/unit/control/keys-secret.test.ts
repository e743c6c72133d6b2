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
let complaints: (string | undefined)[];
let lines: string[];
let keys: KeysSecret;

beforeEach(async () => {
  ({ server, client } = await ApiServer.start());
  clock = new TestClock();
  leading = true;
  got = [];
  complaints = [];
  const log = logged();
  lines = log.lines;
  const onKeys = (list: readonly SessionKey[]): void => void got.push(list);
  const secret = { namespace: 'ns', name: 'keys' };
  const onComplaint = (message: string | undefined): void => void complaints.push(message);
  const common = { api: client, secret, clock, random, logger: log.logger };
  keys = new KeysSecret({ ...common, leading: () => leading, onKeys, onComplaint });
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
  await until(() => expect(clock.pending).toBe(1));
  clock.advance(1000);
  await until(() => expect(got).toEqual([firstKeys(0, random)]));
  expect(textOf(server.objects.get(PATH))).toBe(LIST.trim());
  expect(complaints).toEqual([]);
});

test('a refusal is told until somebody else has filled it', async () => {
  keys.seen(server.put(PATH, withKeys(LIST)));
  server.intercept = ({ method }) => (method === 'PUT' ? 403 : undefined);
  keys.seen(server.put(PATH, {}));
  await until(() => expect(complaints.at(-1)).toContain('the API server answered 403'));
  keys.seen(server.put(PATH, withKeys(LIST)));
  expect(complaints.at(-1)).toBeUndefined();
});

test.each<[string, () => Raw | undefined]>([
  ['emptied', () => server.put(PATH, { data: {} })],
  ['an empty list', () => server.put(PATH, withKeys('[]'))],
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

test('gone: the keys in memory stay, nothing is made, it is told once, and what comes back empty is filled', async () => {
  keys.seen(server.put(PATH, withKeys(LIST)));
  server.objects.delete(PATH);
  keys.seen(undefined);
  keys.seen(undefined);
  expect(got).toHaveLength(1);
  expect(complaints).toEqual([expect.stringContaining('the session keys in memory stay in force') as string]);
  expect(lines.filter((line) => line.includes('kubectl -n ns create secret generic keys'))).toHaveLength(1);
  expect(server.seen).toEqual([]);
  keys.seen(server.put(PATH, {}));
  await until(() => expect(textOf(server.objects.get(PATH))).toBe(LIST.trim()));
  await until(() => expect(complaints.at(-1)).toBeUndefined());
  expect(server.writes().map(({ method }) => method)).toEqual(['PUT']);
});

test('never there: it says that there are no keys and what to do, and the leader makes none without it', () => {
  keys.seen(undefined);
  expect(complaints).toEqual([expect.stringMatching(/so there are no session keys; make it, empty/) as string]);
  keys.fill();
  expect(server.seen).toEqual([]);
});

test('deleted between the look and the write: it is told, and filled once it is back', async () => {
  const empty = server.put(PATH, {});
  server.objects.delete(PATH);
  keys.seen(empty);
  await until(() => expect(complaints).toHaveLength(1));
  expect(server.writes()).toEqual([]);
  keys.seen(server.put(PATH, {}));
  await until(() => expect(got).toHaveLength(1));
});
