/** A worker's own counters that belong to no route or endpoint. */
import type { Http1Error } from '../http1/error.ts';
import type { Blocks, Cells } from '../shared/cells.ts';
import { observeLatency } from '../shared/latencies.ts';
import { bucketOf, errorField, GLOBAL, LIMITS, STORE, STORE_BUCKETS } from '../shared/layout.ts';
import type { EndpointField, EndpointGauge, ErrorSource, Limit } from '../shared/layout.ts';

export class Counters {
  readonly #blocks: Blocks;
  readonly #row: number;
  readonly #cells: Cells;
  readonly #at: number;

  constructor(blocks: Blocks, row: number) {
    this.#blocks = blocks;
    this.#row = row;
    this.#cells = blocks.global.cells(0);
    this.#at = blocks.global.at(0, row);
  }

  limit(name: Limit): void {
    this.#add(GLOBAL.limits + LIMITS.indexOf(name), 1);
  }

  /** Counts the limit that a request was refused for; other errors are none. */
  limitFor(error: Http1Error): void {
    if (error.status === 414) this.limit('target_bytes');
    else if (error.code === 'too_many_fields') this.limit('headers');
    else if (error.status === 431) this.limit('head_bytes');
  }

  /** An answer that is somebody's fault; 499 = the client went away. */
  error(source: ErrorSource, code: number): void {
    this.#add(errorField(source, code), 1);
  }

  retry(): void {
    this.#add(GLOBAL.retries, 1);
  }

  bytesIn(bytes: number): void {
    this.#add(GLOBAL.bytesIn, bytes);
  }

  bytesOut(bytes: number): void {
    this.#add(GLOBAL.bytesOut, bytes);
  }

  connectionAccepted(): void {
    this.#add(GLOBAL.connectionsTotal, 1);
  }

  /** Once for each time that it changes hands: in a handshake, with a lane. */
  connectionOpened(): void {
    this.#add(GLOBAL.connections, 1);
  }

  connectionClosed(): void {
    this.#add(GLOBAL.connections, -1);
  }

  /** A request begins (1) or is over (-1). */
  exchange(by: 1 | -1): void {
    this.#add(GLOBAL.exchanges, by);
  }

  /** Requests under way in this worker, and in all of them. */
  exchanges(): { own: number; all: number } {
    return { own: this.#cells[this.#at + GLOBAL.exchanges] ?? 0, all: this.#blocks.global.sum(0, GLOBAL.exchanges) };
  }

  /** Open client connections over all workers. */
  connections(): number {
    return this.#blocks.global.sum(0, GLOBAL.connections);
  }

  eventLoopLag(seconds: number): void {
    this.#cells[this.#at + GLOBAL.eventLoopLag] = seconds;
  }

  /** Adds to one of an endpoint's counters. */
  endpoint(slot: number, field: EndpointField, value: number): void {
    const { endpoint } = this.#blocks;
    endpoint.cells(slot)[endpoint.at(slot, this.#row) + field]! += value;
  }

  /** An endpoint's answer took so long. `now`: wall clock, ms. */
  latency(slot: number, milliseconds: number, now: number): void {
    observeLatency(this.#blocks.latency, this.#row, slot, milliseconds, now);
  }

  /** Moves one of an endpoint's gauges up or down. */
  gauge(slot: number, field: EndpointGauge, by: 1 | -1): void {
    const { gauge } = this.#blocks;
    gauge.cells(slot)[gauge.at(slot, this.#row) + field]! += by;
  }

  /** The session store was asked. */
  store(seconds: number, failed: boolean): void {
    const { store } = this.#blocks;
    const cells = store.cells(0);
    const at = store.at(0, this.#row);
    cells[at + STORE.requests]!++;
    if (failed) cells[at + STORE.errors]!++;
    cells[at + STORE.buckets + bucketOf(STORE_BUCKETS, seconds)]!++;
    cells[at + STORE.sum]! += seconds;
  }

  #add(field: number, value: number): void {
    this.#cells[this.#at + field]! += value;
  }
}
