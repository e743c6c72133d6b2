/** Turns a compiled policy, applied to one Service, into what `decide` runs: functions and look-ups made once. */
import type { CompiledAffinity, CompiledPolicy, CompiledRule, CookieInsertKey, CookieNames } from '../model/policy.ts';
import type { KeyReader, RegexCompiler } from '../rules/kind.ts';
import { keyReader } from '../rules/rules.ts';
import { compileWhen } from './when.ts';
import type { Condition } from './when.ts';

/** Our signed token in a cookie. */
export interface TokenCookie {
  readonly key: CookieInsertKey;
  readonly names: CookieNames;
}

/** At most one of `token` and `read` is set; neither = `none`. */
export interface LiveRule {
  readonly index: number;
  /** undefined = always. */
  readonly holds: Condition | undefined;
  readonly onMissing: CompiledRule['onMissing'];
  readonly force: boolean;
  readonly token: TokenCookie | undefined;
  readonly read: KeyReader | undefined;
}

export interface LiveAffinity {
  readonly policy: CompiledPolicy;
  readonly affinity: CompiledAffinity;
  readonly rules: readonly LiveRule[];
  /** The rules with `token`, in order. */
  readonly tokenRules: readonly LiveRule[];
  /** Names whose pairs are removed from every request of the policy's routes, whichever rule decides. */
  readonly hiddenCookies: readonly string[];
  /** Names whose lines are removed from every answer before ours is added. */
  readonly ownedSetCookies: readonly string[];
}

/** Throws when a regular expression does not compile; the schema has refused those. */
export function buildAffinity(policy: CompiledPolicy, affinity: CompiledAffinity, regex: RegexCompiler): LiveAffinity {
  const rules = policy.rules.map((rule, index) => buildRule(rule, index, affinity, regex));
  const tokenRules = rules.filter((rule) => rule.token !== undefined);
  const owned = tokenRules.flatMap((rule) => namesOf(rule.token));
  const hidden = [
    ...tokenRules.filter((rule) => rule.token?.key.hideFromBackend).flatMap((rule) => namesOf(rule.token)),
    ...policy.rules.flatMap(({ key }) =>
      key.kind === 'cookie' && key.mode === 'Hash' && key.hideFromBackend ? [key.name] : [],
    ),
    ...affinity.siblingCookies,
  ];
  return {
    policy,
    affinity,
    rules,
    tokenRules,
    hiddenCookies: [...new Set(hidden)],
    ownedSetCookies: [...new Set(owned)],
  };
}

function buildRule(rule: CompiledRule, index: number, affinity: CompiledAffinity, regex: RegexCompiler): LiveRule {
  return {
    index,
    holds: compileWhen(rule.when, regex),
    onMissing: rule.onMissing,
    force: rule.force,
    token: tokenCookie(rule, affinity.cookieNames[index]),
    read: keyReader(rule, regex),
  };
}

function tokenCookie(rule: CompiledRule, names: CookieNames | undefined): TokenCookie | undefined {
  if (rule.key.kind !== 'cookie' || rule.key.mode !== 'Insert') return undefined;
  if (names === undefined) throw new TypeError(`Rule ${rule.name} has no cookie name.`);
  return { key: rule.key, names };
}

function namesOf(token: TokenCookie | undefined): string[] {
  if (token === undefined) return [];
  const { read, own } = token.names;
  return own === undefined ? [...read] : [...read, own];
}
