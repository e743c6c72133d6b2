/** What backends are told about where a request came from; computed per connection as far as that goes. */
import type { RequestHead } from '../http1/request-head.ts';
import type { TlsFacts } from '../model/facts.ts';
import type { Arrival } from './arrival.ts';
import { forwardedElement } from './client-address.ts';
import type { LaneContext } from './context.ts';

/** A client's own request id is kept when it looks like one; anything else is replaced. */
const REQUEST_ID = /^[A-Za-z0-9._:+/=-]{1,128}$/;

export class Forwarding {
  readonly #ctx: LaneContext;
  readonly arrival: Arrival;
  /** Text of the peer's address. */
  readonly peer: string;
  /** How the connection came here; a trusted proxy may say otherwise of a request. */
  readonly #scheme: 'http' | 'https';
  readonly #tls: TlsFacts;
  /** Lines that are the same for every request of an untrusted peer, up to the host. */
  readonly #prefix: string;

  constructor(ctx: LaneContext, arrival: Arrival, scheme: 'http' | 'https', tls: TlsFacts) {
    this.#ctx = ctx;
    this.arrival = arrival;
    this.peer = arrival.peer.address;
    this.#scheme = scheme;
    this.#tls = tls;
    this.#prefix = arrival.peer.lines[scheme] ??= headerLines(this.peer, this.peer, scheme, ctx.publicPorts[scheme]);
  }

  /** Fills in the head's `clientAddress`, `scheme`, `port` and `tls`; returns the lines to add, each ending in CR LF. */
  lines(head: RequestHead, requestId: string): string {
    head.tls = this.#tls;
    return this.arrival.peer.trusted ? this.#behindProxy(head, requestId) : this.#direct(head, requestId);
  }

  /** An untrusted peer's own forwarding headers were dropped with the head's marked lines. */
  #direct(head: RequestHead, requestId: string): string {
    head.clientAddress = this.peer;
    head.scheme = this.#scheme;
    head.port = this.#ctx.publicPorts[this.#scheme];
    const lines = `${this.#prefix}${head.authority}\r\nX-Request-Id: ${requestId}\r\n`;
    return this.#ctx.settings.forwardedHeader ? lines + this.#forwarded(head, '') : lines;
  }

  #behindProxy(head: RequestHead, requestId: string): string {
    const client = this.#ctx.addresses.behind(this.peer, head, this.#scheme);
    head.clientAddress = client.address;
    head.scheme = client.scheme;
    const chain = client.chain === '' ? this.peer : `${client.chain}, ${this.peer}`;
    const ownPort = this.#ctx.publicPorts[this.#scheme];
    const own = client.scheme === this.#scheme ? String(ownPort) : undefined;
    const port = head.header('x-forwarded-port') ?? own ?? (client.scheme === 'https' ? '443' : '80');
    head.port = /^\d{1,5}$/.test(port) ? Number(port) : ownPort;
    const host = head.header('x-forwarded-host') ?? head.authority;
    const lines = `${headerLines(chain, client.address, client.scheme, port)}${host}\r\nX-Request-Id: ${requestId}\r\n`;
    return this.#ctx.settings.forwardedHeader ? lines + this.#forwarded(head, head.forwarded) : lines;
  }

  #forwarded(head: RequestHead, before: string): string {
    const element = forwardedElement(this.peer, head.authority, head.scheme);
    return `Forwarded: ${before === '' ? element : `${before}, ${element}`}\r\n`;
  }
}

/** The id that the request has, or a new one. */
export function requestIdOf(head: RequestHead, ctx: LaneContext): string {
  return head.xRequestId !== '' && REQUEST_ID.test(head.xRequestId) ? head.xRequestId : ctx.newRequestId();
}

/** Joined, not concatenated: that would keep a tree of all the pieces. */
function headerLines(chain: string, client: string, scheme: string, port: string | number): string {
  return [
    `X-Forwarded-For: ${chain}`,
    `X-Real-IP: ${client}`,
    `X-Forwarded-Proto: ${scheme}`,
    `X-Forwarded-Port: ${port}`,
    'X-Forwarded-Host: ',
  ].join('\r\n');
}
