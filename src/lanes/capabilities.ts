/** The lanes, which requests each takes, and what cannot be done on the way; read by the dispatcher and by the conformance suite. */
import type { RequestFacts } from '../model/facts.ts';

export const LANES = ['http1', 'http2', 'upgrade'] as const;
export type LaneName = (typeof LANES)[number];

/** The way of a request: its lane, what is more to a call of gRPC, and an endpoint of HTTP/2 (GRPC, GRPCS, H2C). */
export type WayName = LaneName | 'grpc' | 'http2Endpoint';

export interface Incapability {
  readonly on: WayName;
  readonly cannot:
    | 'requestBody'
    | 'keepAlive'
    | 'pipelining'
    | 'http10'
    | 'replay'
    | 'otherMethods'
    | 'connectionFields'
    | 'badAuthority'
    | 'closeOnRefusal'
    | 'errorBody'
    | 'http1Answer';
  readonly because: string;
}

export const CANNOT: readonly Incapability[] = [
  { on: 'http2', cannot: 'http10', because: 'HTTP/2 is a version of its own' },
  { on: 'http2', cannot: 'pipelining', because: 'streams are answered in whatever order' },
  {
    on: 'http2',
    cannot: 'connectionFields',
    because: 'fields of a connection make a request malformed (RFC 9113 section 8.2.2)',
  },
  {
    on: 'http2',
    cannot: 'badAuthority',
    because: 'a malformed request is a stream error, it has no answer (RFC 9113 section 8.1.1)',
  },
  { on: 'http2', cannot: 'closeOnRefusal', because: 'the other streams of the connection go on' },
  {
    on: 'upgrade',
    cannot: 'requestBody',
    because: 'a WebSocket handshake is a GET without content (RFC 6455 section 4.1)',
  },
  { on: 'upgrade', cannot: 'otherMethods', because: 'a WebSocket handshake is a GET (RFC 6455 section 4.1)' },
  { on: 'upgrade', cannot: 'http10', because: 'HTTP/1.0 has no Upgrade (RFC 9110 section 7.8)' },
  { on: 'upgrade', cannot: 'keepAlive', because: 'the connection belongs to the new protocol afterwards' },
  { on: 'upgrade', cannot: 'pipelining', because: 'bytes behind the handshake belong to the new protocol' },
  { on: 'upgrade', cannot: 'replay', because: 'a handshake always gets a fresh connection, so none is ever stale' },
  { on: 'grpc', cannot: 'otherMethods', because: 'a call is a POST (PROTOCOL-HTTP2.md of the gRPC project)' },
  { on: 'grpc', cannot: 'replay', because: 'a call is a POST, which is not sent twice (RFC 9110 section 9.2.2)' },
  { on: 'grpc', cannot: 'errorBody', because: 'a refusal is a status of gRPC in the head, and nothing else' },
  {
    on: 'http2Endpoint',
    cannot: 'http1Answer',
    because: 'an answer has no status line, no framing of its own and no field of a connection (RFC 9113 section 8)',
  },
];

/** Only WebSocket is upgraded: any other Upgrade is stripped and the request served as it is, h2c above all. */
export function laneOf(facts: RequestFacts & { readonly minor: number; readonly upgrade: string }): LaneName {
  return facts.upgrade === 'websocket' && facts.method === 'GET' && facts.minor === 1 ? 'upgrade' : 'http1';
}
