/** Connections by endpoint, of those who may share them: all clients, or one whose connections begin with its own header. */
import type { LiveEndpoint, LiveService } from '../model/live.ts';
import type { UpstreamConnection } from './connection.ts';
import type { Http2UpstreamConnection } from './http2-connection.ts';
import type { TlsProfile } from './tls.ts';

/** An address spoken to in one way, with its pool of idle connections, newest last. */
export class UpstreamEndpoint {
  readonly slot: number;
  readonly address: string;
  readonly port: number;
  readonly service: LiveService;
  /** undefined = in plain text. */
  readonly tls: TlsProfile | undefined;
  /** The last TLS session that it gave us. */
  session: Buffer | undefined;
  /** What every connection begins with, in latin1; empty = nothing. */
  readonly preface: string;
  /** The same address, spoken to otherwise. */
  next: UpstreamEndpoint | undefined;
  readonly idle: UpstreamConnection[] = [];
  /** Connections of HTTP/2 that take more requests, the fullest first. */
  readonly shared: Http2UpstreamConnection[] = [];
  /** It has left its pool: connections are closed instead of kept. */
  retired = false;

  constructor(
    endpoint: LiveEndpoint,
    tls: TlsProfile | undefined,
    preface: string,
    next: UpstreamEndpoint | undefined,
  ) {
    this.slot = endpoint.slot;
    this.address = endpoint.address;
    this.port = endpoint.port;
    this.service = endpoint.service;
    this.tls = tls;
    this.preface = preface;
    this.next = next;
  }
}

export class EndpointPools {
  readonly #preface: string;
  /** By slot, the first of each address. */
  readonly #endpoints = new Map<number, UpstreamEndpoint>();

  /** @param preface what every connection begins with, in latin1 */
  constructor(preface: string) {
    this.#preface = preface;
  }

  of(endpoint: LiveEndpoint, tls: TlsProfile | undefined): UpstreamEndpoint {
    const { slot, address, port } = endpoint;
    let first = this.#endpoints.get(slot);
    if (first !== undefined && (first.address !== address || first.port !== port)) {
      this.retire(slot);
      first = undefined;
    }
    let one = first;
    while (one !== undefined && one.tls !== tls) one = one.next;
    if (one !== undefined) return one;
    const made = new UpstreamEndpoint(endpoint, tls, this.#preface, first);
    this.#endpoints.set(slot, made);
    return made;
  }

  /** An endpoint has left its pool: idle connections go, busy ones end with their exchange. */
  retire(slot: number): void {
    for (const one of waysOf(this.#endpoints.get(slot))) retireOne(one);
    this.#endpoints.delete(slot);
  }

  /** No request is for these settings any more. */
  retireTls(tls: TlsProfile): void {
    for (const [slot, first] of this.#endpoints) {
      let kept: UpstreamEndpoint | undefined;
      for (const one of [...waysOf(first)]) {
        if (one.tls === tls) retireOne(one);
        else {
          one.next = kept;
          kept = one;
        }
      }
      if (kept === undefined) this.#endpoints.delete(slot);
      else this.#endpoints.set(slot, kept);
    }
  }

  retireAll(): void {
    for (const slot of this.#endpoints.keys()) this.retire(slot);
  }

  closeIdle(): void {
    for (const first of this.#endpoints.values()) for (const one of waysOf(first)) closeAll(one.idle);
  }
}

function* waysOf(first: UpstreamEndpoint | undefined): Generator<UpstreamEndpoint> {
  for (let one = first; one !== undefined; one = one.next) yield one;
}

/** Idle connections go, busy ones end with their exchange. */
function retireOne(upstream: UpstreamEndpoint): void {
  upstream.retired = true;
  closeAll(upstream.idle);
  for (const connection of [...upstream.shared]) connection.retire();
}

/** They take themselves out of the list. */
function closeAll(idle: readonly UpstreamConnection[]): void {
  for (const connection of [...idle]) connection.destroy();
}
