/** A client's connection as it came here: whose it is, by its socket or by the PROXY protocol header that it began with. */
import type { Socket } from 'node:net';
import type { TcpSocket } from '../io/tcp-socket.ts';
import type { Ends, ProxyVersion } from '../model/ends.ts';
import { formatIp } from '../model/ip.ts';
import { headerText } from '../proxy-protocol/write.ts';
import type { EndpointPools } from '../upstream/endpoint-pools.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { peerAddress } from './client-address.ts';
import type { ClientAddresses, Peer } from './client-address.ts';

export class Arrival {
  readonly peer: Peer;
  readonly #socket: Socket | TcpSocket;
  readonly #ends: Ends | undefined;
  #pools: Map<ProxyVersion, EndpointPools> | undefined;

  /** @param ends undefined = those of the socket */
  constructor(addresses: ClientAddresses, socket: Socket | TcpSocket, ends: Ends | undefined) {
    this.#socket = socket;
    this.#ends = ends;
    this.peer = addresses.peer(ends === undefined ? socket.remoteAddress : formatIp(ends.client.ip));
  }

  /**
   * Connections to endpoints that begin with a PROXY protocol header: the client's alone, and gone when it is gone.
   * undefined = it takes no header, and everybody's connections will do.
   */
  pools(version: ProxyVersion | undefined, upstreams: Upstreams): EndpointPools | undefined {
    if (version === undefined) return undefined;
    this.#pools ??= new Map();
    const known = this.#pools.get(version);
    if (known !== undefined) return known;
    const made = upstreams.openOwn(headerText(version, this.#ends ?? endsOf(this.#socket)));
    this.#pools.set(version, made);
    this.#socket.once('close', () => upstreams.closeOwn(made));
    return made;
  }
}

function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket | TcpSocket): Ends | undefined {
  const client = peerAddress(remoteAddress);
  const server = peerAddress(localAddress);
  if (client === undefined || server === undefined) return undefined;
  return { client: { ip: client, port: remotePort ?? 0 }, server: { ip: server, port: localPort ?? 0 } };
}
