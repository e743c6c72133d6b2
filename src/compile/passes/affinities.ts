/** Pass 8: each policy at each Service it is used with: scopes, groups and cookie names, and policies whose cookies would collide. */
import type { PoolKey } from '../../model/ids.ts';
import { objectKey } from '../../model/ids.ts';
import { isTokenCookie } from '../../model/policy.ts';
import type {
  CompiledAffinity,
  CompiledPolicy,
  TokenCookieKey,
  CookieNames,
  PolicyId,
  RuleKey,
  Split,
} from '../../model/policy.ts';
import { compareAge, compareText } from '../order.ts';
import { defaultCookieName, scopeText, shortHash } from '../scopes.ts';
import type { ProblemReport } from '../report.ts';
import { cautionsOf } from './cautions.ts';
import { writtenBy, type AppliedPolicy } from './attachment.ts';
import { cookiePlaces } from './cookie-places.ts';
import { reportSplitGroups, withSiblings, type Accepted } from './families.ts';
import type { DraftSplit } from './splits.ts';

/** A policy at one Service, with every host and pool it is used for. */
interface Use {
  readonly applied: AppliedPolicy;
  readonly service: string;
  readonly hosts: Set<string>;
  readonly pools: Set<PoolKey>;
  /** By rule. */
  readonly splits: Map<number, Split>;
  readonly canaries: Set<PoolKey>;
}

/** Gathers what routes use, then makes the affinities. */
export class Affinities {
  /** By policy, then by Service. */
  readonly #uses = new Map<PolicyId, Map<string, Use>>();

  /** Returns the affinity's id; whether it exists in the end, `finish` says. */
  use(applied: AppliedPolicy, service: string, host: string, pool: PoolKey, canary: PoolKey | undefined): string {
    const use = this.#useOf(applied, service, host);
    use.pools.add(pool);
    if (canary !== undefined) {
      use.pools.add(canary);
      use.canaries.add(canary);
    }
    return affinityId(applied.policy.id, service);
  }

  /** As `use`, for what is divided: its sessions are those of its primary Service. */
  useSplit(applied: AppliedPolicy, { primary, rule, backends }: DraftSplit, host: string): string {
    const use = this.#useOf(applied, primary, host);
    for (const { pool } of backends) use.pools.add(pool);
    use.splits.set(rule, { rule, backends });
    return affinityId(applied.policy.id, primary);
  }

  #useOf(applied: AppliedPolicy, service: string, host: string): Use {
    const { id } = applied.policy;
    const services = this.#uses.get(id) ?? new Map<string, Use>();
    this.#uses.set(id, services);
    const known = services.get(service);
    const use = known ?? {
      applied,
      service,
      hosts: new Set(),
      pools: new Set(),
      splits: new Map(),
      canaries: new Set(),
    };
    services.set(service, use);
    use.hosts.add(host);
    return use;
  }

  /** Policies that collide with an older one are left out, with a Problem. */
  finish(
    report: ProblemReport,
    podMetadata: boolean,
  ): {
    affinities: Map<string, CompiledAffinity>;
    policies: Map<PolicyId, CompiledPolicy>;
    /** Why policies were left out. */
    collisions: Map<PolicyId, string>;
  } {
    const collisions = new Map<PolicyId, string>();
    const policies = new Map<PolicyId, CompiledPolicy>();
    const claims = new Map<string, { scope: string; applied: AppliedPolicy }>();
    const accepted: { use: Use; affinity: CompiledAffinity }[] = [];
    for (const services of this.#oldestFirst()) {
      const users = placeUsers(services);
      const affinities = services.map((use) => ({ use, affinity: makeAffinity(use, users) }));
      const own = affinities.flatMap(({ use, affinity }) =>
        claimsOf(use, affinity).map((claim) => ({ ...claim, use, affinity })),
      );
      const taken = own.find(({ place, affinity }) => (claims.get(place)?.scope ?? affinity.scope) !== affinity.scope);
      const applied = services[0]?.applied;
      if (applied === undefined) continue;
      if (taken !== undefined) {
        const message = reportCollision(report, applied, claims.get(taken.place)?.applied, taken);
        collisions.set(applied.policy.id, message);
        continue;
      }
      for (const { place, affinity } of own) claims.set(place, { scope: affinity.scope, applied });
      policies.set(applied.policy.id, applied.policy);
      for (const { field, message } of cautionsOf(applied.policy, podMetadata))
        report.warning(applied.source, field, message);
      accepted.push(...affinities);
    }
    const grouped = withGroups(accepted);
    reportSplitGroups(grouped, report);
    const affinities = new Map(withSiblings(grouped).map((affinity) => [affinity.id, affinity]));
    return { affinities, policies, collisions };
  }

  #oldestFirst(): Use[][] {
    const all = [...this.#uses.values()].map((services) =>
      [...services.values()].sort((a, b) => compareText(a.service, b.service)),
    );
    const first = (uses: Use[]): AppliedPolicy | undefined => uses[0]?.applied;
    return all.sort((a, b) => {
      const [x, y] = [first(a), first(b)];
      if (x === undefined || y === undefined) return 0;
      return compareAge(x.source.meta, y.source.meta) || compareText(x.policy.id, y.policy.id);
    });
  }
}

