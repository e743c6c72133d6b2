/** Keys to write, each at most once at a time, a few at once, tried again with growing pauses. */
import type { Clock } from '../store/hold-off.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface WriteQueueOptions {
  /** False = somebody else wrote at the same time: at once again. */
  readonly write: (key: string) => Promise<boolean>;
  /** What is not allowed is dropped: whoever may write looks at everything anew. */
  readonly allowed: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

const AT_ONCE = 4;
const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 60_000;
/** Conflicts in a row before it pauses, too. */
const CONFLICTS = 3;

export class WriteQueue {
  readonly #options: WriteQueueOptions;
  readonly #due = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #tries = new Map<string, number>();
  readonly #timers = new Map<string, unknown>();
  readonly #complaints = new Map<string, string>();
  #stopped = false;

  constructor(options: WriteQueueOptions) {
    this.#options = options;
  }

  /** A key that waits for its next try goes on waiting: what is refused must not be asked at every change. */
  add(key: string): void {
    if (this.#stopped || this.#timers.has(key)) return;
    this.#due.add(key);
    this.#next();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#due.clear();
    for (const timer of this.#timers.values()) this.#options.clock.clearTimeout(timer);
    await Promise.all(this.#running.values());
  }

  #next(): void {
    for (const key of this.#due) {
      if (this.#running.size >= AT_ONCE) return;
      // One that is being written is written again afterwards, as it is then.
      if (this.#running.has(key)) continue;
      this.#due.delete(key);
      if (this.#options.allowed()) this.#running.set(key, this.#run(key));
      else this.#forget(key);
    }
  }

  async #run(key: string): Promise<void> {
    try {
      if (await this.#options.write(key)) this.#forget(key);
      else this.#again(key, CONFLICTS);
    } catch (error) {
      this.#complain(key, error);
      this.#again(key, 0);
    } finally {
      this.#running.delete(key);
      if (!this.#stopped) this.#next();
    }
  }

  /** The first `free` tries follow at once. */
  #again(key: string, free: number): void {
    if (this.#stopped) return;
    const tries = this.#tries.get(key) ?? 0;
    this.#tries.set(key, tries + 1);
    if (tries < free) {
      this.#due.add(key);
      return;
    }
    const wait = Math.min(RETRY_FIRST_MS * 2 ** Math.min(tries, 16), RETRY_LAST_MS);
    const again = (): void => {
      this.#timers.delete(key);
      this.add(key);
    };
    this.#timers.set(key, this.#options.clock.setTimeout(again, wait));
  }

  #forget(key: string): void {
    this.#tries.delete(key);
    this.#complaints.delete(key);
  }

  #complain(key: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (this.#complaints.get(key) !== message) this.#options.logger.warn(message);
    this.#complaints.set(key, message);
  }
}
