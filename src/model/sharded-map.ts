/**
 * An immutable map that is changed by copying: only the shard that holds a key is copied, the others are shared with the
 * map before. Copying a `Map` of thousands of entries for each change would take milliseconds and leave so much garbage
 * that memory doubled before it was collected.
 */

/** A power of two. With 10,000 entries a shard has about 40. */
const SHARDS = 256;
const NOTHING: ReadonlyMap<string, never> = new Map<string, never>();
const NO_SHARDS: readonly ReadonlyMap<string, never>[] = Array.from({ length: SHARDS }, () => NOTHING);

export class ShardedMap<V> implements ReadonlyMap<string, V> {
  readonly #shards: readonly ReadonlyMap<string, V>[];
  readonly size: number;

  private constructor(shards: readonly ReadonlyMap<string, V>[], size: number) {
    this.#shards = shards;
    this.size = size;
  }

  static empty<V>(): ShardedMap<V> {
    return new ShardedMap<V>(NO_SHARDS, 0);
  }

  get(key: string): V | undefined {
    return this.#shards[shardOf(key)]?.get(key);
  }

  has(key: string): boolean {
    return this.#shards[shardOf(key)]?.has(key) === true;
  }

  /** Changes are made to the edit; `done` gives the new map. */
  edit(): MapEdit<V> {
    return new MapEdit(this.#shards, (shards, size) => new ShardedMap(shards, size), this.size);
  }

  /** Keys that are new, gone, or lead to another object than in `before`, at the cost of what differs. */
  changedKeys(before: ShardedMap<V>): string[] {
    const changed: string[] = [];
    // By index: nearly all shards are the same, and an iterator's pairs were a third of what a change left as garbage.
    for (let i = 0; i < SHARDS; i++) {
      const shard = this.#shards[i] ?? NOTHING;
      const old = before.#shards[i] ?? NOTHING;
      if (old !== shard) addChanged(changed, old, shard);
    }
    return changed;
  }

  *entries(): Generator<[string, V]> {
    for (const shard of this.#shards) if (shard.size > 0) yield* shard;
  }

  *keys(): Generator<string> {
    for (const shard of this.#shards) if (shard.size > 0) yield* shard.keys();
  }

  *values(): Generator<V> {
    for (const shard of this.#shards) if (shard.size > 0) yield* shard.values();
  }

  [Symbol.iterator](): Generator<[string, V]> {
    return this.entries();
  }

  forEach(callback: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this) callback(value, key, this);
  }
}

type Finish<V> = (shards: readonly ReadonlyMap<string, V>[], size: number) => ShardedMap<V>;

/** A map being changed. Shards are copied when they are first written to. */
class MapEdit<V> {
  readonly #shards: ReadonlyMap<string, V>[];
  readonly #own = new Map<number, Map<string, V>>();
  readonly #finish: Finish<V>;
  #size: number;

  constructor(shards: readonly ReadonlyMap<string, V>[], finish: Finish<V>, size: number) {
    this.#shards = [...shards];
    this.#finish = finish;
    this.#size = size;
  }

  get(key: string): V | undefined {
    return this.#shards[shardOf(key)]?.get(key);
  }

  set(key: string, value: V): void {
    const shard = this.#ownShard(key);
    if (!shard.has(key)) this.#size++;
    shard.set(key, value);
  }

  delete(key: string): boolean {
    if (this.#shards[shardOf(key)]?.has(key) !== true) return false;
    this.#size--;
    return this.#ownShard(key).delete(key);
  }

  /** The edit is of no use afterwards. */
  done(): ShardedMap<V> {
    return this.#finish(this.#shards, this.#size);
  }

  #ownShard(key: string): Map<string, V> {
    const index = shardOf(key);
    const own = this.#own.get(index) ?? new Map(this.#shards[index]);
    this.#own.set(index, own);
    this.#shards[index] = own;
    return own;
  }
}

/** Keys that are new, gone, or lead to another object, told by identity; of two sharded maps at the cost of what differs. */
export function changedKeys<T>(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>): string[] {
  if (before === after) return [];
  if (before instanceof ShardedMap && after instanceof ShardedMap) {
    return (after as ShardedMap<T>).changedKeys(before as ShardedMap<T>);
  }
  const changed: string[] = [];
  addChanged(changed, before, after);
  return changed;
}

function addChanged<T>(changed: string[], before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>): void {
  for (const [key, value] of after) if (before.get(key) !== value) changed.push(key);
  for (const key of before.keys()) if (!after.has(key)) changed.push(key);
}

/** A map that is changed in place and hands out immutable copies of itself, each sharing with the one before what it can. */
export class SnapshotMap<T> {
  #map = ShardedMap.empty<T>();
  /** Changes since the last hand-out. */
  #edit: MapEdit<T> | undefined;

  get(key: string): T | undefined {
    return (this.#edit ?? this.#map).get(key);
  }

  set(key: string, value: T): void {
    this.#edit ??= this.#map.edit();
    this.#edit.set(key, value);
  }

  delete(key: string): boolean {
    if (this.get(key) === undefined) return false;
    this.#edit ??= this.#map.edit();
    return this.#edit.delete(key);
  }

  freeze(): ShardedMap<T> {
    if (this.#edit !== undefined) this.#map = this.#edit.done();
    this.#edit = undefined;
    return this.#map;
  }
}

/** FNV-1a over the last characters, which differ most among names. */
function shardOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = Math.max(0, key.length - 24); i < key.length; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  return (hash ^ (hash >>> 16)) & (SHARDS - 1);
}
