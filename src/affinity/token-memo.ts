/** Remembers verified tokens, so that the HMAC runs only for text not seen before: a bounded LRU of two generations. */
import type { KeyRing } from './keyring.ts';
import { verifyToken } from './token.ts';
import type { TokenFault, VerifiedToken } from './token.ts';

const DEFAULT_CAPACITY = 65_536;

export class TokenMemo {
  readonly #generation: number;
  #young = new Map<string, VerifiedToken>();
  #old = new Map<string, VerifiedToken>();
  #keys: KeyRing | undefined;

  constructor(capacity = DEFAULT_CAPACITY) {
    this.#generation = Math.max(1, capacity >> 1);
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** `verifyToken` through the memo. Only verified tokens are kept: junk cannot push them out. */
  verify(text: string, scope: string, keys: KeyRing, now: number): VerifiedToken | TokenFault {
    if (keys !== this.#keys) this.#reset(keys);
    const known = this.#young.get(text) ?? this.#promote(text);
    // A text verifies in one scope only, so an entry of another scope is an answer too.
    if (known !== undefined) return known.scope === scope ? known : 'invalid_token';
    const result = verifyToken(text, scope, keys, now);
    if (typeof result !== 'string') this.#add(result);
    return result;
  }

  #promote(text: string): VerifiedToken | undefined {
    const known = this.#old.get(text);
    if (known === undefined) return undefined;
    this.#old.delete(text);
    this.#add(known);
    return known;
  }

  #add(token: VerifiedToken): void {
    if (this.#young.size >= this.#generation) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(token.text, token);
  }

  /** Another ring may lack a key that verified what is remembered. */
  #reset(keys: KeyRing): void {
    this.#keys = keys;
    this.#young = new Map();
    this.#old = new Map();
  }
}
