/** A map that hands out immutable copies of itself, and copies only when it was changed after the last hand-out. */

export class SnapshotMap<T> {
  #map = new Map<string, T>();
  /** `#map` has been handed out, so it must be copied before the next change. */
  #frozen = false;

  get(key: string): T | undefined {
    return this.#map.get(key);
  }

  set(key: string, value: T): void {
    this.#own().set(key, value);
  }

  delete(key: string): boolean {
    return this.#map.has(key) && this.#own().delete(key);
  }

  freeze(): ReadonlyMap<string, T> {
    this.#frozen = true;
    return this.#map;
  }

  #own(): Map<string, T> {
    if (this.#frozen) {
      this.#map = new Map(this.#map);
      this.#frozen = false;
    }
    return this.#map;
  }
}
