/** The two ends of a connection as its client sees them, which the PROXY protocol tells of. */
import type { Ip } from './ip.ts';

export interface End {
  readonly ip: Ip;
  readonly port: number;
}

export interface Ends {
  readonly client: End;
  readonly server: End;
}

/** Whether both have IPv4 addresses. */
export function inIpv4({ client, server }: Ends): boolean {
  return client.ip.version === 4 && server.ip.version === 4;
}

/** Of the PROXY protocol (HAProxy's proxy-protocol.txt): a line of text, or a binary block. */
export type ProxyVersion = 'v1' | 'v2';
