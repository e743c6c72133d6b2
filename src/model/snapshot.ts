/** The immutable view of all watched objects that the compiler reads, and the sink that sources feed. */
import type { ObjectKey, ObjectRef } from './ids.ts';
import type { Problem } from './problem.ts';
import type {
  EndpointSlice,
  Ingress,
  IngressClass,
  Pod,
  PodVersion,
  RefusedPolicy,
  Resource,
  Secret,
  Service,
  StickyPolicy,
} from './resources.ts';

export interface Snapshot {
  readonly ingresses: ReadonlyMap<ObjectKey, Ingress>;
  readonly ingressClasses: ReadonlyMap<ObjectKey, IngressClass>;
  readonly services: ReadonlyMap<ObjectKey, Service>;
  readonly secrets: ReadonlyMap<ObjectKey, Secret>;
  readonly policies: ReadonlyMap<ObjectKey, StickyPolicy>;
  /** Refused policies that have no accepted generation. */
  readonly refusedPolicies: ReadonlyMap<ObjectKey, RefusedPolicy>;
  /** Slices by the key of their Service, then by their own name. */
  readonly slicesByService: ReadonlyMap<ObjectKey, ReadonlyMap<string, EndpointSlice>>;
  /** Only pods that are marked: drained by hand, or being deleted. */
  readonly pods: ReadonlyMap<ObjectKey, Pod>;
  /** Of all pods that have one. */
  readonly podVersions: ReadonlyMap<ObjectKey, KnownVersion>;
}

/** As few bytes as can be: a cluster has tens of thousands. */
export interface KnownVersion extends PodVersion {
  readonly uid: string;
}

/** What a source tells the store. Sources project raw objects first; a refused object comes as `problems` without `resource`, a refused StickyPolicy as a RefusedPolicy. */
export type SourceEvent =
  | {
      readonly type: 'apply';
      readonly ref: ObjectRef;
      readonly resource: Resource | undefined;
      readonly problems: readonly Problem[];
    }
  | { readonly type: 'delete'; readonly ref: ObjectRef }
  /** A pod's metadata; it is deleted like any other object, as kind `Pod`. */
  | { readonly type: 'pod'; readonly pod: Pod; readonly problems: readonly Problem[] }
  /** Problems that belong to a source location (a file that does not parse), not to an object. Replaces what that key said before. */
  | { readonly type: 'sourceProblems'; readonly key: string; readonly problems: readonly Problem[] }
  /** The source has delivered everything that exists. */
  | { readonly type: 'synced' };

export type SourceSink = (event: SourceEvent) => void;
