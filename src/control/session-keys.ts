/** The session key file of a standalone controller: read, checked, watched, and made on the first start. */
import { randomBytes } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { SessionKey } from '../affinity/keyring.ts';
import type { Logger } from '../telemetry/logger.ts';
import { firstKeys, formatSessionKeys, parseSessionKeys } from './key-list.ts';

const POLL_MS = 1000;

export interface KeyFileOptions {
  /** Wall clock, ms. */
  readonly now: number;
  readonly onKeys: (keys: SessionKey[]) => void;
  readonly logger: Pick<Logger, 'info' | 'error'>;
}

/**
 * Reads the key file now and whenever it changes; a bad one leaves the keys in memory in force. Gives what ends that.
 *
 * @throws as `loadSessionKeys`
 */
export async function watchSessionKeys(file: string, { now, onKeys, logger }: KeyFileOptions): Promise<() => void> {
  let inForce = await loadSessionKeys(file, now);
  onKeys(inForce);
  const onChanged = () => {
    reloadSessionKeys(file, inForce).then(
      (keys) => {
        inForce = keys;
        onKeys(keys);
        logger.info({ file }, 'session keys read again');
      },
      (error: unknown) => logger.error({ err: error }, 'the session keys in memory stay in force'),
    );
  };
  watchFile(file, { interval: POLL_MS, persistent: false }, onChanged);
  return () => unwatchFile(file, onChanged);
}

/**
 * A missing file is made with one new key, readable by its owner only; of several processes that start at once the
 * first one's counts.
 *
 * @throws with a message that names the file and what to write
 */
export async function loadSessionKeys(file: string, now: number): Promise<SessionKey[]> {
  const text = (await textIn(file)) ?? (await createKeyFile(file, now));
  return parseSessionKeys(text, file);
}

/** @throws with a message that names the file: also when it is missing */
export async function readSessionKeys(file: string): Promise<SessionKey[]> {
  const text = await textIn(file);
  if (text === undefined) throw new Error(`session keys: there is no ${file}; the controller makes it when it starts`);
  return parseSessionKeys(text, file);
}

/** undefined = there is no such file. */
async function textIn(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`session keys: cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** Reads the file again. Where it has gone, the keys in force are written back: new ones would end every session. */
async function reloadSessionKeys(file: string, inForce: readonly SessionKey[]): Promise<SessionKey[]> {
  const text = (await textIn(file)) ?? (await writeKeyFile(file, inForce));
  return parseSessionKeys(text, file);
}

async function createKeyFile(file: string, now: number): Promise<string> {
  await mkdir(dirname(file), { recursive: true });
  return await writeKeyFile(file, firstKeys(now, randomBytes));
}

/** Makes the file; returns what it holds then, which is another process's text when that one was first. */
async function writeKeyFile(file: string, keys: readonly SessionKey[]): Promise<string> {
  const text = formatSessionKeys(keys);
  try {
    // Linked, not renamed: the first one's stays.
    await writeAside(file, text, (aside) => link(aside, file));
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return await readFile(file, 'utf8');
    throw new Error(`session keys: cannot write ${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** Replaces the file in one step: whoever reads it sees the old list or the new one. */
export async function writeSessionKeys(file: string, keys: readonly SessionKey[]): Promise<void> {
  await writeAside(file, formatSessionKeys(keys), (aside) => rename(aside, file));
}

/** Nobody ever reads half a file: it is written under another name, then put in place. */
async function writeAside(file: string, text: string, place: (aside: string) => Promise<void>): Promise<void> {
  const aside = `${file}.${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(aside, text, { mode: 0o600, flag: 'wx', flush: true });
    await place(aside);
  } finally {
    await rm(aside, { force: true });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
