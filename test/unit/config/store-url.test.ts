/** URLs of the session store. */
import { expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { parseStoreUrl } from '../../../src/config/store-url.ts';

const PLAIN = {
  kind: 'single',
  tls: false,
  username: undefined,
  password: undefined,
  nodes: [{ host: 'redis', port: 6379 }],
  database: 0,
  master: '',
  sentinelPassword: undefined,
};

test.each([
  ['redis://redis', {}],
  ['redis://redis:6380/', { nodes: [{ host: 'redis', port: 6380 }] }],
  ['rediss://redis/7', { tls: true, database: 7 }],
  ['redis://[::1]:1/0', { nodes: [{ host: '::1', port: 1 }] }],
  ['redis://:p%40ss@redis', { password: 'p@ss' }],
  ['redis://us%3Aer:pa:ss@redis', { username: 'us:er', password: 'pa:ss' }],
  ['redis+sentinel://redis/main', { kind: 'sentinel', nodes: [{ host: 'redis', port: 26379 }], master: 'main' }],
  [
    'rediss+sentinel://:a@one:1,two/main/3?sentinel-password=b%26',
    {
      kind: 'sentinel',
      tls: true,
      password: 'a',
      nodes: [
        { host: 'one', port: 1 },
        { host: 'two', port: 26379 },
      ],
      master: 'main',
      database: 3,
      sentinelPassword: 'b&',
    },
  ],
  [
    'redis+cluster://one,two:7000',
    {
      kind: 'cluster',
      nodes: [
        { host: 'one', port: 6379 },
        { host: 'two', port: 7000 },
      ],
    },
  ],
])('%s', (url, expected) => {
  expect(parseStoreUrl(url)).toEqual({ ...PLAIN, ...expected });
});

test.each([
  '',
  'redis',
  'redis://',
  'http://redis',
  'redis://one,two',
  'redis://redis:0',
  'redis://redis:65536',
  'redis://redis/x',
  'redis://redis/0/1',
  'redis://redis?db=1',
  'redis://redis#1',
  'redis://password@redis',
  'redis://user:@redis',
  'redis://:%@redis',
  'redis://re dis',
  'redis+sentinel://redis',
  'redis+sentinel://redis/main/x',
  'redis+sentinel://redis/main?other=1',
  'redis+cluster://redis/1',
  'redis+cluster://one,,two',
])('%s is none', (url) => {
  expect(parseStoreUrl(url)).toBeUndefined();
});

test('a URL that is refused is not shown: it may hold a password', () => {
  const given = { args: ['--session-store', 'redis://hunter2@redis'], env: {}, readFile: () => '' };
  const { errors } = loadConfig(given);
  expect(errors).toHaveLength(1);
  expect(errors[0]).toContain('--session-store');
  expect(errors[0]).toContain('write redis://[USER:PASSWORD@]HOST:PORT[/DB]');
  expect(errors[0]).not.toContain('hunter2');
});
