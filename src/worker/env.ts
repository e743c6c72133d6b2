/** What a worker's decisions look at. A class: V8 keeps an object literal with getters as a dictionary, slow to read. */
import type { DecideEnv } from '../affinity/decide.ts';
import type { KeyRing } from '../affinity/keyring.ts';
import { TokenMemo } from '../affinity/token-memo.ts';
import type { IdentityKind, PoolKey } from '../model/ids.ts';
import type { EndpointPlace, LivePool } from '../model/live.ts';
import type { CompiledPolicy } from '../model/policy.ts';
import type { Blocks } from '../shared/cells.ts';
import type { SharedMeters } from '../shared/meters.ts';
import type { SessionTable } from '../shared/session-table.ts';
import { Turns } from '../shared/turns.ts';
import type { TableBuilder } from './table-builder.ts';

export class WorkerEnv implements DecideEnv {
  now: number;
  readonly meters: SharedMeters;
  readonly sessions: SessionTable;
  readonly overrides: DecideEnv['overrides'];
  readonly memo = new TokenMemo();
  readonly #builder: TableBuilder;
  readonly #turns: Turns;

  constructor(now: number, builder: TableBuilder, shared: Blocks, meters: SharedMeters, sessions: SessionTable) {
    this.now = now;
    this.meters = meters;
    this.sessions = sessions;
    this.overrides = builder.overrides;
    this.#builder = builder;
    this.#turns = new Turns(shared.turn);
  }

  get keys(): KeyRing {
    const { keys } = this.#builder;
    if (keys === undefined) throw new Error('a request came before the session keys');
    return keys;
  }

  get replicas(): number {
    return this.#builder.replicas;
  }

  random(): number {
    return Math.floor(Math.random() * 0x100000000);
  }

  takeMove(policy: CompiledPolicy, every: number): boolean {
    const slot = this.#builder.policySlot(policy);
    return slot !== undefined && this.#turns.take(slot, every, this.now);
  }

  poolOf(key: PoolKey): LivePool | undefined {
    return this.#builder.pools.get(key)?.live;
  }

  placeOf(ref: number): EndpointPlace | undefined {
    return this.#builder.places.get(ref);
  }

  formerPrefix(ref: number, identity: IdentityKind): string | undefined {
    return this.#builder.formerPrefixes.get(ref)?.[identity];
  }
}
