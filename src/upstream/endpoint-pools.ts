/** Connections by endpoint, of those who may share them: all clients, or one whose connections begin with its own header. */
import type { LiveEndpoint } from '../model/live.ts';
import type { UpstreamConnection } from './connection.ts';
import type { Http2UpstreamConnection } from './http2-connection.ts';

/** An address with its pool of idle connections, newest last. */
export class UpstreamEndpoint {
  readonly slot: number;
  readonly address: string;
  readonly port: number;
  /** What every connection begins with, in latin1; empty = nothing. */
  readonly preface: string;
  readonly idle: UpstreamConnection[] = [];
  /** Connections of HTTP/2 that take more requests, the fullest first. */
  readonly shared: Http2UpstreamConnection[] = [];
  /** It has left its pool: connections are closed instead of kept. */
  retired = false;

  constructor(endpoint: LiveEndpoint, preface: string) {
    this.slot = endpoint.slot;
    this.address = endpoint.address;
    this.port = endpoint.port;
    this.preface = preface;
  }
}

export class EndpointPools {
  readonly #preface: string;
  /** By slot. */
  readonly #endpoints = new Map<number, UpstreamEndpoint>();

  /** @param preface what every connection begins with, in latin1 */
  constructor(preface: string) {
    this.#preface = preface;
  }

  of(endpoint: LiveEndpoint): UpstreamEndpoint {
    const known = this.#endpoints.get(endpoint.slot);
    if (known !== undefined && known.address === endpoint.address && known.port === endpoint.port) return known;
    this.retire(endpoint.slot);
    const made = new UpstreamEndpoint(endpoint, this.#preface);
    this.#endpoints.set(endpoint.slot, made);
    return made;
  }

  /** An endpoint has left its pool: idle connections go, busy ones end with their exchange. */
  retire(slot: number): void {
    const upstream = this.#endpoints.get(slot);
    if (upstream === undefined) return;
    upstream.retired = true;
    this.#endpoints.delete(slot);
    for (const connection of [...upstream.idle]) connection.destroy();
    for (const connection of [...upstream.shared]) connection.retire();
  }

  retireAll(): void {
    for (const slot of this.#endpoints.keys()) this.retire(slot);
  }

  closeIdle(): void {
    for (const { idle } of this.#endpoints.values()) for (const connection of [...idle]) connection.destroy();
  }

  /** The oldest of an endpoint; they take turns, which costs little as it is rare. False = none is idle. */
  closeOne(): boolean {
    for (const [slot, upstream] of this.#endpoints) {
      const oldest = upstream.idle[0];
      if (oldest === undefined) continue;
      this.#endpoints.delete(slot);
      this.#endpoints.set(slot, upstream);
      oldest.destroy();
      return true;
    }
    return false;
  }
}
