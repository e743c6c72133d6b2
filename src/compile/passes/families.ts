/** Policies and Services whose sessions belong together: tokens that no backend of theirs may see, and groups that share nothing. */
import type { CompiledAffinity, CompiledPolicy } from '../../model/policy.ts';
import type { ProblemReport } from '../report.ts';
import { writtenBy, type AppliedPolicy } from './attachment.ts';

/** A policy at one Service that made it into the table. */
export interface Accepted {
  readonly applied: AppliedPolicy;
  readonly affinity: CompiledAffinity;
}

/**
 * Fills in `siblingCookies`. A browser sends the tokens of all Services of a host (that is how it keeps several
 * sessions), and whoever has a token can take over its session, so each backend must see none of them.
 */
export function withSiblings(accepted: readonly Accepted[]): CompiledAffinity[] {
  const families = new Map<string, Set<string>>();
  for (const { applied, affinity } of accepted) {
    const family = familyOf(applied.policy, affinity);
    const names = families.get(family) ?? new Set();
    families.set(family, names);
    for (const name of secretNames(applied.policy, affinity)) names.add(name);
  }
  return accepted.map(({ applied, affinity }) => {
    // What becomes of its own names is said by its own rules.
    const own = new Set(affinity.cookieNames.flatMap(namesOf));
    const names = [...(families.get(familyOf(applied.policy, affinity)) ?? [])].filter((name) => !own.has(name));
    return { ...affinity, siblingCookies: names.sort() };
  });
}

function familyOf(policy: CompiledPolicy, affinity: CompiledAffinity): string {
  return policy.group === undefined ? `policy ${policy.id}` : `scope ${affinity.scope}`;
}

function secretNames({ rules }: CompiledPolicy, { cookieNames }: CompiledAffinity): string[] {
  return rules.flatMap(({ key }, rule) =>
    key?.kind === 'cookie' && key.hideFromBackend ? namesOf(cookieNames[rule]) : [],
  );
}

function namesOf(names: CompiledAffinity['cookieNames'][number]): string[] {
  if (names === undefined) return [];
  return names.own === undefined ? [...names.read] : [...names.read, names.own];
}

/** Policies of one group whose cookies have no name in common cannot share a session. `accepted`: oldest first. */
export function reportSplitGroups(accepted: readonly Accepted[], report: ProblemReport): void {
  const firsts = new Map<string, { readonly applied: AppliedPolicy; readonly names: readonly string[] }>();
  const seen = new Set<AppliedPolicy>();
  for (const { applied, affinity } of accepted) {
    const names = affinity.cookieNames.flatMap((cookie) => (cookie === undefined ? [] : [cookie.issue]));
    if (applied.policy.group === undefined || names.length === 0 || seen.has(applied)) continue;
    seen.add(applied);
    const first = firsts.get(affinity.scope);
    if (first === undefined) firsts.set(affinity.scope, { applied, names });
    else if (!names.some((name) => first.names.includes(name))) {
      const rule = affinity.cookieNames.findIndex((cookie) => cookie !== undefined);
      const message = `${writtenBy(first.applied)} is in the same session group "${applied.policy.group}" with the cookie name "${first.names[0]}", so the two share no sessions; write the same cookie name in both.`;
      report.warning(applied.source, `spec.rules[${rule}].cookie.name`, message);
    }
  }
}
