/** Cookies that were given another name: the former names go on being read, so that a renamed cookie loses no session. */
import type { CompiledAffinity, CompiledPolicy, CookieNames } from '../model/policy.ts';
import type { Table } from '../model/table.ts';

/** Beyond so many renames the oldest names are forgotten. */
const MOST = 4;

/** `table` as compiled, with the names that its cookie rules had in `before`; rules are told by their names. */
export function withFormerNames(table: Table, before: Table | undefined): Table {
  if (before === undefined) return table;
  const affinities = new Map<string, CompiledAffinity>();
  for (const [id, affinity] of table.affinities) {
    const known = namesByRule(before.affinities.get(id), before.policies);
    const rules = table.policies.get(affinity.policy)?.rules ?? [];
    const cookieNames = affinity.cookieNames.map((names, i) => extend(names, known.get(rules[i]?.name ?? '')));
    affinities.set(id, { ...affinity, cookieNames });
  }
  return { ...table, affinities };
}

function namesByRule(
  affinity: CompiledAffinity | undefined,
  policies: Table['policies'],
): ReadonlyMap<string, CookieNames> {
  const found = new Map<string, CookieNames>();
  const policy: CompiledPolicy | undefined = affinity && policies.get(affinity.policy);
  for (const [i, { name }] of policy?.rules.entries() ?? []) {
    const names = affinity?.cookieNames[i];
    if (names !== undefined) found.set(name, names);
  }
  return found;
}

function extend(names: CookieNames | undefined, before: CookieNames | undefined): CookieNames | undefined {
  if (names === undefined || before === undefined) return names;
  const former = [...before.read, ...(before.former ?? [])].filter((name) => !names.read.includes(name));
  return former.length === 0 ? names : { ...names, former: former.slice(0, MOST) };
}
