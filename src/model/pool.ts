/** Pools: the endpoints of one Service port with their states, as compiled from EndpointSlices. */
import type { IdentityKind, PoolKey } from './ids.ts';

export type EndpointState = 'Ready' | 'Draining' | 'NotReady';

export interface Endpoint {
  /** IP address to dial, without brackets. */
  readonly address: string;
  readonly port: number;
  readonly state: EndpointState;
  /** When it entered this state as seen here: wall clock, ms since the epoch. */
  readonly since: number;
  /** Pod name for metrics and logs; `address:port` without a targetRef. */
  readonly pod: string;
  /** Of the pod; both empty without a targetRef. */
  readonly podNamespace: string;
  readonly podUid: string;
}

/** Made when needed: three strings kept for each endpoint would take more memory than all the rest of it. Kinds that it cannot have fall back to its address. */
export function identityOf(
  { pod, podNamespace, podUid, address, port }: Omit<Endpoint, 'state' | 'since'>,
  kind: IdentityKind,
): string {
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
  /** Sorted by Address identity text, so that every replica has the same order whatever the slices' order (T40). */
  readonly endpoints: readonly Endpoint[];
}
