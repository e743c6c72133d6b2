/** What deciding needs from its surroundings: time, randomness, shared memory, keys. */
import type { PoolKey } from '../model/ids.ts';
import type { LivePool, Meters } from '../model/live.ts';
import type { KeyRing } from './keyring.ts';
import type { TokenMemo } from './token-memo.ts';

export interface DecideEnv {
  /** Wall clock, ms. */
  readonly now: number;
  /** A uniform unsigned 32-bit integer. */
  random(): number;
  readonly meters: Meters;
  readonly keys: KeyRing;
  readonly memo: TokenMemo;
  poolOf(key: PoolKey): LivePool | undefined;
}
