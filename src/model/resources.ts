/** Kubernetes objects as Holdfast sees them: projected to the fields it uses, immutable, free of client-library types. */
import type { Certificate } from './certificate.ts';
import type { FieldLines } from './lines.ts';
import type { Location } from './problem.ts';
import type { StickyPolicySpec, TargetRef } from './sticky-policy.ts';

export interface Meta {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  /** Wall clock, ms since the epoch; undefined when the object does not say (files). Absent sorts as equally old. */
  readonly creationTimestamp: number | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** Set for objects read from files. */
  readonly location?: Location;
  /** Beside `location`: where the fields stand. */
  readonly lines?: FieldLines;
}

export interface ServiceBackend {
  readonly service: string;
  /** A Service port by number or by name. */
  readonly port: number | string;
}

/** `undefined` = the Ingress names a resource backend, which is reported and not served. */
export type BackendRef = ServiceBackend | undefined;

export type PathType = 'Exact' | 'Prefix' | 'ImplementationSpecific';

export interface IngressPath {
  readonly path: string;
  readonly pathType: PathType;
  readonly backend: BackendRef;
  /** Position among the rule's paths as written: those that cannot be read are left out here. */
  readonly index: number;
}

export interface IngressRule {
  /** As written; empty = the rule has no host. */
  readonly host: string;
  readonly paths: readonly IngressPath[];
  /** Position among the Ingress's rules as written: those that cannot be read are left out here. */
  readonly index: number;
}

export interface Ingress {
  readonly kind: 'Ingress';
  readonly meta: Meta;
  readonly className: string | undefined;
  readonly defaultBackend: BackendRef;
  readonly hasDefaultBackend: boolean;
  /** Whether it was written with rules, readable or not: one that was is nobody's catch-all. */
  readonly hasRules: boolean;
  readonly rules: readonly IngressRule[];
  readonly tls: readonly { readonly hosts: readonly string[]; readonly secretName: string }[];
}

export interface IngressClass {
  readonly kind: 'IngressClass';
  readonly meta: Meta;
  readonly controller: string;
  readonly isDefault: boolean;
}

export interface ServicePort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly appProtocol: string | undefined;
}

export interface Service {
  readonly kind: 'Service';
  readonly meta: Meta;
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
  readonly externalName: string | undefined;
  readonly publishNotReadyAddresses: boolean;
  readonly ports: readonly ServicePort[];
  /** Seconds, of `sessionAffinity: ClientIP`; undefined = it is not asked for. */
  readonly clientIPTimeout: number | undefined;
  readonly ipFamilies: readonly ('IPv4' | 'IPv6')[];
}

export interface SliceEndpoint {
  /** The first one: the API says that "consumers should only use the first address"; further ones are of the same pod. */
  readonly address: string;
  /** `undefined` = the API's null. */
  readonly ready: boolean | undefined;
  readonly serving: boolean | undefined;
  readonly terminating: boolean | undefined;
  readonly targetRef:
    { readonly kind: string; readonly namespace: string; readonly name: string; readonly uid: string } | undefined;
  /** Position among the slice's endpoints as written: those that cannot be read are left out here. */
  readonly index: number;
}

export interface SlicePort {
  readonly name: string;
  readonly port: number | undefined;
  readonly protocol: string;
  /** Position among the slice's ports as written. */
  readonly index: number;
}

export interface EndpointSlice {
  readonly kind: 'EndpointSlice';
  readonly meta: Meta;
  /** Name of the owning Service (label `kubernetes.io/service-name`); empty = none, the slice is ignored. */
  readonly service: string;
  readonly addressType: 'IPv4' | 'IPv6' | 'FQDN';
  readonly ports: readonly SlicePort[];
  readonly endpoints: readonly SliceEndpoint[];
}

export interface Secret {
  readonly kind: 'Secret';
  readonly meta: Meta;
  readonly type: string;
  /** Of `tls.crt` and `tls.key`; undefined = it does not have both. Hosts are served by those of type `kubernetes.io/tls` alone. */
  readonly certificate: Certificate | undefined;
  /** Of `ca.crt`, in PEM: whose certificates are trusted; undefined = there are none that can be read. */
  readonly authorities: string | undefined;
  /** Of `ca.crl`, each list in PEM: what the authorities have revoked; undefined = there are some that cannot be read. */
  readonly revocations: readonly string[] | undefined;
}

export interface StickyPolicy {
  readonly kind: 'StickyPolicy';
  readonly meta: Meta;
  readonly spec: StickyPolicySpec;
}

/** A StickyPolicy that cannot be accepted: what it targets stays without stickiness instead of falling to another policy. */
export interface RefusedPolicy {
  readonly kind: 'StickyPolicy';
  readonly meta: Meta;
  readonly refused: true;
  /** Those that could be read. */
  readonly targetRefs: readonly TargetRef[];
}

/** Which version of its workload a pod is. */
export interface PodVersion {
  /** Label `pod-template-hash`, else `controller-revision-hash`; shared by all pods that have it. */
  readonly version: string;
  /** When the pod was made: wall clock, ms. */
  readonly created: number;
}

/** What a pod's metadata says about draining it, and which version it is. */
export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Drained by hand: since when, wall clock ms; undefined = not drained, 0 = drained, it does not say since when. */
  readonly drainedSince: number | undefined;
  /** When its deletion was asked for: wall clock ms; undefined = it is not being deleted. */
  readonly deletedSince: number | undefined;
  /** Its id in cookies of format Plain; undefined = its name. */
  readonly cookieValue?: string | undefined;
  /** undefined = it has no such label. */
  readonly version?: PodVersion | undefined;
}

export type Resource = Ingress | IngressClass | Service | EndpointSlice | Secret | StickyPolicy | RefusedPolicy;
export type ResourceKind = Resource['kind'];

export const RESOURCE_KINDS = [
  'Ingress',
  'IngressClass',
  'Service',
  'EndpointSlice',
  'Secret',
  'StickyPolicy',
] as const;
