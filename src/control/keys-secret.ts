/** The Secret with the session keys: follows it, keeps the last good keys when it is gone or emptied, and fills an empty one. */
import type { SessionKey } from '../affinity/keyring.ts';
import type { ObjectName } from '../config/config.ts';
import type { KubeApi, KubeResponse } from '../source/kubernetes/client.ts';
import type { Clock } from '../store/hold-off.ts';
import type { Logger } from '../telemetry/logger.ts';
import { firstKeys, formatSessionKeys, parseSessionKeys, type RandomBytes } from './key-list.ts';

/** Key of the Secret's data that holds the list. */
export const KEYS_DATA = 'keys.json';

export interface KeysSecretOptions {
  readonly api: Pick<KubeApi, 'request'>;
  readonly secret: ObjectName;
  readonly leading: () => boolean;
  readonly onKeys: (keys: readonly SessionKey[]) => void;
  /** What is wrong with the Secret, and what to do; undefined = nothing any more. */
  readonly onComplaint: (message: string | undefined) => void;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
}

type RawSecret = Readonly<Record<string, unknown>>;

const RETRY_FIRST_MS = 1000;
const RETRY_LAST_MS = 30_000;

/** Another replica, or a person, wrote at the same time; the watch tells what. */
class Conflict extends Error {}

export class KeysSecret {
  readonly #options: KeysSecretOptions;
  readonly #where: string;
  /** The last good list as text; empty = there has been none. */
  #text = '';
  #unfilled = false;
  #filling = false;
  #wait = RETRY_FIRST_MS;
  #timer: unknown;
  #complaint = '';
  #stopped = false;

  constructor(options: KeysSecretOptions) {
    this.#options = options;
    this.#where = `Secret ${options.secret.namespace}/${options.secret.name}`;
  }

  /** What the watch says: the Secret as the API gives it; undefined = there is none. */
  seen(raw: RawSecret | undefined): void {
    if (this.#stopped) return;
    const text = textOf(raw);
    this.#unfilled = raw !== undefined && text === '';
    if (raw === undefined) {
      this.#complain(this.#goneText());
      return;
    }
    if (this.#unfilled) {
      if (this.#text !== '')
        this.#complain(`${this.#where} has lost the session keys; those in memory stay in force and are written back`);
      this.fill();
      return;
    }
    if (text === this.#text) {
      this.#settle();
      return;
    }
    try {
      this.#options.onKeys(parseSessionKeys(text, `${this.#where}, ${KEYS_DATA}`));
      this.#text = text;
      this.#settle();
      this.#options.logger.info({ secret: this.#where }, 'session keys read');
    } catch (error) {
      // Somebody's mistake: it is not written over, for only they know what they meant.
      this.#complain(`${error instanceof Error ? error.message : String(error)}; the keys in memory stay in force`);
    }
  }

  /** Fills the Secret when that is to be done and this replica leads; to be called when it becomes the leader. */
  fill(): void {
    if (!this.#unfilled || this.#filling || this.#stopped) return;
    // Whoever has the keys may write them back; only the leader makes the first ones.
    if (this.#text === '' && !this.#options.leading()) return;
    this.#filling = true;
    this.#write().then(
      () => {
        this.#filling = false;
        this.#wait = RETRY_FIRST_MS;
        // It may have come back, empty, meanwhile.
        this.fill();
      },
      (error: unknown) => {
        this.#filling = false;
        // Somebody else has filled it meanwhile, which is most often why it could not be done.
        if (!this.#unfilled || this.#stopped) return;
        if (!(error instanceof Conflict)) this.#complain(error instanceof Error ? error.message : String(error));
        this.#timer = this.#options.clock.setTimeout(() => this.fill(), this.#wait);
        this.#wait = Math.min(this.#wait * 2, RETRY_LAST_MS);
      },
    );
  }

  stop(): void {
    this.#stopped = true;
    this.#options.clock.clearTimeout(this.#timer);
  }

  /** Looks before it writes: another leader, or `holdfast keys rotate`, may have been faster than the watch. */
  async #write(): Promise<void> {
    const { api, clock, random } = this.#options;
    const path = secretPath(this.#options.secret);
    const read = await api.request('GET', path);
    if (read.status !== 200 && read.status !== 404) throw this.#refused('read', read);
    const found = read.status === 404 ? undefined : (read.json() as RawSecret);
    if (found === undefined || textOf(found) !== '') {
      this.seen(found);
      return;
    }
    const text = this.#text === '' ? formatSessionKeys(firstKeys(clock.now(), random)) : this.#text;
    const written = await writeSecret(api, this.#options.secret, found, text);
    if (written.status === 409) throw new Conflict();
    if (written.status >= 300) throw this.#refused('written', written);
    this.#options.logger.info({ secret: this.#where }, 'session keys written');
    this.seen(written.json() as RawSecret);
  }

  #refused(what: string, { status, text }: KubeResponse): Error {
    return new Error(`${this.#where} could not be ${what}: the API server answered ${status}: ${text.slice(0, 300)}`);
  }

  /** It is not made by us: a right to create cannot be limited to one name, so we have none. */
  #goneText(): string {
    const { namespace, name } = this.#options.secret;
    const state =
      this.#text === ''
        ? 'so there are no session keys'
        : 'the session keys in memory stay in force, but a replica that starts now has none';
    return `${this.#where} is not there: ${state}; make it, empty, and it is filled: kubectl -n ${namespace} create secret generic ${name}`;
  }

  /** Once per message: retries must not flood the log. */
  #complain(message: string): void {
    if (message === this.#complaint) return;
    this.#complaint = message;
    this.#options.logger.error(message);
    this.#options.onComplaint(message);
  }

  #settle(): void {
    if (this.#complaint === '') return;
    this.#complaint = '';
    this.#options.onComplaint(undefined);
  }
}

export function secretPath({ namespace, name }: ObjectName): string {
  return `/api/v1/namespaces/${namespace}/secrets/${name}`;
}

/** The list in a raw Secret; empty = there is none, or an empty one. */
export function textOf(raw: RawSecret | undefined): string {
  const data = (raw?.['data'] ?? {}) as Record<string, unknown>;
  const encoded = data[KEYS_DATA];
  const text = typeof encoded === 'string' ? Buffer.from(encoded, 'base64').toString('utf8').trim() : '';
  return text === '[]' || text === 'null' ? '' : text;
}

/** Writes the list over `found` as it was read: its resourceVersion makes a concurrent write a 409. */
export async function writeSecret(
  api: Pick<KubeApi, 'request'>,
  secret: ObjectName,
  found: RawSecret,
  text: string,
): Promise<KubeResponse> {
  const encoded = Buffer.from(text).toString('base64');
  const data = { ...(found['data'] as Record<string, unknown> | undefined), [KEYS_DATA]: encoded };
  const body = { ...found, apiVersion: 'v1', kind: 'Secret', data };
  return await api.request('PUT', secretPath(secret), { body });
}
