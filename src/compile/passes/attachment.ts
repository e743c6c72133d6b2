/** Pass 6: the one policy of each route. The most specific source wins as a whole; fields of several are never mixed. */
import type { Snapshot } from '../../model/snapshot.ts';
import { objectKey } from '../../model/ids.ts';
import type { CompiledPolicy, PolicyId } from '../../model/policy.ts';
import type { Ingress, StickyPolicy } from '../../model/resources.ts';
import type { StickyPolicySpec } from '../../model/sticky-policy.ts';
import type { DraftRoute } from '../draft.ts';
import { nameOf, type Described, type ProblemReport } from '../report.ts';
import { nearest } from '../../model/nearest.ts';
import { compilePolicy } from './policies.ts';
import type { PolicyTargets, TargetOwner } from './targets.ts';

/** What an Ingress says about stickiness in its annotations. */
export interface IngressWishes {
  /** `holdfast.dev/sticky-policy`. */
  readonly policyName: string | undefined;
  /** The policy that the other `holdfast.dev/*` annotations amount to. */
  readonly spec: StickyPolicySpec | undefined;
}

/** A compiled policy with the object that a user would edit to change it. */
export interface AppliedPolicy {
  readonly policy: CompiledPolicy;
  readonly source: Described;
  /** Where in `source` the policy is written. */
  readonly field: string;
}

const MAX_HINT_NAMES = 100;
const NAME_FIELD = 'metadata.annotations[holdfast.dev/sticky-policy]';

/** A refused policy owns the route: no stickiness, and no less specific policy either. */
const NONE = 'none';

export class Attachment {
  readonly #applied = new Map<PolicyId, AppliedPolicy>();
  readonly #named = new Set<StickyPolicy>();
  readonly #policies: Snapshot['policies'];
  readonly #refused: Snapshot['refusedPolicies'];
  readonly #targets: PolicyTargets;
  readonly #wishes: ReadonlyMap<Ingress, IngressWishes>;
  readonly #services: Snapshot['services'];

  constructor(
    { policies, refusedPolicies, services }: Snapshot,
    targets: PolicyTargets,
    wishes: ReadonlyMap<Ingress, IngressWishes>,
  ) {
    this.#policies = policies;
    this.#refused = refusedPolicies;
    this.#targets = targets;
    this.#wishes = wishes;
    this.#services = services;
    for (const [ingress, { policyName }] of wishes) {
      const policy = policyName === undefined ? undefined : this.#byName(ingress, policyName);
      if (policy !== undefined) this.#named.add(policy);
    }
  }

  policyOf(route: DraftRoute): AppliedPolicy | undefined {
    const found = this.#find(route);
    return found === NONE ? undefined : found;
  }

