/** What a status shall look like, worked out from the object as it is: pure, so that nothing is written when nothing changes. */
import { isDeepStrictEqual } from 'node:util';
import { conditionsOf } from '../compile/passes/status.ts';
import type { Condition, PolicyStatus } from '../model/status.ts';
import type { TargetRef } from '../model/sticky-policy.ts';
import { MAX_ANCESTORS } from '../api/crd-status.ts';

/** An object as the API gives it, as far as it matters here. */
export interface RawObject {
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
  };
  readonly status?: unknown;
}

/** One entry of `status.loadBalancer.ingress`. */
export type LoadBalancerAddress = { readonly ip: string } | { readonly hostname: string };

/** The status to apply; undefined = the addresses stand there already. */
export function loadBalancerOf(
  raw: RawObject,
  addresses: readonly LoadBalancerAddress[],
): Record<string, unknown> | undefined {
  const { loadBalancer } = (raw.status ?? {}) as { loadBalancer?: { ingress?: Record<string, unknown>[] } };
  // What others add to an address, such as ports, is no reason to write.
  const now = (loadBalancer?.ingress ?? []).map(({ ip, hostname }) => (ip === undefined ? { hostname } : { ip }));
  return isDeepStrictEqual(now, addresses) ? undefined : { loadBalancer: { ingress: addresses } };
}

interface Ancestor {
  readonly ancestorRef?: Readonly<Record<string, unknown>>;
  readonly controllerName?: string;
  readonly conditions?: readonly RawCondition[];
}

interface RawCondition {
  readonly type?: string;
  readonly status?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly observedGeneration?: number;
  readonly lastTransitionTime?: string;
}

/** What is said of a policy, whichever object has its name. */
type Verdicts = Pick<PolicyStatus, 'generation' | 'targets'>;

export interface AncestorsInput {
  readonly controllerName: string;
  /** undefined = the policy is not known any more. */
  readonly status: Verdicts | undefined;
  /** Why the policy as it stands there was refused; undefined = it was not. */
  readonly refused: string | undefined;
  /** Wall clock, ms. */
  readonly now: number;
}

/** Bound of metav1.Condition, in the schema of the status. */
const MAX_MESSAGE = 32_768;

/** The status to apply; undefined = our entries say all that already. Entries of other controllers are kept as they are. */
export function ancestorsOf(raw: RawObject, input: AncestorsInput): Record<string, unknown> | undefined {
  const all = ((raw.status ?? {}) as { ancestors?: Ancestor[] }).ancestors ?? [];
  const isOurs = ({ controllerName }: Ancestor): boolean => controllerName === input.controllerName;
  const ours = all.filter(isOurs);
  const others = all.filter((ancestor) => !isOurs(ancestor));
  const { targets, generation } = wanted(raw, input);
  const next = targets.slice(0, Math.max(0, MAX_ANCESTORS - others.length)).map((target) => {
    const ancestorRef = refOf(target.target, raw.metadata?.namespace ?? '');
    const before = ours.find((ancestor) => isDeepStrictEqual(ancestor.ancestorRef, ancestorRef));
    return {
      ancestorRef,
      controllerName: input.controllerName,
      conditions: target.conditions.map((condition) => conditionOf(condition, before, generation, input.now)),
    };
  });
  return isDeepStrictEqual(ours, next) ? undefined : { ancestors: [...others, ...next] };
}

/**
 * A refused policy is told about in the generation that was read; where an earlier one is still in force, at that one's
 * targets.
 */
function wanted(raw: RawObject, { status, refused }: AncestorsInput): Verdicts {
  const known = status ?? { generation: 0, targets: [] };
  if (refused === undefined) return known;
  const conditions = conditionsOf({ reason: 'Invalid', message: refused });
  return {
    generation: raw.metadata?.generation ?? 0,
    targets: known.targets.map(({ target }) => ({ target, conditions })),
  };
}

function refOf({ group, kind, name, sectionName }: TargetRef, namespace: string): Record<string, string> {
  return { group, kind, namespace, name, ...(sectionName === undefined ? {} : { sectionName }) };
}

function conditionOf(
  { type, status, reason, message }: Condition,
  before: Ancestor | undefined,
  observedGeneration: number,
  now: number,
): RawCondition {
  const known = before?.conditions?.find((condition) => condition.type === type);
  const lastTransitionTime =
    known?.status === status && known.lastTransitionTime !== undefined
      ? known.lastTransitionTime
      : new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
  return { lastTransitionTime, message: message.slice(0, MAX_MESSAGE), observedGeneration, reason, status, type };
}
