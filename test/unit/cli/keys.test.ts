/** `holdfast keys` on a key file, as a user runs it. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { holdfast } from './run-cli.ts';

let dir: string;
let file: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  file = join(dir, 'keys.json');
  writeFileSync(file, JSON.stringify([{ id: 0, key: 'A'.repeat(43) + '=', issueFrom: '2026-01-01T00:00:00Z' }]));
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('rotate adds a key that will sign, list shows both and no secret', async () => {
  const rotated = await holdfast(['keys', 'rotate', '--keep=1', '--session-keys-file', file]);
  expect({ code: rotated.code, err: rotated.err }).toEqual({ code: 0, err: '' });
  const listed = await holdfast(['keys', 'list', '--session-keys-file', file]);
  expect(listed.out).toBe(rotated.out);
  expect(listed.out).toMatch(/^ID .*\n1 .* will sign\n0 +2026-01-01T00:00:00Z +signs\n$/);
  const written = JSON.parse(readFileSync(file, 'utf8')) as { key: string }[];
  expect(written).toHaveLength(2);
  for (const { key } of written) expect(listed.out).not.toContain(key.slice(0, 8));
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test.each<[string[], number, string]>([
  [['keys'], 2, 'write holdfast keys list, or holdfast keys rotate'],
  [['keys', 'list', 'twice'], 2, 'write holdfast keys list'],
  [['keys', 'rotate', '--keep', '9'], 2, '--keep: "9" is not allowed; write a number from 1 to 3'],
  [['keys', 'list', '--session-keys-file', '/nonexistent'], 1, 'there is no /nonexistent'],
  [['drain', 'shop'], 2, 'write holdfast drain NAMESPACE/POD'],
  [['drain', 'shop/web-0', '--wait', '--undrain'], 2, 'write holdfast drain NAMESPACE/POD'],
])('%j is refused', async (args, code, message) => {
  const done = await holdfast(args);
  expect(done.code).toBe(code);
  expect(done.err).toContain(message);
});
