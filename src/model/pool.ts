/** Pools: the endpoints of one Service port with their states, as compiled from EndpointSlices. */
import type { IdentityKind, PoolKey } from './ids.ts';
import type { BackendProtocol } from './transport.ts';

export type EndpointState = 'Ready' | 'Draining' | 'NotReady';

export interface Endpoint {
  /** IP address to dial, without brackets. */
  readonly address: string;
  readonly port: number;
  readonly state: EndpointState;
  /** When it entered this state as seen here: wall clock, ms since the epoch. 0 = it was Ready when its Service was first seen. */
  readonly since: number;
  /** It has been Ready or Draining here, so that keys may have come to it: a pod that is still starting has none to keep. */
  readonly wasReady: boolean;
  /** Pod name for metrics and logs; `address:port` without a targetRef. */
  readonly pod: string;
  /** Its id in cookies of format Plain, when its pod's annotation gives one; else `pod` is. */
  readonly cookieValue?: string | undefined;
  /** Of its pod's metadata; undefined = not known. */
  readonly version?: string | undefined;
  /** Of the pod; both empty without a targetRef. */
  readonly podNamespace: string;
  readonly podUid: string;
}

type Identified = Pick<Endpoint, 'pod' | 'podNamespace' | 'podUid' | 'address' | 'port'>;

/** Made when needed: three strings kept for each endpoint would take more memory than all the rest of it. Kinds that it cannot have fall back to its address. */
export function identityOf({ pod, podNamespace, podUid, address, port }: Identified, kind: IdentityKind): string {
  if (kind === 'PodUID' && podUid !== '') return `uid:${podUid}`;
  if (kind === 'PodName' && podNamespace !== '') return `pod:${podNamespace}/${pod}`;
  return `addr:${hostPort(address, port)}`;
}

/** As in a URL: RFC 3986 section 3.2.2 puts brackets around an IPv6 address. */
export function hostPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

export interface Pool {
  readonly key: PoolKey;
  readonly namespace: string;
  readonly service: string;
  /** Service port number. */
  readonly port: number;
  /** undefined = the port has no name. */
  readonly portName?: string | undefined;
  /** undefined = HTTP. */
  readonly protocol?: BackendProtocol | undefined;
  /** Sorted by Address identity text, so that every replica has the same order whatever the slices' order (T40). */
  readonly endpoints: readonly Endpoint[];
  /** Of the pod that was made last; undefined = no version is known. */
  readonly newest?: string | undefined;
}
