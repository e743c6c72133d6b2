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
  /** It has been Ready or Draining here, so that keys may have come to it: a pod that is still starting has none to keep. */
  readonly wasReady: boolean;
  /** Pod name for metrics and logs; `address:port` without a targetRef. */
  readonly pod: string;
  /** Its id in cookies of format Plain, when its pod's annotation gives one; else `pod` is. */
  readonly cookieValue?: string | undefined;
  /** One string per identity kind; kinds that the endpoint cannot have fall back to its Address identity. */
  readonly identities: Readonly<Record<IdentityKind, string>>;
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
