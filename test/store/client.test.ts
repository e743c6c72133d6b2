/** The commands to the session store, over each kind of connection. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { expect, test } from 'vitest';
import { openStore } from '../../src/session-store/client.ts';
import type { StoreClient } from '../../src/session-store/client.ts';
import type { SessionStoreAddress } from '../../src/config/config.ts';
import { selfSigned } from '../support/certificate.ts';
import { closeAtEnd } from '../support/cleanup.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis, startRedisTls, startSentinel } from '../support/redis.ts';

const A = 'AAAAAAAAAAAA65000000';
const B = 'BBBBBBBBBBBB65000000';
const LATER_B = 'BBBBBBBBBBBB65ffffff';
const tagOf = (value: string): string => value.slice(0, 12);

async function open(address: SessionStoreAddress): Promise<StoreClient> {
  const client = await openStore(address, () => undefined);
  closeAtEnd(async () => client.close());
  return client;
}

async function serves(client: StoreClient): Promise<void> {
  expect(await client.find('a')).toBe('');
  expect(await client.claim('a', A, 60_000, '')).toBe(A);
  expect(await client.claim('a', B, 60_000, '')).toBe(A);
  expect(await client.find('a')).toBe(A);
  expect(await client.claim('a', B, 60_000, tagOf(A))).toBe(B);
  expect(await client.claim('a', A, 60_000, tagOf(A))).toBe(B);
  // Its own tag is renewed, and keeps what it has besides.
  expect(await client.claim('a', LATER_B, 60_000, '')).toBe(B);
  await client.put('a', A, 60_000);
  expect(await client.find('a')).toBe(A);
  await client.remove('a');
  expect(await client.find('a')).toBe('');
}

test('one server', async () => {
  const redis = await startRedis();
  const client = await open(redis.address('', 'redis', '/5'));
  await serves(client);
  const own = await redis.client();
  await own.select(5);
  await client.claim('short', A, 100, '');
  await client.claim('short', A, 60_000, '');
  expect(await own.pTTL('short')).toBeGreaterThan(50_000);
  await client.claim('short', B, 5, '');
  expect(await own.pTTL('short')).toBeGreaterThan(50_000);
});

test('what is not of ours is nobody’s, and little of it is read', async () => {
  const redis = await startRedis();
  const client = await open(redis.address());
  const own = await redis.client();
  for (const value of ['', 'x', 'x'.repeat(100_000), `${A.slice(1)}!`, '\0'.repeat(20)]) {
    await own.set('a', value);
    expect((await client.find('a')).length).toBeLessThanOrEqual(32);
    expect(await client.claim('a', A, 60_000, '')).toBe(A);
  }
  await own.del('a');
  await own.hSet('a', 'b', 'c');
  expect(await client.find('a')).toBe('');
  expect(await client.claim('a', A, 60_000, '')).toBe(A);
});

test('TLS, with a certificate that has to be trusted', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-tls-'));
  closeAtEnd(() => rm(folder, { recursive: true, force: true }));
  const { key, cert } = selfSigned('redis.test');
  const files = { key: join(folder, 'key.pem'), cert: join(folder, 'cert.pem') };
  await writeFile(files.key, key);
  await writeFile(files.cert, cert);
  const redis = await startRedisTls(files);
  await expect(open(redis.address('', 'rediss'))).rejects.toThrow('self-signed certificate');
  const trusted = getCACertificates('default');
  setDefaultCACertificates([...trusted, cert]);
  try {
    await serves(await open(redis.address('', 'rediss')));
  } finally {
    setDefaultCACertificates(trusted);
  }
});

test('Sentinel', async () => {
  const master = await startRedis();
  const sentinel = await startSentinel(master);
  await serves(await open(sentinel.address('', 'redis+sentinel', '/main/2')));
  await expect(open(sentinel.address('', 'redis+sentinel', '/other'))).rejects.toThrow();
});

test('Cluster', async () => {
  const redis = await startRedis('--cluster-enabled', 'yes');
  const own = await redis.client();
  await own.clusterAddSlotsRange({ start: 0, end: 16383 });
  await eventually(async () => (await own.clusterInfo()).includes('cluster_state:ok'));
  await serves(await open(redis.address('', 'redis+cluster')));
});

test('a user and a password with special characters', async () => {
  const redis = await startRedis('--user', 'hold', 'on', '>p@ss/w:rd', '~*', '+@all');
  await serves(await open(redis.address('hold:p%40ss%2Fw%3Ard@')));
  await expect(open(redis.address('hold:wrong@'))).rejects.toThrow('WRONGPASS');
});
