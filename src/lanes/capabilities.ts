/** The lanes, which requests each takes, and what a lane cannot do; read by the dispatcher and by the conformance suite. */
import type { RequestFacts } from '../model/facts.ts';

export const LANES = ['http1', 'upgrade'] as const;
export type LaneName = (typeof LANES)[number];

export interface Incapability {
  readonly lane: LaneName;
  readonly cannot: 'requestBody' | 'keepAlive' | 'pipelining' | 'http10' | 'replay' | 'otherMethods';
  readonly because: string;
}

export const CANNOT: readonly Incapability[] = [
  {
    lane: 'upgrade',
    cannot: 'requestBody',
    because: 'a WebSocket handshake is a GET without content (RFC 6455 section 4.1)',
  },
  { lane: 'upgrade', cannot: 'otherMethods', because: 'a WebSocket handshake is a GET (RFC 6455 section 4.1)' },
  { lane: 'upgrade', cannot: 'http10', because: 'HTTP/1.0 has no Upgrade (RFC 9110 section 7.8)' },
  { lane: 'upgrade', cannot: 'keepAlive', because: 'the connection belongs to the new protocol afterwards' },
  { lane: 'upgrade', cannot: 'pipelining', because: 'bytes behind the handshake belong to the new protocol' },
  { lane: 'upgrade', cannot: 'replay', because: 'a handshake always gets a fresh connection, so none is ever stale' },
];

/** Only WebSocket is upgraded: any other Upgrade is stripped and the request served as it is, h2c above all. */
export function laneOf(facts: RequestFacts & { readonly minor: number; readonly upgrade: string }): LaneName {
  return facts.upgrade === 'websocket' && facts.method === 'GET' && facts.minor === 1 ? 'upgrade' : 'http1';
}
