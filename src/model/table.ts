/** The immutable compiled routing table; plain data, sent to workers piece by piece. Pools travel beside it (the fast path). */
import type { ClientAuthorities, ClientVerification, TableCertificate, TlsHost } from './certificate.ts';
import type { Canary } from './canary.ts';
import type { ProxyVersion } from './ends.ts';
import type { ObjectKey, PoolKey } from './ids.ts';
import type { CompiledAffinity, CompiledPolicy, PolicyId } from './policy.ts';
import type { PathType } from './resources.ts';
import type { BackendProtocol, RouteTransport, UpstreamTls } from './transport.ts';

export interface Route {
  readonly namespace: string;
  /** Name of the Ingress; empty for `--default-backend`. */
  readonly ingress: string;
  /** As written in the Ingress; empty for a default backend. */
  readonly path: string;
  readonly pathType: PathType;
  readonly service: string;
  /** undefined = the backend is broken (missing Service or port): answered 503. */
  readonly pool: PoolKey | undefined;
  /** Id of a CompiledAffinity; undefined = balanced without stickiness. */
  readonly affinity: string | undefined;
  /** Requests that came over plain HTTP are sent to HTTPS. */
  readonly redirectsToHttps?: true | undefined;
  /** Value of Strict-Transport-Security for answers over HTTPS. */
  readonly hsts?: string | undefined;
  /** Connections to its endpoints begin with a PROXY protocol header that names the client. */
  readonly sendProxyProtocol?: ProxyVersion | undefined;
  /** How its endpoints are spoken to, those of its splits and its canary included; undefined = as the Service ports say. */
  readonly transport?: RouteTransport | undefined;
  /** undefined = nobody is asked for a certificate. */
  readonly clientVerification?: ClientVerification | undefined;
  /** Of the policy's rules with `backends`, in order: the first that holds takes the place of `service`. undefined = there are none. */
  readonly splits?: readonly RouteSplit[] | undefined;
  /** Where some of the requests go that no split is for; undefined = there is no canary. */
  readonly canary?: RouteCanary | undefined;
}

export interface RouteCanary extends Canary {
  readonly service: string;
  readonly pool: PoolKey;
}

/** A rule with `backends` at one route. */
export interface RouteSplit {
  /** Index in the policy. */
  readonly rule: number;
  /** Id of the CompiledAffinity of its first Service, which has the backends. */
  readonly affinity: string;
  /** Names of its Services, those that exist; the first answers for what none of them served. */
  readonly services: readonly string[];
}

export interface VirtualHost {
  /** Lower case: `a.example`, `*.a.example`, or empty for rules without a host. */
  readonly host: string;
  readonly routes: readonly Route[];
  /** Unmatched paths of this host (an Ingress's defaultBackend). */
  readonly fallback: Route | undefined;
}

/** Which Service port a pool is made from, so that endpoint changes rebuild it without recompiling routes. */
export interface PoolSpec {
  readonly key: PoolKey;
  readonly namespace: string;
  readonly service: string;
  readonly serviceKey: ObjectKey;
  /** Service port number. */
  readonly port: number;
  /** Service port name, which EndpointSlice ports carry; empty = unnamed. */
  readonly portName: string;
  readonly ipFamily: 'IPv4' | 'IPv6' | undefined;
  readonly publishNotReadyAddresses: boolean;
  /** Loopback, link-local and unspecified addresses are not dialled: true in a cluster, where anybody may write an EndpointSlice. */
  readonly refuseLocal?: boolean;
  /** As the port's `appProtocol` says; undefined = HTTP. */
  readonly protocol?: BackendProtocol | undefined;
}

export interface Table {
  readonly hosts: ReadonlyMap<string, VirtualHost>;
  /** Everything that no host matched. */
  readonly fallback: Route | undefined;
  readonly policies: ReadonlyMap<PolicyId, CompiledPolicy>;
  readonly affinities: ReadonlyMap<string, CompiledAffinity>;
  readonly pools: ReadonlyMap<PoolKey, PoolSpec>;
  /** By host. */
  readonly tlsHosts: ReadonlyMap<string, TlsHost>;
  /** Those that some host needs. */
  readonly certificates: ReadonlyMap<ObjectKey, TableCertificate>;
  /** What routes ask for of TLS to endpoints, by id. */
  readonly upstreamTls: ReadonlyMap<string, UpstreamTls>;
  /** By id. */
  readonly clientAuthorities: ReadonlyMap<string, ClientAuthorities>;
}
