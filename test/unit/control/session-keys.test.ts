/** The session key file: made once, read strictly. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadSessionKeys } from '../../../src/control/session-keys.ts';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-keys-'));
});
afterEach(async () => {
  await rm(dir, { recursive: true });
});

const KEY = Buffer.alloc(32, 1).toString('base64');
const NOW = Date.parse('2026-01-02T03:04:05Z');

test('is made on the first start, for its owner only, and read the same afterwards', async () => {
  const file = join(dir, 'deep', 'keys.json');
  const made = await loadSessionKeys(file, NOW);
  expect(made).toMatchObject([{ id: 0, issueFrom: NOW }]);
  expect(made[0]?.key).toHaveLength(32);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await loadSessionKeys(file, NOW + 1)).toEqual(made);
});

test('two processes that start at once use one key', async () => {
  const file = join(dir, 'keys.json');
  const both = await Promise.all([loadSessionKeys(file, NOW), loadSessionKeys(file, NOW)]);
  expect(both[0]).toEqual(both[1]);
  expect(JSON.parse(await readFile(file, 'utf8'))).toHaveLength(1);
});

describe('refused, naming the file and what to write', () => {
  test.each([
    ['not JSON', '{', /is not JSON; it must hold/],
    ['no list', '{}', /list of 1 to 4 keys/],
    ['empty', '[]', /list of 1 to 4 keys/],
    [
      'five keys',
      JSON.stringify(Array.from({ length: 5 }, (_, id) => ({ id, key: KEY, issueFrom: '2026-01-01T00:00:00Z' }))),
      /1 to 4/,
    ],
    [
      'bad id',
      JSON.stringify([{ id: 16, key: KEY, issueFrom: '2026-01-01T00:00:00Z' }]),
      /key 1: id must be a whole number from 0 to 15/,
    ],
    [
      'short key',
      JSON.stringify([{ id: 1, key: 'c2hvcnQ=', issueFrom: '2026-01-01T00:00:00Z' }]),
      /base64 of at least 32 bytes/,
    ],
    ['bad time', JSON.stringify([{ id: 1, key: KEY, issueFrom: 'soon' }]), /issueFrom must be a time/],
    [
      'one id twice',
      JSON.stringify([1, 1].map((id) => ({ id, key: KEY, issueFrom: '2026-01-01T00:00:00Z' }))),
      /uses an id twice/,
    ],
    ['null', '[null]', /key 1: id/],
  ])('%s', async (_name, text, message) => {
    const file = join(dir, 'keys.json');
    await writeFile(file, text);
    await expect(loadSessionKeys(file, NOW)).rejects.toThrow(message);
    await expect(loadSessionKeys(file, NOW)).rejects.toThrow(file);
  });
});
