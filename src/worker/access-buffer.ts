/** Collects access records and sends them to the main thread in batches, off the request path; drops rather than blocks. */
import type { AccessRecord, WorkerSettings } from '../shared/messages.ts';

const FLUSH_MS = 200;
/** Records that may wait for the next batch. */
const LIMIT = 10_000;

export class AccessBuffer {
  readonly #every: number;
  readonly #send: (records: AccessRecord[]) => void;
  readonly #onDropped: () => void;
  #records: AccessRecord[] = [];
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    settings: Pick<WorkerSettings, 'accessLog' | 'accessLogSample'>,
    send: (records: AccessRecord[]) => void,
    onDropped: () => void,
  ) {
    this.#every = settings.accessLog === 'off' ? 0 : settings.accessLog === 'full' ? 1 : settings.accessLogSample;
    this.#send = send;
    this.#onDropped = onDropped;
  }

  /** Whether the current request is to be logged; asked once a request. */
  wants(): boolean {
    return this.#every !== 0 && this.#count++ % this.#every === 0;
  }

  add(record: AccessRecord): void {
    if (this.#records.length >= LIMIT) {
      this.#onDropped();
      return;
    }
    this.#records.push(record);
    this.#timer ??= setTimeout(() => {
      this.flush();
    }, FLUSH_MS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#records.length > 0) this.#send(this.#records);
    this.#records = [];
  }
}
