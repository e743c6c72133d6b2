/** What deciding needs from its surroundings: time, randomness, shared memory, keys. */
import type { IdentityKind, PoolKey } from '../model/ids.ts';
import type { EndpointPlace, LivePool, Meters, Sessions } from '../model/live.ts';
import type { CompiledPolicy } from '../model/policy.ts';
import type { KeyRing } from './keyring.ts';
import type { Overrides } from './overrides.ts';
import type { TokenMemo } from './token-memo.ts';

export interface DecideEnv {
  /** Wall clock, ms. */
  readonly now: number;
  /** A uniform unsigned 32-bit integer. */
  random(): number;
  readonly meters: Meters;
  readonly sessions: Sessions;
  /** Replicas of the controller that are Ready: each takes its part of what a policy allows them together. */
  readonly replicas: number;
  readonly overrides: Pick<Overrides, 'size' | 'find'>;
  readonly keys: KeyRing;
  readonly memo: TokenMemo;
  /** Takes a turn to move a session of the policy, of which there is one in `every` ms over all workers; false = it is too early. */
  takeMove(policy: CompiledPolicy, every: number): boolean;
  poolOf(key: PoolKey): LivePool | undefined;
  /** Where the endpoint of a `LiveEndpoint.ref` is now; undefined = it is gone. */
  placeOf(ref: number): EndpointPlace | undefined;
  /** The token prefix of an endpoint that has gone; undefined = that was long ago. */
  formerPrefix(ref: number, identity: IdentityKind): string | undefined;
}
