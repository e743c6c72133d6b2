/**
 * Gathers what one turn of the event loop brings: the answers that arrive for the streams of a connection go out in one
 * write (and one TLS record), instead of one for each. Most of what HTTP/2 saves is this.
 */

export interface Flushable {
  /** It waits for the end of the turn; for `Turn` alone. */
  queued: boolean;
  flush(): void;
}

export class Turn {
  #waiting: Flushable[] = [];
  readonly #run = (): void => {
    // Whoever is added meanwhile has its own turn.
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const connection of waiting) {
      connection.queued = false;
      connection.flush();
    }
  };

  /** Flushes it once all that the kernel has now is read: the check phase follows the poll phase. */
  add(connection: Flushable): void {
    if (connection.queued) return;
    connection.queued = true;
    if (this.#waiting.length === 0) setImmediate(this.#run);
    this.#waiting.push(connection);
  }
}
