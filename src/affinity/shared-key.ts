/** A key as the replicas share it in the session store: the tag of its endpoint, and since when it has it. */
import type { LivePool } from '../model/live.ts';
import type { CompiledPolicy } from '../model/policy.ts';
import { STORE_TAGS } from './keyring.ts';

export interface SharedKey {
  readonly tag: string;
  /** Wall clock, ms. */
  readonly began: number;
}

const TAG_LENGTH = 12;
const VALUE = /^[\w-]{12}[0-9a-f]{8}$/;

/** The tag, then the seconds since 1970 as 8 hex digits. */
export function formatShared({ tag, began }: SharedKey): string {
  return (
    tag +
    Math.floor(began / 1000)
      .toString(16)
      .padStart(8, '0')
  );
}

/** undefined = it is nothing of ours. */
export function parseShared(value: string): SharedKey | undefined {
  if (!VALUE.test(value)) return undefined;
  return { tag: value.slice(0, TAG_LENGTH), began: parseInt(value.slice(TAG_LENGTH), 16) * 1000 };
}

/** What the store calls an endpoint of the pool; undefined = the pool does not say. */
export function tagAt(pool: LivePool, { identity }: CompiledPolicy, index: number): string | undefined {
  return pool.identity[identity].prefixes.get(STORE_TAGS)?.[index];
}