  #find(route: DraftRoute): AppliedPolicy | typeof NONE | undefined {
    const { ingress } = route;
    if (ingress === undefined) return this.#ofService(route) ?? this.#ofClientIP(route);
    const { namespace, name } = ingress.meta;
    const onHost = this.#targets.ofIngress(namespace, name, route.section);
    if (onHost !== undefined) return this.#owned(onHost);
    const wishes = this.#wishes.get(ingress);
    if (wishes?.policyName !== undefined) {
      // A name that leads nowhere (or to a refused policy) leaves the route without stickiness rather than with another policy's.
      const named = this.#byName(ingress, wishes.policyName);
      return named === undefined ? undefined : this.#compiled(named);
    }
    const onIngress = this.#targets.ofIngress(namespace, name, undefined);
    if (onIngress !== undefined) return this.#owned(onIngress);
    return this.#ofService(route) ?? this.#ofAnnotations(ingress, wishes?.spec) ?? this.#ofClientIP(route);
  }

  /** Names in annotations that lead nowhere, and policies that nothing names. */
  reportLoose(report: ProblemReport, watched: (namespace: string) => boolean, named: Snapshot['policies']): void {
    for (const [ingress, { policyName }] of this.#wishes) {
      if (policyName === undefined || this.#byName(ingress, policyName) !== undefined) continue;
      const { namespace } = ingress.meta;
      if (this.#refused.has(objectKey(namespace, policyName))) {
        const refused = `StickyPolicy ${namespace}/${policyName} is refused, so this Ingress is balanced without stickiness until the policy is corrected.`;
        report.error(ingress, NAME_FIELD, refused);
        continue;
      }
      const near = nearest(policyName, namesIn(namespace, named));
      const hint = near === undefined ? 'create it there or remove the annotation' : `did you mean "${near}"?`;
      const message = `There is no StickyPolicy ${namespace}/${policyName}, so this Ingress is balanced without stickiness; ${hint}`;
      report.error(ingress, NAME_FIELD, hint.endsWith('?') ? message : `${message}.`);
    }
    for (const policy of this.#policies.values()) {
      const loose = (policy.spec.targetRefs ?? []).length === 0 && !this.#named.has(policy);
      if (!loose || !watched(policy.meta.namespace)) continue;
      const message = `The policy targets nothing, so it has no effect; add \`targetRefs\`, or name it in an Ingress by the annotation holdfast.dev/sticky-policy: ${policy.meta.name}.`;
      report.warning(policy, 'spec.targetRefs', message);
    }
  }

  #ofService(route: DraftRoute): AppliedPolicy | typeof NONE | undefined {
    const { pool } = route;
    if (pool === undefined) return undefined;
    const { namespace, service, port, portName } = pool;
    const policy =
      (portName === '' ? undefined : this.#targets.ofService(namespace, service, portName)) ??
      this.#targets.ofService(namespace, service, `${port}`) ??
      this.#targets.ofService(namespace, service, undefined);
    return policy === undefined ? undefined : this.#owned(policy);
  }

  #owned(owner: TargetOwner): AppliedPolicy | typeof NONE {
    return 'refused' in owner ? NONE : this.#compiled(owner);
  }

  #ofAnnotations(ingress: Ingress, spec: StickyPolicySpec | undefined): AppliedPolicy | undefined {
    if (spec === undefined) return undefined;
    const { namespace, name } = ingress.meta;
    return this.#apply(`ingress:${name}`, namespace, spec, ingress, 'metadata.annotations');
  }

  /** `sessionAffinity: ClientIP`, as kube-proxy would have it. */
  #ofClientIP({ pool }: DraftRoute): AppliedPolicy | undefined {
    const service = pool === undefined ? undefined : this.#services.get(pool.serviceKey);
    if (service?.clientIPTimeout === undefined) return undefined;
    const { namespace, name } = service.meta;
    const table = { idleTimeout: `${service.clientIPTimeout}s` };
    const spec = { rules: [{ name: 'client-ip', sourceIP: { mode: 'Table', table } }] } as const;
    return this.#apply(`service:${name}`, namespace, spec, service, 'spec.sessionAffinity');
  }

  #compiled(policy: StickyPolicy): AppliedPolicy {
    return this.#apply(policy.meta.name, policy.meta.namespace, policy.spec, policy, 'spec');
  }

  #apply(name: string, namespace: string, spec: StickyPolicySpec, source: Described, field: string): AppliedPolicy {
    const id: PolicyId = `${namespace}/${name}`;
    const known = this.#applied.get(id);
    if (known !== undefined) return known;
    const applied = { policy: compilePolicy({ id, namespace, name }, spec), source, field };
    this.#applied.set(id, applied);
    return applied;
  }

  #byName(ingress: Ingress, name: string): StickyPolicy | undefined {
    return this.#policies.get(objectKey(ingress.meta.namespace, name));
  }
}

function namesIn(namespace: string, policies: Snapshot['policies']): string[] {
  const names = [...policies.values()].filter((p) => p.meta.namespace === namespace).map((p) => p.meta.name);
  // A hint is not worth comparing thousands of names with thousands of typing errors.
  return names.length > MAX_HINT_NAMES ? [] : names;
}

/** Who wrote the policy, for messages. */
export function writtenBy({ source }: AppliedPolicy): string {
  return source.kind === 'Ingress' ? `${nameOf(source)} (its annotations)` : nameOf(source);
}
