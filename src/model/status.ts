/** What a compilation says about objects themselves, for their `status`: plain data, without times. */
import type { ObjectKey } from './ids.ts';
import type { TargetRef } from './sticky-policy.ts';

export type ConditionType = 'Accepted' | 'ResolvedRefs' | 'Programmed';
export type ConditionReason = ConditionType | 'Invalid' | 'Conflicted' | 'TargetNotFound' | 'BackendNotFound';

/** metav1.Condition without its times and generation. */
export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False';
  readonly reason: ConditionReason;
  readonly message: string;
}

/** One target of a policy (GEP-713: an ancestor); in the policy's own namespace. */
export interface TargetStatus {
  readonly target: TargetRef;
  readonly conditions: readonly Condition[];
}

export interface PolicyStatus {
  /** The object's UID: one that is deleted and made again under its name has no status yet. */
  readonly uid: string;
  /** The generation that was compiled; of one that is refused from the start, the one that was refused. */
  readonly generation: number;
  /** Empty = nothing that this controller serves is targeted; it says nothing about the policy. */
  readonly targets: readonly TargetStatus[];
}

export interface CompiledStatus {
  /** UIDs of the Ingresses that are ours. */
  readonly ingresses: ReadonlyMap<ObjectKey, string>;
  /** Every StickyPolicy of the snapshot within the watched namespaces, refused ones too. */
  readonly policies: ReadonlyMap<ObjectKey, PolicyStatus>;
}
