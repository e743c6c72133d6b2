/**
 * All idle connections of a worker, in the order in which they became idle: the one to go when there are too many is known
 * at once, to however many endpoints there have been connections. A list through the connections themselves, since every
 * request takes one out and puts one in.
 */

export interface Idle {
  /** Became idle before it and after it; for `IdleList` alone. */
  older: Idle | undefined;
  newer: Idle | undefined;
  destroy(): void;
}

export class IdleList {
  size = 0;
  oldest: Idle | undefined;
  #newest: Idle | undefined;

  add(connection: Idle): void {
    connection.older = this.#newest;
    if (this.#newest === undefined) this.oldest = connection;
    else this.#newest.newer = connection;
    this.#newest = connection;
    this.size++;
  }

  /** @param connection that is in the list */
  remove(connection: Idle): void {
    const { older, newer } = connection;
    if (older === undefined) this.oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    connection.older = undefined;
    connection.newer = undefined;
    this.size--;
  }
}
