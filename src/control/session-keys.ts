/** The session key file of a standalone controller: read, checked, and made on the first start. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MAX_KEYS, MIN_KEY_BYTES } from '../affinity/keyring.ts';
import type { SessionKey } from '../affinity/keyring.ts';

const MAX_ID = 15;

/**
 * Reads `[{id, key, issueFrom}]`: `id` 0 to 15, `key` base64 of at least 32 bytes, `issueFrom` RFC 3339. A missing file
 * is made with one new key, readable by its owner only; of several processes that start at once the first one's counts.
 *
 * @throws with a message that names the file and what to write
 */
export async function loadSessionKeys(file: string, now: number): Promise<SessionKey[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new Error(`session keys: cannot read ${file}: ${messageOf(error)}`, { cause: error });
    text = await createKeyFile(file, now);
  }
  return parseSessionKeys(text, file);
}

function parseSessionKeys(text: string, file: string): SessionKey[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw new Error(
      `session keys: ${file} is not JSON (${messageOf(error)}); it must hold [{"id", "key", "issueFrom"}]`,
      { cause: error },
    );
  }
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_KEYS) {
    throw new Error(`session keys: ${file} must hold a list of 1 to ${MAX_KEYS} keys`);
  }
  const keys = list.map((entry, i) => parseKey(entry, `${file}, key ${i + 1}`));
  if (new Set(keys.map((key) => key.id)).size !== keys.length)
    throw new Error(`session keys: ${file} uses an id twice; every key needs its own`);
  return keys;
}

function parseKey(entry: unknown, where: string): SessionKey {
  const { id, key, issueFrom } = (entry ?? {}) as Record<string, unknown>;
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > MAX_ID) {
    throw new Error(`session keys: ${where}: id must be a whole number from 0 to ${MAX_ID}`);
  }
  const secret = typeof key === 'string' ? Buffer.from(key, 'base64') : Buffer.alloc(0);
  if (secret.length < MIN_KEY_BYTES)
    throw new Error(`session keys: ${where}: key must be base64 of at least ${MIN_KEY_BYTES} bytes`);
  const from = typeof issueFrom === 'string' ? Date.parse(issueFrom) : NaN;
  if (Number.isNaN(from))
    throw new Error(`session keys: ${where}: issueFrom must be a time such as 2026-01-31T12:00:00Z`);
  return { id, key: new Uint8Array(secret), issueFrom: from };
}

async function createKeyFile(file: string, now: number): Promise<string> {
  const keys = [{ id: 0, key: randomBytes(MIN_KEY_BYTES).toString('base64'), issueFrom: new Date(now).toISOString() }];
  const text = `${JSON.stringify(keys, null, 2)}\n`;
  await mkdir(dirname(file), { recursive: true });
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return await readFile(file, 'utf8');
    throw new Error(`session keys: cannot write ${file}: ${messageOf(error)}`, { cause: error });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
