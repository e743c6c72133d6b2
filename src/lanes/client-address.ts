/** Who the client is: the peer, or what trusted proxies say; and the headers that tell the backend. */
import { cidrContains, formatIp, parseCidr, parseIp } from '../model/ip.ts';
import type { Cidr, Ip } from '../model/ip.ts';

/** What a request says about its way here. Empty = not said. */
export interface ForwardingFields {
  readonly xForwardedFor: string;
  readonly forwarded: string;
  readonly xForwardedProto: string;
}

export interface Client {
  /** Canonical text of the address, IPv4-mapping removed. */
  readonly address: string;
  readonly scheme: 'http' | 'https';
  /** What stands in X-Forwarded-For before this hop is added: trusted hops only keep it. */
  readonly chain: string;
}

/** Who is at the other end of a connection. */
export class Peer {
  /** Canonical text of the address, IPv4-mapping removed; empty = the connection is gone. */
  readonly address: string;
  readonly trusted: boolean;
  /** What backends are told of it in any case, by the scheme that it came with; see `Forwarding`. */
  readonly lines: { http?: string; https?: string } = {};

  constructor(address: string, trusted: boolean) {
    this.address = address;
    this.trusted = trusted;
  }
}

/** So many are known at a time. */
const PEERS = 1024;

export class ClientAddresses {
  readonly #trusted: readonly Cidr[];
  /** By the text that their sockets have. Clients open several connections, and behind a load balancer all come from a few. */
  readonly #peers = new Map<string, Peer>();

  /** `trusted`: CIDRs or bare addresses, checked when the configuration was read. */
  constructor(trusted: readonly string[]) {
    this.#trusted = trusted.flatMap(
      (text) => parseCidr(text) ?? parseCidr(`${text}/${text.includes(':') ? 128 : 32}`) ?? [],
    );
  }

  /** The same for all connections of a peer, unless a thousand others came in between. @param remote as its socket has it */
  peer(remote = ''): Peer {
    const known = this.#peers.get(remote);
    if (known !== undefined) return known;
    if (this.#peers.size >= PEERS) this.#peers.clear();
    const ip = peerAddress(remote);
    const peer = new Peer(ip === undefined ? '' : formatIp(ip), this.trusts(ip));
    this.#peers.set(remote, peer);
    return peer;
  }

  trusts(ip: Ip | undefined): boolean {
    return ip !== undefined && this.#trusted.some((cidr) => cidrContains(cidr, ip));
  }

  /** The client behind a trusted peer: the chain is walked from the right to the first address that is not trusted (T43). */
  behind(peer: string, fields: ForwardingFields, scheme: 'http' | 'https'): Client {
    const hops =
      fields.xForwardedFor !== ''
        ? fields.xForwardedFor.split(',').map((hop) => hop.trim())
        : forwardedFor(fields.forwarded);
    let address = peer;
    for (let i = hops.length - 1; i >= 0; i--) {
      const ip = parseIp(withoutPort(hops[i] ?? ''));
      if (ip === undefined) break;
      address = formatIp(ip);
      if (!this.trusts(ip)) break;
    }
    const proto = (lastItem(fields.xForwardedProto) || forwardedProto(fields.forwarded)).toLowerCase();
    return { address, scheme: proto === 'https' || proto === 'http' ? proto : scheme, chain: hops.join(', ') };
  }
}

/** A peer's address, as its socket has it; undefined = the connection is gone. */
export function peerAddress(remote: string | undefined): Ip | undefined {
  return remote === undefined ? undefined : parseIp(remote.split('%')[0] ?? '');
}

/** RFC 7239 section 4: one element for this hop. */
export function forwardedElement(address: string, host: string, scheme: string): string {
  const node = address.includes(':') ? `"[${address}]"` : address;
  const hostPair = host === '' ? '' : `;host="${host.replace(/["\\]/g, '\\$&')}"`;
  return `for=${node}${hostPair};proto=${scheme}`;
}

function lastItem(list: string): string {
  return list.slice(list.lastIndexOf(',') + 1).trim();
}

/** `1.2.3.4:80` and `[::1]:80` lose the port, `[::1]` its brackets. */
function withoutPort(node: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(node);
  if (bracketed !== null) return bracketed[1] ?? '';
  return /^[^:]*:\d+$/.test(node) ? node.slice(0, node.indexOf(':')) : node;
}

function forwardedFor(header: string): string[] {
  if (header === '') return [];
  return header.split(',').map((element) => /(?:^|;)\s*for="?([^";,]*)/i.exec(element)?.[1] ?? '');
}

function forwardedProto(header: string): string {
  return /(?:^|;)\s*proto="?([a-z]+)/i.exec(lastItem(header))?.[1] ?? '';
}
