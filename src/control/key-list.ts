/** The list of session keys as it is written down, in a file or a Secret: read, checked, written, rotated. */
import { MAX_KEYS, MIN_KEY_BYTES, newestFirst, storeSecret } from '../affinity/keyring.ts';
import type { SessionKey } from '../affinity/keyring.ts';

const IDS = 16;
/** Long enough that every replica knows a new key before anybody signs with it. */
const ANNOUNCE_MS = 2 * 60 * 1000;

/** Makes so many random bytes. */
export type RandomBytes = (size: number) => Uint8Array;

/**
 * Reads `[{id, key, issueFrom, store?}]`: `id` 0 to 15, `key` and `store` base64 of at least 32 bytes, `issueFrom` RFC 3339.
 *
 * @throws with a message that names `where` and what to write
 */
export function parseSessionKeys(text: string, where: string): SessionKey[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    // Not the parser's own message: it quotes what it could not read, and that is a secret.
    throw new Error(`session keys: ${where} is not JSON; it must hold [{"id", "key", "issueFrom"}]`);
  }
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_KEYS) {
    throw new Error(`session keys: ${where} must hold a list of 1 to ${MAX_KEYS} keys`);
  }
  const keys = list.map((entry, i) => parseKey(entry, `${where}, key ${i + 1}`));
  if (new Set(keys.map((key) => key.id)).size !== keys.length)
    throw new Error(`session keys: ${where} uses an id twice; every key needs its own`);
  const stores = keys.flatMap(({ store }) => (store === undefined ? [] : [Buffer.from(store).toString('base64')]));
  if (new Set(stores).size > 1)
    throw new Error(`session keys: ${where} has several values of store; write the same one for every key`);
  return keys;
}

function parseKey(entry: unknown, where: string): SessionKey {
  const { id, key, issueFrom, store } = (entry ?? {}) as Record<string, unknown>;
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= IDS) {
    throw new Error(`session keys: ${where}: id must be a whole number from 0 to ${IDS - 1}`);
  }
  const secret = parseSecret(key, `${where}: key`);
  const from = typeof issueFrom === 'string' ? Date.parse(issueFrom) : NaN;
  if (Number.isNaN(from))
    throw new Error(`session keys: ${where}: issueFrom must be a time such as 2026-01-31T12:00:00Z`);
  const shared = store === undefined ? {} : { store: parseSecret(store, `${where}: store`) };
  return { id, key: secret, issueFrom: from, ...shared };
}

function parseSecret(text: unknown, where: string): Uint8Array {
  const secret = typeof text === 'string' ? Buffer.from(text, 'base64') : Buffer.alloc(0);
  if (secret.length < MIN_KEY_BYTES)
    throw new Error(`session keys: ${where} must be base64 of at least ${MIN_KEY_BYTES} bytes`);
  return new Uint8Array(secret);
}

export function formatSessionKeys(keys: readonly SessionKey[]): string {
  const list = keys.map(({ id, key, issueFrom, store }) => ({
    id,
    key: Buffer.from(key).toString('base64'),
    issueFrom: new Date(issueFrom).toISOString(),
    ...(store === undefined ? {} : { store: Buffer.from(store).toString('base64') }),
  }));
  return `${JSON.stringify(list, null, 2)}\n`;
}

/** The list of an installation that has none yet: nobody else signs, so the key is in force at once. */
export function firstKeys(now: number, random: RandomBytes): SessionKey[] {
  return [{ id: 0, key: random(MIN_KEY_BYTES), issueFrom: now }];
}

/**
 * Adds a key and drops the oldest. Of the keys in force the newest `keep` stay, so that the one that signs now is never
 * dropped; keys whose time has not come stay as well.
 *
 * @throws RangeError when the ring would be too full: too many keys wait for their time
 */
export function rotateKeys(
  keys: readonly SessionKey[],
  { keep, now, random }: { readonly keep: number; readonly now: number; readonly random: RandomBytes },
): SessionKey[] {
  const sorted = newestFirst(keys);
  const waiting = sorted.filter(({ issueFrom }) => issueFrom > now);
  const inForce = sorted.filter(({ issueFrom }) => issueFrom <= now);
  // Without one in force the oldest of the others signs.
  const kept = [...waiting, ...inForce.slice(0, Math.max(1, keep))];
  if (kept.length >= MAX_KEYS) {
    const next = waiting.at(-1);
    const hint =
      next === undefined ? `use --keep ${MAX_KEYS - 1} or less` : `rotate again after ${iso(next.issueFrom)}`;
    throw new RangeError(`There can be ${MAX_KEYS} session keys and all of them are needed; ${hint}.`);
  }
  const used = new Set(keys.map(({ id }) => id));
  let id = ((sorted[0]?.id ?? -1) + 1) % IDS;
  while (used.has(id)) id = (id + 1) % IDS;
  // Never before a key that waits: the newest in force signs.
  const issueFrom = Math.max(now + ANNOUNCE_MS, (waiting[0]?.issueFrom ?? 0) + 1);
  // The key that it followed from may be the one that goes.
  const store = storeSecret(keys);
  return [{ id, key: random(MIN_KEY_BYTES), issueFrom }, ...kept].reverse().map((key) => ({ ...key, store }));
}

/** Without milliseconds, as a user reads it. */
export function iso(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, 'Z');
}
