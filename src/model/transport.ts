/** How endpoints are spoken to: the protocols, and what TLS towards them asks for. */
import type { KeyPair } from './certificate.ts';

export type BackendProtocol = 'HTTP' | 'HTTPS' | 'GRPC' | 'GRPCS' | 'H2C';

/** As an Ingress may want it. AUTO_HTTP: HTTPS for requests that came over HTTPS, HTTP for the others. */
export type WantedProtocol = BackendProtocol | 'AUTO_HTTP';

/** What each protocol is made of. */
export const PROTOCOLS: Readonly<Record<BackendProtocol, { readonly tls: boolean; readonly http2: boolean }>> = {
  HTTP: { tls: false, http2: false },
  HTTPS: { tls: true, http2: false },
  GRPC: { tls: false, http2: true },
  GRPCS: { tls: true, http2: true },
  H2C: { tls: false, http2: true },
};

/** What an Ingress asks for of TLS to its endpoints. Holds a private key: never to be logged. */
export interface UpstreamTls {
  /** The settings as a text, without what Secrets hold: routes with the same ones share connections. */
  readonly id: string;
  /** PEM of who must have signed an endpoint's certificate; undefined = it is not verified. */
  readonly authorities: string | undefined;
  /** For endpoints that ask who we are. */
  readonly pair: KeyPair | undefined;
  /** What an endpoint's certificate must be for; undefined = the Service's name in the cluster. */
  readonly name: string | undefined;
  /** The name is sent, too (SNI, RFC 6066 section 3). */
  readonly sendsName: boolean;
}

/** What an Ingress says about its endpoints. */
export interface RouteTransport {
  /** undefined = what the Service port says. */
  readonly protocol: WantedProtocol | undefined;
  /** Id of an UpstreamTls; undefined = nothing is verified and no name is sent. */
  readonly tls: string | undefined;
}
