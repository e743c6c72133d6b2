/** A client's connection as it came here: whose it is, by its socket or by the PROXY protocol header that it began with. */
import type { Socket } from 'node:net';
import type { Ends } from '../model/ends.ts';
import { formatIp } from '../model/ip.ts';
import type { Ip } from '../model/ip.ts';
import { peerAddress } from './client-address.ts';

export class Arrival {
  /** Canonical text of the client's address, IPv4-mapping removed; empty = the connection is gone. */
  readonly address: string;
  readonly ip: Ip | undefined;

  /** @param ends undefined = those of the socket */
  constructor(socket: Socket, ends: Ends | undefined) {
    this.ip = ends === undefined ? peerAddress(socket.remoteAddress) : ends.client.ip;
    this.address = this.ip === undefined ? '' : formatIp(this.ip);
  }
}
