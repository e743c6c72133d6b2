/** Where requests wait for the endpoint of their session to come back: few for each, so that nobody can fill the memory. */

export interface Waiter {
  /** Something has changed: look again. May enter again. */
  wake(): void;
}

export class WaitingRoom {
  readonly #capacity: number;
  /** By what they wait for. */
  readonly #waiting = new Map<string, Set<Waiter>>();

  /** `capacity`: of each endpoint. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** False = too many wait there already. */
  enter(key: string, waiter: Waiter): boolean {
    const known = this.#waiting.get(key);
    if (known === undefined) this.#waiting.set(key, new Set([waiter]));
    else if (known.size >= this.#capacity) return false;
    else known.add(waiter);
    return true;
  }

  leave(key: string, waiter: Waiter): void {
    const known = this.#waiting.get(key);
    known?.delete(waiter);
    if (known?.size === 0) this.#waiting.delete(key);
  }

  /** There is a new table, or no more time. In the order in which they came. */
  wakeAll(): void {
    for (const waiter of [...this.#waiting.values()].flatMap((waiters) => [...waiters])) waiter.wake();
  }
}
