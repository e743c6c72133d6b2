/** The registry of rule kinds: the one place, besides its folder and its types in the model, that a new kind is added to. */
import type { CompiledRule, RuleKey } from '../model/policy.ts';
import type { Rule } from '../model/sticky-policy.ts';
import { cookieRule } from './cookie/rule.ts';
import { expressionRule } from './expression/rule.ts';
import { headerRule } from './header/rule.ts';
import { hostRule } from './host/rule.ts';
import type { KeyReader, RegexCompiler, RuleKind } from './kind.ts';
import { noneRule } from './none/rule.ts';
import { pathRule } from './path/rule.ts';
import { queryRule } from './query/rule.ts';
import { sourceIPRule } from './source-ip/rule.ts';
import { tlsSessionRule } from './tls-session/rule.ts';

/** A key's kind is also the name of its field in a rule. */
type KeyKind = RuleKey['kind'];
type SpecOf<K extends KeyKind> = NonNullable<Rule[K]>;
type KeyOf<K extends KeyKind> = Extract<RuleKey, { readonly kind: K }>;

const kinds: { readonly [K in KeyKind]: RuleKind<SpecOf<K>, KeyOf<K>> } = {
  cookie: cookieRule,
  header: headerRule,
  sourceIP: sourceIPRule,
  query: queryRule,
  path: pathRule,
  host: hostRule,
  tlsSession: tlsSessionRule,
  expression: expressionRule,
  none: noneRule,
};

const KEY_KINDS: readonly KeyKind[] = Object.keys(kinds).filter((kind): kind is KeyKind => kind in kinds);

/** The rule's key with all defaults applied; undefined = it has none. `idleTimeout`: the policy's, ms, 0 = none. */
export function compileRuleKey(rule: Rule, idleTimeout = 0): RuleKey | undefined {
  for (const kind of KEY_KINDS) {
    const key = compileKind(kind, rule, idleTimeout);
    if (key !== undefined) return key;
  }
  return undefined;
}

/** Compiles a rule's key to a reader of its value; undefined = the key has none. `onError`: an expression failed. */
export function keyReader(rule: CompiledRule, regex: RegexCompiler, onError: () => void): KeyReader | undefined {
  return rule.key === undefined ? undefined : readerOf(rule.key.kind, rule.key, regex, onError);
}

function compileKind<K extends KeyKind>(kind: K, rule: Rule, idleTimeout: number): RuleKey | undefined {
  const spec: Rule[K] = rule[kind];
  return spec === undefined ? undefined : kinds[kind].compile(spec, idleTimeout);
}

function readerOf<K extends KeyKind>(
  kind: K,
  key: RuleKey,
  regex: RegexCompiler,
  onError: () => void,
): KeyReader | undefined {
  return kinds[kind].extractor(key as KeyOf<K>, regex, onError);
}
