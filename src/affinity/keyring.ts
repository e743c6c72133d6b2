/** The session keys: subkeys for endpoint tags, backend tags and MACs, and which key issues tokens now; names and tags in the session store. */
import { createHmac, createSecretKey, hkdfSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

export const MAX_KEYS = 4;
export const MIN_KEY_BYTES = 32;

/** Version of the token's layout, the upper half of its first byte. */
export const TOKEN_FORMAT = 1;
const TAG_BYTES = 8;
export const BACKEND_TAG_BYTES = 3;
const MAC_BYTES = 12;
const STORE_NAME_BYTES = 16;

/** Among the key ids of prefixes: what the session store calls the endpoints. No key has it. */
export const STORE_TAGS = 16;

/** Versions come and go with every rollout; their tags are made again when they are needed. */
const MAX_VERSIONS = 4096;

export interface SessionKey {
  /** 0..15, unique in the ring. */
  readonly id: number;
  /** At least 32 bytes. */
  readonly key: Uint8Array;
  /** Wall clock, ms: from then on this key may sign, so that every replica knows it before anybody does. */
  readonly issueFrom: number;
  /** What names and tags in the session store are made with, the same in all keys of a list: see `storeSecret`. */
  readonly store?: Uint8Array | undefined;
}

interface StoreSubkeys {
  readonly name: KeyObject;
  readonly tag: KeyObject;
  readonly seal: KeyObject;
}

interface Subkeys {
  readonly issueFrom: number;
  readonly endpoint: KeyObject;
  readonly backend: KeyObject;
  readonly mac: KeyObject;
  readonly version: KeyObject;
  readonly backendTags: Map<string, number>;
  readonly versionTags: Map<string, number>;
}

export class KeyRing {
  /** Indexed by key id. */
  readonly #subkeys: (Subkeys | undefined)[] = [];
  /** Newest first. */
  readonly ids: readonly number[];
  readonly #store: StoreSubkeys | undefined;

  private constructor(keys: readonly SessionKey[]) {
    for (const key of keys) this.#subkeys[key.id] = derive(key);
    this.ids = newestFirst(keys).map((key) => key.id);
    const secret = storeSecret(keys);
    this.#store =
      secret === undefined
        ? undefined
        : {
            name: subkey(secret, 'store name'),
            tag: subkey(secret, 'store tag'),
            seal: subkey(secret, 'store seal'),
          };
  }

  /** Throws RangeError on keys that no ring can hold: too many, too short, an id out of range or twice. */
  static from(keys: readonly SessionKey[]): KeyRing {
    if (keys.length > MAX_KEYS) throw new RangeError(`At most ${MAX_KEYS} session keys, got ${keys.length}.`);
    const seen = new Set<number>();
    for (const { id, key } of keys) {
      if (!Number.isInteger(id) || id < 0 || id > 15) throw new RangeError(`Session key id ${id} is not in 0..15.`);
      if (seen.has(id)) throw new RangeError(`Session key id ${id} appears twice.`);
      if (key.length < MIN_KEY_BYTES) throw new RangeError(`Session key ${id} is shorter than ${MIN_KEY_BYTES} bytes.`);
      seen.add(id);
    }
    return new KeyRing(keys);
  }

  has(keyId: number): boolean {
    return this.#subkeys[keyId] !== undefined;
  }

  /** The newest key whose time has come, else the oldest one; -1 = the ring is empty. */
  issuing(now: number): number {
    for (const id of this.ids) {
      if (this.issueFrom(id) <= now) return id;
    }
    return this.ids.at(-1) ?? -1;
  }

  /** -Infinity = the ring has no such key, which may have left it since a token was verified. */
  issueFrom(keyId: number): number {
    return this.#subkeys[keyId]?.issueFrom ?? Number.NEGATIVE_INFINITY;
  }

  /** Wall clock ms from which a newer key signs; Infinity = this is the newest. */
  newerFrom(keyId: number): number {
    const newer = this.ids[this.ids.indexOf(keyId) - 1];
    return newer === undefined ? Infinity : this.issueFrom(newer);
  }

  /** The first 12 characters of every token under this key that names an endpoint with this identity. */
  endpointPrefix(keyId: number, identity: string): string {
    const tag = createHmac('sha256', this.#get(keyId).endpoint).update(identity).digest();
    const bytes = Buffer.alloc(1 + TAG_BYTES);
    bytes[0] = (TOKEN_FORMAT << 4) | keyId;
    tag.copy(bytes, 1, 0, TAG_BYTES);
    return bytes.toString('base64url');
  }

  /** 24 bits naming a Service, `namespace/name`. */
  backendTag(keyId: number, service: string): number {
    const { backend, backendTags } = this.#get(keyId);
    let tag = backendTags.get(service);
    if (tag === undefined) {
      tag = createHmac('sha256', backend).update(service).digest().readUIntBE(0, BACKEND_TAG_BYTES);
      backendTags.set(service, tag);
    }
    return tag;
  }

  /** 16 bits naming a version of a workload, never 0; 0 = the version is not known. */
  versionTag(keyId: number, version: string | undefined): number {
    if (version === undefined) return 0;
    const { version: subkey, versionTags } = this.#get(keyId);
    let tag = versionTags.get(version);
    if (tag === undefined) {
      if (versionTags.size >= MAX_VERSIONS) versionTags.clear();
      tag = createHmac('sha256', subkey).update(version).digest().readUInt16BE() || 1;
      versionTags.set(version, tag);
    }
    return tag;
  }

  /** 12 bytes over a token's fields, which have a fixed length, and the scope it is valid in. */
  mac(keyId: number, fields: Uint8Array, scope: string): Buffer {
    return createHmac('sha256', this.#get(keyId).mac).update(fields).update(scope).digest().subarray(0, MAC_BYTES);
  }

  /** What a key of the session table is called in the session store. */
  storeName(scope: string, key: string): string {
    const mac = createHmac('sha256', this.#getStore().name).update(scope).update('\0').update(key).digest();
    return `holdfast:${mac.toString('base64url', 0, STORE_NAME_BYTES)}`;
  }

  /** What an endpoint with this identity is called there: 12 characters, as no token begins. */
  storeTag(identity: string): string {
    const tag = createHmac('sha256', this.#getStore().tag).update(identity).digest();
    const bytes = Buffer.alloc(1 + TAG_BYTES);
    tag.copy(bytes, 1, 0, TAG_BYTES);
    return bytes.toString('base64url');
  }

  /** Of 32 bytes: what is more than a name or a tag is sealed with it there. */
  get storeSeal(): KeyObject {
    return this.#getStore().seal;
  }

  #getStore(): StoreSubkeys {
    if (this.#store === undefined) throw new RangeError('No session keys.');
    return this.#store;
  }

  #get(keyId: number): Subkeys {
    const subkeys = this.#subkeys[keyId];
    if (subkeys === undefined) throw new RangeError(`No session key ${keyId}.`);
    return subkeys;
  }
}

/**
 * What the session store's names and tags are made with, which must not change when session keys are rotated: the list
 * says it since its first rotation, before that it follows from the oldest key. undefined = there are no keys.
 */
export function storeSecret(keys: readonly SessionKey[]): Uint8Array | undefined {
  const oldest = newestFirst(keys).at(-1);
  const said = keys.find(({ store }) => store !== undefined)?.store;
  return said ?? (oldest === undefined ? undefined : new Uint8Array(expand(oldest.key, 'session store')));
}

export function newestFirst(keys: readonly SessionKey[]): SessionKey[] {
  return [...keys].sort((a, b) => b.issueFrom - a.issueFrom || b.id - a.id);
}

/** As `KeyRing.issuing`, of a list; undefined = it is empty. */
export function issuingKey(keys: readonly SessionKey[], now: number): SessionKey | undefined {
  const sorted = newestFirst(keys);
  return sorted.find(({ issueFrom }) => issueFrom <= now) ?? sorted.at(-1);
}

/** One label per use (RFC 5869 section 3.2), so that a tag never helps to forge a MAC. */
function expand(key: Uint8Array, label: string): ArrayBuffer {
  return hkdfSync('sha256', key, '', `holdfast ${label} v1`, 32);
}

function subkey(key: Uint8Array, label: string): KeyObject {
  return createSecretKey(Buffer.from(expand(key, label)));
}

function derive({ key, issueFrom }: SessionKey): Subkeys {
  return {
    issueFrom,
    endpoint: subkey(key, 'endpoint tag'),
    backend: subkey(key, 'backend tag'),
    version: subkey(key, 'version tag'),
    mac: subkey(key, 'token mac'),
    backendTags: new Map(),
    versionTags: new Map(),
  };
}
