/** Turns a compiled policy, applied to one Service, into what `decide` runs: functions and look-ups made once. */
import { compactList, compactMap } from '../model/compact.ts';
import { isTokenCookie } from '../model/policy.ts';
import type {
  CompiledAffinity,
  CompiledPolicy,
  CompiledRule,
  ForeignCookie,
  TokenCookieKey,
  CookieNames,
  KeyUse,
  ReadKey,
  RuleKey,
  WrapKey,
} from '../model/policy.ts';
import type { KeyReader, RegexCompiler } from '../rules/kind.ts';
import { keyReader } from '../rules/rules.ts';
import { entryLife, entryScope } from './entry.ts';
import type { EntryScope } from './entry.ts';
import { learnerOf } from './learn.ts';
import type { Learner } from './learn.ts';
import { compileWhen } from './when.ts';
import type { Condition } from './when.ts';

/** A cookie that names the endpoint. */
export interface TokenCookie {
  readonly key: TokenCookieKey;
  readonly names: CookieNames;
}

/** At most one of `token`, `wraps`, `isNone` and `read` is set. */
export interface LiveRule {
  readonly index: number;
  /** undefined = always. */
  readonly holds: Condition | undefined;
  readonly onMissing: CompiledRule['onMissing'];
  readonly force: boolean;
  readonly token: TokenCookie | undefined;
  /** Its token goes on answers: by itself (mode Insert), or where the backend mints a value (Wrap). */
  readonly issues: boolean;
  /** Lower-case name of the header that carries our token: mode Wrap. */
  readonly wraps: string | undefined;
  /** Its requests have nothing to do with sessions. */
  readonly isNone: boolean;
  readonly read: KeyReader | undefined;
  /** What is done with the value that is read; set together with `read`. */
  readonly use: KeyUse | undefined;
}

export interface LiveAffinity {
  readonly policy: CompiledPolicy;
  readonly affinity: CompiledAffinity;
  readonly rules: readonly LiveRule[];
  /** The scope, and the Service's own scope, in the session table. */
  readonly entries: EntryScope;
  readonly ownEntries: EntryScope;
  /** ms that the session table keeps a session after its last use. */
  readonly entryLife: number;
  /** The rules whose keys backends mint. */
  readonly learners: readonly Learner[];
  /** The rules that issue tokens, in order. */
  readonly issuers: readonly LiveRule[];
  /** Names of all cookies that name the endpoint. */
  readonly tokenCookies: readonly string[];
  /** Cookies of the backends that get our token, by name. */
  readonly edited: ReadonlyMap<string, TokenCookie>;
  /** Those of them that have it in front of their value: what is taken off every request. */
  readonly prefixed: readonly TokenCookieKey[];
  /** Cookies of other products that may stand in front of a backend's value. */
  readonly foreign: readonly ForeignCookie[];
  /** Names whose pairs are removed from every request of the policy's routes, whichever rule decides. */
  readonly hiddenCookies: readonly string[];
  /** Requests' Cookie lines have to be looked at. */
  readonly editsCookies: boolean;
  /** Names whose lines are removed from every answer before ours is added. */
  readonly ownedSetCookies: readonly string[];
  /** Backends' Set-Cookie lines have to be looked at. */
  readonly editsSetCookies: boolean;
  /** Lower-case names of the headers of backends that get our token. */
  readonly wrapped: readonly string[];
}

/**
 * Throws when a regular expression or one in CEL does not compile; the schema has refused those.
 * `onCelError` hears of each evaluation that failed, by the rule's index.
 */
