/** Pass 9: what the status of each StickyPolicy says, target by target (GEP-713). */
import { objectKey } from '../../model/ids.ts';
import type { ObjectKey } from '../../model/ids.ts';
import type { CompiledPolicy, PolicyId } from '../../model/policy.ts';
import type { Ingress } from '../../model/resources.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { CompiledStatus, Condition, ConditionReason, PolicyStatus, TargetStatus } from '../../model/status.ts';
import type { TargetRef } from '../../model/sticky-policy.ts';
import type { DraftRoute } from '../draft.ts';
import { oldestFirst } from '../order.ts';
import type { IngressWishes } from './attachment.ts';
import { cautionsOf } from './cautions.ts';
import type { Canaries } from './canaries.ts';
import type { Splits } from './splits.ts';
import { REFUSED, type PolicyTargets, type TargetVerdict } from './targets.ts';

export interface StatusInput {
  readonly podMetadata: boolean;
  readonly snapshot: Snapshot;
  readonly watched: (namespace: string) => boolean;
  readonly ingresses: readonly Ingress[];
  readonly routes: Iterable<DraftRoute>;
  readonly wishes: ReadonlyMap<Ingress, IngressWishes>;
  readonly targets: PolicyTargets;
  readonly splits: Splits;
  readonly canaries: Canaries;
  /** Why policies are not applied anywhere: their cookies collide with an older policy's. */
  readonly collisions: ReadonlyMap<PolicyId, string>;
  /** Those that are applied. */
  readonly policies: ReadonlyMap<PolicyId, CompiledPolicy>;
}

const GOOD = 'The policy is accepted.';
const RESOLVED = 'The target exists.';

export function compileStatus(input: StatusInput): CompiledStatus {
  const ingresses = new Map(input.ingresses.map(({ meta }) => [objectKey(meta.namespace, meta.name), meta.uid]));
  const services = new Set<ObjectKey>();
  for (const { namespace, service } of input.routes) if (service !== '') services.add(objectKey(namespace, service));
  for (const { serviceKey } of [...input.splits.pools(), ...input.canaries.pools()]) services.add(serviceKey);
  const named = namedBy(input.wishes);
  const policies = new Map<ObjectKey, PolicyStatus>();
  for (const policy of [...input.snapshot.policies.values(), ...input.snapshot.refusedPolicies.values()]) {
    const { namespace, name, uid, generation } = policy.meta;
    if (!input.watched(namespace)) continue;
    const collision = input.collisions.get(`${namespace}/${name}`);
    const compiled = input.policies.get(`${namespace}/${name}`);
    const cautions = compiled === undefined ? [] : cautionsOf(compiled, input.podMetadata);
    const said = [GOOD, ...cautions.map(({ field, message }) => `${field}: ${message}`)].join(' ');
    const byName = named.get(objectKey(namespace, name)) ?? [];
    const fault = 'refused' in policy ? REFUSED : undefined;
    const verdicts = [
      ...input.targets.verdictsOf(policy),
      ...byName.map((target) => ({ target, exists: true, fault })),
    ];
    const mine = verdicts.filter(({ target }) => {
      const key = objectKey(namespace, target.name);
      return target.kind === 'Ingress' ? ingresses.has(key) : services.has(key);
    });
    // A policy that targets only what somebody else serves is theirs to report; one that targets nothing that exists is everybody's.
    const missing = verdicts.filter(({ exists }) => !exists);
    const told = mine.length > 0 || missing.length === verdicts.length ? unique([...mine, ...missing]) : [];
    policies.set(objectKey(namespace, name), {
      uid,
      generation,
      targets: told.map((verdict) =>
        targetStatus(verdict, collision, said, input.splits.unresolved.get(`${namespace}/${name}`)),
      ),
    });
  }
  return { ingresses, policies };
}

/** Ingresses that name a policy in their annotations are its targets, too. */
function namedBy(wishes: ReadonlyMap<Ingress, IngressWishes>): Map<ObjectKey, TargetRef[]> {
  const named = new Map<ObjectKey, TargetRef[]>();
  for (const ingress of oldestFirst(wishes.keys())) {
    const { meta } = ingress;
    const name = wishes.get(ingress)?.policyName;
    if (name === undefined) continue;
    const target: TargetRef = { group: 'networking.k8s.io', kind: 'Ingress', name: meta.name };
    const key = objectKey(meta.namespace, name);
    named.set(key, [...(named.get(key) ?? []), target]);
  }
  return named;
}

/** A target that is named twice is told once; the first verdict is the one that holds. */
function unique(verdicts: readonly TargetVerdict[]): TargetVerdict[] {
  const seen = new Map<string, TargetVerdict>();
  for (const verdict of verdicts) {
    const { kind, name, sectionName } = verdict.target;
    const key = JSON.stringify([kind, name, sectionName ?? '']);
    if (!seen.has(key)) seen.set(key, verdict);
  }
  return [...seen.values()];
}

function targetStatus(
  { target, fault }: TargetVerdict,
  collision: string | undefined,
  said: string,
  unresolved: string | undefined,
): TargetStatus {
  const why = fault ?? (collision === undefined ? undefined : { reason: 'Conflicted' as const, message: collision });
  return { target, conditions: conditionsOf(why, said, unresolved) };
}

/**
 * The three conditions; `why` = what stands against the policy, `said` = what is said when nothing does, `unresolved` =
 * what it names besides its targets that is not there, while the rest of it works.
 */
export function conditionsOf(
  why: { readonly reason: ConditionReason; readonly message: string } | undefined,
  said = GOOD,
  unresolved?: string,
): readonly Condition[] {
  const lost = unresolved === undefined ? undefined : ({ reason: 'BackendNotFound', message: unresolved } as const);
  const missing = why?.reason === 'TargetNotFound' ? why : lost;
  const refused = (type: Condition['type'], { reason, message }: NonNullable<typeof why>): Condition => ({
    type,
    status: 'False',
    reason,
    message,
  });
  return [
    why === undefined
      ? { type: 'Accepted', status: 'True', reason: 'Accepted', message: said }
      : refused('Accepted', why),
    missing === undefined
      ? { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: RESOLVED }
      : refused('ResolvedRefs', missing),
    why === undefined
      ? { type: 'Programmed', status: 'True', reason: 'Programmed', message: 'The policy is live.' }
      : refused('Programmed', why),
  ];
}
