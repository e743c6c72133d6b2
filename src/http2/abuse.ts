/** Counts frames that cost us more than their sender (RFC 9113, 10.5). */
import { ERRORS } from './error.ts';
import type { Http2Error } from './error.ts';
import { ABUSE_INTERVAL_MS } from './limits.ts';
import type { AbuseLimits } from './limits.ts';

/** WINDOW_UPDATEs that one DATA frame of ours may cause: one for the stream, one for the connection, and as much again. */
const UPDATES_PER_DATA = 4;

export class Abuse {
  readonly #limits: AbuseLimits;
  readonly #clock: () => number;
  #since: number;
  #resets = 0;
  #pings = 0;
  #settings = 0;
  #emptyData = 0;
  #windowUpdates = 0;
  #idleFrames = 0;

  /** @param clock ms, from wherever; need not be exact */
  constructor(limits: AbuseLimits, clock: () => number) {
    this.#limits = limits;
    this.#clock = clock;
    this.#since = clock();
  }

  reset(): Http2Error | undefined {
    this.#turn();
    return ++this.#resets > this.#limits.resets ? ERRORS.resetFlood : undefined;
  }

  ping(): Http2Error | undefined {
    this.#turn();
    return ++this.#pings > this.#limits.pings ? ERRORS.pingFlood : undefined;
  }

  settings(): Http2Error | undefined {
    this.#turn();
    return ++this.#settings > this.#limits.settings ? ERRORS.settingsFlood : undefined;
  }

  emptyData(): Http2Error | undefined {
    this.#turn();
    return ++this.#emptyData > this.#limits.emptyData ? ERRORS.emptyDataFlood : undefined;
  }

  windowUpdate(): Http2Error | undefined {
    this.#turn();
    return ++this.#windowUpdates > this.#limits.windowUpdates ? ERRORS.windowUpdateFlood : undefined;
  }

  idleFrame(): Http2Error | undefined {
    this.#turn();
    return ++this.#idleFrames > this.#limits.idleFrames ? ERRORS.idleFrameFlood : undefined;
  }

  /** We have sent DATA: the peer has reason to update windows. */
  sentData(): void {
    this.#windowUpdates -= UPDATES_PER_DATA;
  }

  #turn(): void {
    const now = this.#clock();
    if (now - this.#since < ABUSE_INTERVAL_MS) return;
    this.#since = now;
    this.#resets = this.#pings = this.#settings = this.#emptyData = this.#idleFrames = 0;
    // What our DATA has earned stays: its updates may come later.
    this.#windowUpdates = Math.min(this.#windowUpdates, 0);
  }
}
