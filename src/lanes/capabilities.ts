/** The lanes, which requests each takes, and what a lane cannot do; read by the dispatcher and by the conformance suite. */
import type { RequestFacts } from '../model/facts.ts';

export const LANES = ['http1', 'http2', 'upgrade'] as const;
export type LaneName = (typeof LANES)[number];

export interface Incapability {
  readonly lane: LaneName;
  readonly cannot:
    | 'requestBody'
    | 'keepAlive'
    | 'pipelining'
    | 'http10'
    | 'replay'
    | 'otherMethods'
    | 'connectionFields'
    | 'badAuthority'
    | 'closeOnRefusal';
  readonly because: string;
}

export const CANNOT: readonly Incapability[] = [
  { lane: 'http2', cannot: 'http10', because: 'HTTP/2 is a version of its own' },
  { lane: 'http2', cannot: 'pipelining', because: 'streams are answered in whatever order' },
  {
    lane: 'http2',
    cannot: 'connectionFields',
    because: 'fields of a connection make a request malformed (RFC 9113 section 8.2.2)',
  },
  {
    lane: 'http2',
    cannot: 'badAuthority',
    because: 'a malformed request is a stream error, it has no answer (RFC 9113 section 8.1.1)',
  },
  { lane: 'http2', cannot: 'closeOnRefusal', because: 'the other streams of the connection go on' },
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