export function buildAffinity(
  policy: CompiledPolicy,
  affinity: CompiledAffinity,
  regex: RegexCompiler,
  onCelError: (rule: number) => void,
): LiveAffinity {
  const rules = policy.rules.map((rule, index) => buildRule(rule, index, affinity, regex, () => onCelError(index)));
  const tokenRules = rules.filter((rule) => rule.token !== undefined);
  const tokens = tokenRules.flatMap(({ token }) => (token === undefined ? [] : [token]));
  const edited = tokens.filter(({ key }) => key.mode === 'Rewrite' || key.mode === 'Prefix');
  const owned = tokens.filter(({ key }) => key.mode === 'Insert' && !key.preserve).flatMap(namesOf);
  const accepted = tokens.flatMap(({ key }) => key.accept);
  const foreign = accepted.filter(({ product }) => product === 'HAProxy' || product === 'Tengine');
  const hidden = [
    ...tokens.filter(({ key }) => key.hideFromBackend).flatMap(namesOf),
    ...policy.rules.flatMap(({ key }) =>
      key?.kind === 'cookie' && !isTokenCookie(key) && key.hideFromBackend ? [key.name] : [],
    ),
    ...affinity.siblingCookies,
  ];
  return {
    policy,
    affinity,
    rules,
    entries: entryScope(affinity.scope),
    ownEntries: entryScope(affinity.ownScope),
    entryLife: entryLife(policy),
    learners: compactList(rules.flatMap(({ index, read }) => learnersOf(policy.rules[index]?.key, read, regex))),
    issuers: compactList(rules.filter(({ issues }) => issues)),
    tokenCookies: compactList([...new Set(tokens.flatMap(namesOf))]),
    // Of two rules for one cookie the first counts.
    edited: compactMap(new Map(edited.map((token) => [token.names.issue, token] as const).reverse())),
    prefixed: compactList(edited.filter(({ key }) => key.mode === 'Prefix').map(({ key }) => key)),
    foreign: compactList(foreign),
    hiddenCookies: compactList([...new Set(hidden)]),
    editsCookies: hidden.length > 0 || foreign.length > 0 || edited.some(({ key }) => key.mode === 'Prefix'),
    ownedSetCookies: compactList([...new Set(owned)]),
    editsSetCookies: owned.length > 0 || edited.length > 0,
    wrapped: compactList([...new Set(rules.flatMap(({ wraps }) => (wraps === undefined ? [] : [wraps])))]),
  };
}

function buildRule(
  rule: CompiledRule,
  index: number,
  affinity: CompiledAffinity,
  regex: RegexCompiler,
  onError: () => void,
): LiveRule {
  return {
    index,
    holds: compileWhen(rule.when, regex, onError),
    onMissing: rule.onMissing,
    force: rule.force,
    token: tokenCookie(rule, affinity.cookieNames[index]),
    issues: isInsert(rule.key) || isWrap(rule.key),
    wraps: isWrap(rule.key) ? rule.key.name : undefined,
    isNone: rule.key?.kind === 'none',
    read: keyReader(rule, regex, onError),
    use: readKeyOf(rule.key),
  };
}

function isInsert(key: RuleKey | undefined): boolean {
  return key?.kind === 'cookie' && key.mode === 'Insert';
}

function isWrap(key: RuleKey | undefined): key is WrapKey {
  return key?.kind === 'header' && key.mode === 'Wrap';
}

/** Its key is read from requests. */
function readKeyOf(key: RuleKey | undefined): ReadKey | undefined {
  if (key === undefined || !('mode' in key)) return undefined;
  return key.mode === 'Hash' || key.mode === 'Table' || key.mode === 'Learn' ? key : undefined;
}

function learnersOf(key: RuleKey | undefined, read: KeyReader | undefined, regex: RegexCompiler): Learner[] {
  const found = readKeyOf(key);
  return found === undefined || read === undefined ? [] : learnerOf(found, read, regex);
}

function tokenCookie(rule: CompiledRule, names: CookieNames | undefined): TokenCookie | undefined {
  if (!isTokenCookie(rule.key)) return undefined;
  if (names === undefined) throw new TypeError(`Rule ${rule.name} has no cookie name.`);
  return { key: rule.key, names };
}

function namesOf({ names }: TokenCookie): string[] {
  const { read, own } = names;
  return own === undefined ? [...read] : [...read, own];
}