function affinityId(policy: PolicyId, service: string): string {
  return `${policy}>${service}`;
}

/** How many Services of one policy keep a cookie at each place, per rule of the policy. */
type PlaceUsers = readonly ReadonlyMap<string, number>[];

function placeUsers(uses: readonly Use[]): PlaceUsers {
  const rules = uses[0]?.applied.policy.rules ?? [];
  return rules.map(({ key }) => {
    const users = new Map<string, number>();
    if (!isInsert(key)) return users;
    for (const { hosts } of uses) {
      for (const place of cookiePlaces(key, hosts)) users.set(place, (users.get(place) ?? 0) + 1);
    }
    return users;
  });
}

function makeAffinity(use: Use, users: PlaceUsers): CompiledAffinity {
  const { policy } = use.applied;
  const ownScope = scopeText(policy.namespace, policy.name, use.service, undefined);
  const scope = scopeText(policy.namespace, policy.name, use.service, policy.group);
  return {
    id: affinityId(policy.id, use.service),
    policy: policy.id,
    service: use.service,
    scope,
    ownScope,
    groupPools: [],
    siblingCookies: [],
    cookieNames: policy.rules.map(({ key }, rule) => {
      if (!isTokenCookie(key)) return undefined;
      // The name is the application's: it is not ours to change, and one of its own stands for the session nowhere.
      if (key.mode !== 'Insert') return { issue: key.name ?? '', read: [key.name ?? ''], own: undefined };
      const shared = cookiePlaces(key, use.hosts).some((place) => (users[rule]?.get(place) ?? 0) > 1);
      return cookieNames(key, use, shared, scope, ownScope);
    }),
    ...(use.splits.size === 0 ? {} : { splits: [...use.splits.values()].sort((a, b) => a.rule - b.rule) }),
    ...(use.canaries.size === 0 ? {} : { canaries: [...use.canaries].sort() }),
  };
}

/** Cookies that we file with browsers ourselves. */
function isInsert(key: RuleKey | undefined): key is TokenCookieKey {
  return isTokenCookie(key) && key.mode === 'Insert';
}

/** `shared`: another Service of the same policy has a cookie in the same place. */
function cookieNames(key: TokenCookieKey, use: Use, shared: boolean, scope: string, ownScope: string): CookieNames {
  const { policy } = use.applied;
  const name = key.name ?? defaultCookieName(scope);
  if (policy.group !== undefined) return { issue: name, read: [name], own: `${name}-${shortHash(ownScope)}` };
  // The default name is the scope's own already.
  if (key.name === undefined) return { issue: name, read: [name], own: undefined };
  const suffixed = `${name}-${shortHash(objectKey(policy.namespace, use.service))}`;
  // Both spellings are read always, so that a Service's coming or going changes the name and loses no session.
  const read = shared ? [suffixed, name] : [name, suffixed];
  return { issue: shared ? suffixed : name, read, own: undefined };
}

interface Claim {
  /** (host or Domain, Path, name): what a browser keeps one cookie for. */
  readonly place: string;
  readonly name: string;
  readonly rule: number;
}

function claimsOf(use: Use, affinity: CompiledAffinity): Claim[] {
  return use.applied.policy.rules.flatMap(({ key }, rule) => {
    const name = affinity.cookieNames[rule]?.issue;
    if (name === undefined || !isInsert(key)) return [];
    return cookiePlaces(key, use.hosts).map((place) => ({ place: `${place}\0${name}`, name, rule }));
  });
}

function reportCollision(
  report: ProblemReport,
  loser: AppliedPolicy,
  winner: AppliedPolicy | undefined,
  claim: Claim,
): string {
  const field =
    loser.source.kind === 'Ingress'
      ? 'metadata.annotations[holdfast.dev/cookie-name]'
      : `spec.rules[${claim.rule}].cookie.name`;
  const message = `Conflicted: ${winner === undefined ? 'another policy' : writtenBy(winner)} comes first (the older, then by name) and already uses the cookie name "${claim.name}" on the same host and path, so this policy is not applied. Choose another name.`;
  report.error(loser.source, field, message);
  return message;
}

/** Fills in the pools of the other Services of each group. */
function withGroups(accepted: readonly { use: Use; affinity: CompiledAffinity }[]): Accepted[] {
  const groups = new Map<string, Map<PoolKey, string>>();
  for (const { use, affinity } of accepted) {
    if (use.applied.policy.group === undefined) continue;
    const pools = groups.get(affinity.scope) ?? new Map<PoolKey, string>();
    groups.set(affinity.scope, pools);
    for (const pool of use.pools) pools.set(pool, use.service);
  }
  return accepted.map(({ use, affinity }) => {
    const pools = use.applied.policy.group === undefined ? undefined : groups.get(affinity.scope);
    const others = [...(pools ?? [])]
      .filter(([pool, service]) => service !== use.service && !use.pools.has(pool))
      .map(([pool]) => pool);
    return { applied: use.applied, affinity: { ...affinity, groupPools: others.sort(compareText) } };
  });
}
