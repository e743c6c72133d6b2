/** The session key file of a standalone controller: read, checked, and made on the first start. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
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

/** Reads the file again. Where it has gone, the keys in force are written back: new ones would end every session. */
export async function reloadSessionKeys(file: string, inForce: readonly SessionKey[]): Promise<SessionKey[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    text = await writeKeyFile(file, inForce);
  }
  return parseSessionKeys(text, file);
}

async function createKeyFile(file: string, now: number): Promise<string> {
  return await writeKeyFile(file, [{ id: 0, key: randomBytes(MIN_KEY_BYTES), issueFrom: now }]);
}

/** Returns what the file holds then, which is another process's text when that one was first. */
async function writeKeyFile(file: string, keys: readonly SessionKey[]): Promise<string> {
  const list = keys.map(({ id, key, issueFrom }) => ({
    id,
    key: Buffer.from(key).toString('base64'),
    issueFrom: new Date(issueFrom).toISOString(),
  }));
  const text = `${JSON.stringify(list, null, 2)}\n`;
  await mkdir(dirname(file), { recursive: true });
  // Written aside and linked whole: nobody ever reads half a file, and the first one's stays.
  const aside = `${file}.${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(aside, text, { mode: 0o600, flag: 'wx', flush: true });
    await link(aside, file);
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return await readFile(file, 'utf8');
    throw new Error(`session keys: cannot write ${file}: ${messageOf(error)}`, { cause: error });
  } finally {
    await rm(aside, { force: true });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
