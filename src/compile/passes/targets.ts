/** Pass 5: what each StickyPolicy is attached to by its `targetRefs`; of two on one target the older wins. */
import type { Snapshot } from '../../model/snapshot.ts';
import { objectKey } from '../../model/ids.ts';
import type { Ingress, RefusedPolicy, Service, StickyPolicy } from '../../model/resources.ts';
import type { TargetRef } from '../../model/sticky-policy.ts';
import { HOSTLESS_SECTION } from '../draft.ts';
import { oldestFirst } from '../order.ts';
import { nameOf, type ProblemReport } from '../report.ts';
import { normalizeRuleHost } from './hosts.ts';

/** Kinds that can be targeted, by API group. */
const GROUPS: Readonly<Record<string, string>> = { Ingress: 'networking.k8s.io', Service: '' };

/** What owns a target; one that is refused leaves it without stickiness. */
export type TargetOwner = StickyPolicy | RefusedPolicy;

/** How one target of a policy came out. */
export interface TargetVerdict {
  readonly target: TargetRef;
  /** Whether there is an object of that name. */
  readonly exists: boolean;
  /** undefined = the policy is attached there. */
  readonly fault:
    { readonly reason: 'TargetNotFound' | 'Conflicted' | 'Invalid'; readonly message: string } | undefined;
}

/** Of every target of a policy that is refused. */
export const REFUSED = { reason: 'Invalid', message: 'The policy is refused; its Problems say why.' } as const;

export class PolicyTargets {
  readonly #verdicts = new Map<TargetOwner, TargetVerdict[]>();
  readonly #owners = new Map<string, TargetOwner>();
  readonly #snapshot: Snapshot;
  readonly #report: ProblemReport;

  constructor(snapshot: Snapshot, watched: (namespace: string) => boolean, report: ProblemReport) {
    this.#snapshot = snapshot;
    this.#report = report;
    for (const policy of oldestFirst(snapshot.policies.values())) {
      if (watched(policy.meta.namespace)) this.#attach(policy);
    }
    // Last: what is refused takes no target away from a policy that is accepted.
    for (const policy of oldestFirst(snapshot.refusedPolicies.values())) {
      if (watched(policy.meta.namespace)) this.#reserve(policy);
    }
  }

  /** `section`: a host or `*`; undefined = the whole Ingress. */
  ofIngress(namespace: string, name: string, section: string | undefined): TargetOwner | undefined {
    return this.#owners.get(targetKey('Ingress', namespace, name, section));
  }

  /** `section`: a port's name, or its number as text; undefined = the whole Service. */
  ofService(namespace: string, name: string, section: string | undefined): TargetOwner | undefined {
    return this.#owners.get(targetKey('Service', namespace, name, section));
  }

  /** One a target, in the order written. */
  verdictsOf(policy: TargetOwner): readonly TargetVerdict[] {
    return this.#verdicts.get(policy) ?? [];
  }

  #attach(policy: StickyPolicy): void {
    const verdicts: TargetVerdict[] = [];
    this.#verdicts.set(policy, verdicts);
    for (const [index, ref] of (policy.spec.targetRefs ?? []).entries()) {
      const field = `spec.targetRefs[${index}]`;
      const missing = this.#fault(policy, ref);
      if (missing !== undefined) {
        const { part, message } = missing;
        this.#report.error(policy, `${field}.${part}`, message);
        verdicts.push({ target: ref, exists: part === 'sectionName', fault: { reason: 'TargetNotFound', message } });
        continue;
      }
      const key = targetKey(ref.kind, policy.meta.namespace, ref.name, sectionOf(ref));
      const owner = this.#owners.get(key);
      if (owner === undefined) this.#owners.set(key, policy);
      const message = owner === undefined ? undefined : conflictText(policy, owner, ref);
      if (message !== undefined) this.#report.error(policy, field, message);
      const fault = message === undefined ? undefined : ({ reason: 'Conflicted', message } as const);
      verdicts.push({ target: ref, exists: true, fault });
    }
  }

  /** Nothing is reported: the projection has said what is wrong with the policy. */
  #reserve(policy: RefusedPolicy): void {
    const { namespace } = policy.meta;
    for (const ref of policy.targetRefs) {
      const key = targetKey(ref.kind, namespace, ref.name, sectionOf(ref));
      if (!this.#owners.has(key)) this.#owners.set(key, policy);
    }
    const verdict = (target: TargetRef): TargetVerdict => {
      return { target, exists: this.#targetOf(namespace, target) !== undefined, fault: REFUSED };
    };
    this.#verdicts.set(policy, policy.targetRefs.map(verdict));
  }

  #targetOf(namespace: string, { kind, name }: TargetRef): Ingress | Service | undefined {
    const key = objectKey(namespace, name);
    return (kind === 'Ingress' ? this.#snapshot.ingresses : this.#snapshot.services).get(key);
  }

  #fault({ meta: { namespace } }: StickyPolicy, ref: TargetRef): { part: string; message: string } | undefined {
    if (GROUPS[ref.kind] !== ref.group) {
      return {
        part: 'kind',
        message: 'A StickyPolicy targets an Ingress (group networking.k8s.io) or a Service (group "").',
      };
    }
    const key = objectKey(namespace, ref.name);
    const target = this.#targetOf(namespace, ref);
    if (target === undefined) {
      const message = `There is no ${ref.kind} ${key}; correct the name or create it in the policy's own namespace.`;
      return { part: 'name', message };
    }
    const section = sectionOf(ref);
    if (section === undefined) return undefined;
    const sections = target.kind === 'Ingress' ? hostSections(target) : portSections(target);
    if (sections.includes(section)) return undefined;
    const known = sections.length === 0 ? 'it has none' : `write one of: ${[...new Set(sections)].join(', ')}`;
    const what = target.kind === 'Ingress' ? 'host' : 'port';
    return { part: 'sectionName', message: `${ref.kind} ${key} has no ${what} ${JSON.stringify(section)}; ${known}.` };
  }
}

function conflictText(policy: StickyPolicy, owner: TargetOwner, ref: TargetRef): string {
  const section = ref.sectionName === undefined ? '' : ` (${ref.sectionName})`;
  const target = `${ref.kind} ${ref.name}${section}`;
  return owner === policy
    ? `${target} is named twice; remove one of the two.`
    : `Conflicted: ${nameOf(owner)} comes first (the older, then by name) and already targets ${target}, so this policy is not applied there. Remove one of them.`;
}

function targetKey(kind: string, namespace: string, name: string, section: string | undefined): string {
  return `${kind}\0${namespace}\0${name}\0${section ?? ''}`;
}

function sectionOf(ref: TargetRef): string | undefined {
  if (ref.sectionName === undefined || ref.sectionName === '') return undefined;
  return ref.kind === 'Ingress' ? normalizeRuleHost(ref.sectionName) : ref.sectionName;
}

function hostSections(ingress: Ingress): string[] {
  const hosts = ingress.rules.map((rule) => normalizeRuleHost(rule.host));
  const sections = hosts.filter((host) => host !== '');
  return ingress.hasDefaultBackend || hosts.includes('') ? [...sections, HOSTLESS_SECTION] : sections;
}

function portSections(service: Service): string[] {
  return service.ports.flatMap((port) => (port.name === '' ? [`${port.port}`] : [port.name, `${port.port}`]));
}
