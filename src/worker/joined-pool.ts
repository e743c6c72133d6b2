/** The pools of a rule's `backends` as one pool, in which a token leads to its endpoint by one look-up. */
import type { KeyRing } from '../affinity/keyring.ts';
import { seedsOf } from '../affinity/rendezvous.ts';
import type { PoolRef } from '../lanes/live-table.ts';
import type { IdentityKind } from '../model/ids.ts';
import type { IdentityView, LivePool, PoolPart } from '../model/live.ts';

export interface Joined {
  readonly ref: PoolRef;
  readonly weight: number;
}

/** Made when it is asked for, and again when one of its pools has been replaced. */
export class JoinedPool implements PoolRef {
  readonly #of: readonly Joined[];
  readonly #keys: () => KeyRing | undefined;
  readonly #only: number | undefined;
  #made: readonly LivePool[] = [];
  #live: LivePool | undefined;

  /** `only`: index of the pool that sessions of the others move to. */
  constructor(of: readonly Joined[], keys: () => KeyRing | undefined, only?: number) {
    this.#of = of;
    this.#keys = keys;
    this.#only = only;
  }

  get live(): LivePool {
    let live = this.#live;
    for (let k = 0; k < this.#of.length; k++) if (this.#of[k]?.ref.live !== this.#made[k]) live = undefined;
    if (live !== undefined) return live;
    this.#made = this.#of.map(({ ref }) => ref.live);
    live = join(
      this.#of.map(({ ref, weight }) => ({ pool: ref.live, weight })),
      this.#keys(),
    );
    this.#live = this.#only === undefined ? live : { ...live, only: live.parts?.[this.#only] };
    return this.#live;
  }
}

function join(
  of: readonly { readonly pool: LivePool; readonly weight: number }[],
  keys: KeyRing | undefined,
): LivePool {
  const parts: PoolPart[] = [];
  let first = 0;
  for (const { pool, weight } of of) {
    parts.push({ pool, first, weight, seeds: seedsOf(`${pool.namespace}/${pool.service}`), tags: tagsOf(pool, keys) });
    first += pool.endpoints.length;
  }
  const pools = parts.map(({ pool }) => pool);
  return {
    key: pools.map(({ key }) => key).join('+'),
    slot: pools[0]?.slot ?? 0,
    namespace: pools[0]?.namespace ?? '',
    service: pools[0]?.service ?? '',
    port: pools[0]?.port ?? 0,
    portName: pools[0]?.portName,
    endpoints: pools.flatMap(({ endpoints }) => endpoints),
    ready: indices(parts, (pool) => pool.ready),
    draining: indices(parts, (pool) => pool.draining),
    identity: {
      PodUID: joinViews(parts, 'PodUID'),
      PodName: joinViews(parts, 'PodName'),
      Address: joinViews(parts, 'Address'),
    },
    firstSeen: Math.min(...pools.map(({ firstSeen }) => firstSeen)),
    left: new Map(pools.flatMap(({ left }) => [...left])),
    parts,
  };
}

function tagsOf({ namespace, service }: LivePool, keys: KeyRing | undefined): ReadonlyMap<number, number> {
  return new Map(keys?.ids.map((id) => [id, keys.backendTag(id, `${namespace}/${service}`)]));
}

function indices(parts: readonly PoolPart[], of: (pool: LivePool) => Int32Array): Int32Array {
  return Int32Array.from(parts.flatMap(({ pool, first }) => [...of(pool)].map((index) => first + index)));
}

/** Of a pod that is behind two of the Services, the first one's is found where a token does not say which is meant. */
function joinViews(parts: readonly PoolPart[], kind: IdentityKind): IdentityView {
  const views = parts.map(({ pool, first }) => ({ view: pool.identity[kind], first }));
  const byPrefix = new Map<string, number>();
  for (const { view, first } of views) {
    for (const [prefix, index] of view.byPrefix) if (!byPrefix.has(prefix)) byPrefix.set(prefix, first + index);
  }
  const ids = new Set(views.flatMap(({ view }) => [...view.prefixes.keys()]));
  return {
    seeds: Int32Array.from(views.flatMap(({ view }) => [...view.seeds])),
    byPrefix,
    prefixes: new Map([...ids].map((id) => [id, views.flatMap(({ view }) => view.prefixes.get(id) ?? [])])),
  };
}
