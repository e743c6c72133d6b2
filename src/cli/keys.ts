/** `holdfast keys`: lists the session keys without showing them, and rotates them without a session moved. */
import { randomBytes } from 'node:crypto';
import { issuingKey, MAX_KEYS, newestFirst } from '../affinity/keyring.ts';
import type { SessionKey } from '../affinity/keyring.ts';
import type { Config, ObjectName } from '../config/config.ts';
import { keysSecretOf } from '../control/cluster.ts';
import { iso, formatSessionKeys, parseSessionKeys, rotateKeys } from '../control/key-list.ts';
import { KEYS_DATA, secretPath, textOf, writeSecret } from '../control/keys-secret.ts';
import { ownNamespace } from '../control/place.ts';
import { readSessionKeys, writeSessionKeys } from '../control/session-keys.ts';
import { packageVersion } from '../package.ts';
import { KubeClient } from '../source/kubernetes/client.ts';
import type { CliIo, Command } from './io.ts';
import { readSettings } from './settings.ts';
import { takeValue } from './take.ts';

const DEFAULT_KEEP = '2';
/** Somebody else may write the Secret at the same time. */
const TRIES = 5;

/** Where the keys are. */
interface KeyStore {
  /** @throws Error with a message for the user */
  read(): Promise<readonly SessionKey[]>;
  /** Changes what is there now. @throws Error with a message for the user */
  change(next: (keys: readonly SessionKey[]) => SessionKey[]): Promise<readonly SessionKey[]>;
  close(): void;
}

export const keys: Command = {
  name: 'keys',
  usage: 'list|rotate [--keep N] [FLAGS]',
  summary: `session keys: list them (never their values), or add one and keep N older ones (default ${DEFAULT_KEEP})`,
  takesSettings: true,
  run: async (args, io) => {
    const { value: keepText = DEFAULT_KEEP, rest } = takeValue(args, '--keep');
    const settings = readSettings(rest, io, { takesFiles: true });
    if (settings === undefined) return 2;
    const [action, stray] = settings.positionals;
    if ((action !== 'list' && action !== 'rotate') || stray !== undefined) {
      io.err('holdfast: write holdfast keys list, or holdfast keys rotate\n');
      return 2;
    }
    const keep = /^\d$/.test(keepText) ? Number(keepText) : 0;
    if (keep < 1 || keep >= MAX_KEYS) {
      io.err(
        `holdfast: --keep: ${JSON.stringify(keepText)} is not allowed; write a number from 1 to ${MAX_KEYS - 1}\n`,
      );
      return 2;
    }
    try {
      const store = await openStore(settings.config, io);
      try {
        const now = Date.now();
        const rotated = (list: readonly SessionKey[]): SessionKey[] =>
          rotateKeys(list, { keep, now, random: randomBytes });
        const list = action === 'list' ? await store.read() : await store.change(rotated);
        io.out(table(list, now));
        return 0;
      } finally {
        store.close();
      }
    } catch (error) {
      io.err(`holdfast: ${error instanceof Error ? error.message : String(error)}\n`);
      return 1;
    }
  },
};

async function openStore(config: Config, io: CliIo): Promise<KeyStore> {
  const secret = keysSecretOf(config, ownNamespace(io.env));
  if (secret !== undefined) {
    const client = await KubeClient.connect({
      kubeconfig: config.kubeconfig,
      userAgent: `holdfast/${packageVersion()}`,
    });
    return inSecret(client, secret);
  }
  if (config.kubeconfig !== undefined && !config.sessionKeysFileGiven)
    throw new Error('in which Secret? write --session-keys-secret NAMESPACE/NAME');
  return inFile(config.sessionKeysFile);
}

function inFile(file: string): KeyStore {
  return {
    read: () => readSessionKeys(file),
    change: async (next) => {
      const list = next(await readSessionKeys(file));
      await writeSessionKeys(file, list);
      return list;
    },
    close: () => undefined,
  };
}

function inSecret(client: KubeClient, secret: ObjectName): KeyStore {
  const where = `Secret ${secret.namespace}/${secret.name}`;
  const read = async (): Promise<{ found: Record<string, unknown>; list: SessionKey[] }> => {
    const answer = await client.request('GET', secretPath(secret));
    if (answer.status === 404) throw new Error(`there is no ${where}`);
    if (answer.status !== 200) throw new Error(`${where} could not be read: the API server answered ${answer.status}`);
    const found = answer.json() as Record<string, unknown>;
    const text = textOf(found);
    if (text === '') throw new Error(`${where} holds no keys yet; the controller that leads fills it`);
    return { found, list: parseSessionKeys(text, `${where}, ${KEYS_DATA}`) };
  };
  return {
    read: async () => (await read()).list,
    change: async (next) => {
      for (let tried = 0; tried < TRIES; tried++) {
        const { found, list } = await read();
        const changed = next(list);
        const { status, text } = await writeSecret(client, secret, found, formatSessionKeys(changed));
        if (status < 300) return changed;
        if (status !== 409)
          throw new Error(`${where} could not be written: the API server answered ${status}: ${text.slice(0, 300)}`);
      }
      throw new Error(`${where} is being written by somebody else all the time; try again`);
    },
    close: () => client.close(),
  };
}

function table(list: readonly SessionKey[], now: number): string {
  const issuing = issuingKey(list, now);
  const lines = newestFirst(list).map((key) => {
    const state = key === issuing ? 'signs' : key.issueFrom > now ? 'will sign' : 'verifies';
    return `${String(key.id).padEnd(4)}${iso(key.issueFrom).padEnd(24)}${state}\n`;
  });
  return `ID  SIGNS FROM              STATE\n${lines.join('')}`;
}
