/**
 * Gathers what one turn of the event loop brings. The answers that arrive for the streams of a connection of HTTP/2 go out
 * in one write (and one TLS record), instead of one for each: most of what HTTP/2 saves is this. And what many connections
 * of HTTP/1 have to write is written in one go: the kernel's way from a write to its reader is more code than a core's
 * first cache holds, so that one write after another costs less than each between the reading of two requests.
 */

export interface Flushable {
  /** It waits for its flush; for `Turn` alone. */
  queued: boolean;
  flush(): void;
}

export class Turn {
  /** So many do not wait for the end of the turn. */
  readonly #most: number;
  #waiting: Flushable[] = [];
  /** The end of the turn is awaited. */
  #ending = false;
  readonly #end = (): void => {
    this.#ending = false;
    this.#flush();
  };

  constructor(most = Infinity) {
    this.#most = most;
  }

  /** Flushes it once all that the kernel has now is read: the check phase follows the poll phase. */
  add(connection: Flushable): void {
    if (connection.queued) return;
    connection.queued = true;
    if (this.#waiting.push(connection) >= this.#most) this.#flush();
    else if (!this.#ending) {
      this.#ending = true;
      setImmediate(this.#end);
    }
  }

  #flush(): void {
    // Whoever is added meanwhile is not among these.
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const connection of waiting) {
      connection.queued = false;
      connection.flush();
    }
  }
}
