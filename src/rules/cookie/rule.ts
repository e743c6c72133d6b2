/** Key `cookie`: our signed token in a cookie (Insert) or the hash of an application's cookie (Hash). */
import { cookieValues } from './read.ts';
import { parseDuration } from '../../model/duration.ts';
import type { CookieInsertKey, HashKey } from '../../model/policy.ts';
import type { CookieRule } from '../../model/sticky-policy.ts';
import { extractPart } from '../extract.ts';
import type { RegexCompiler, RuleKind } from '../kind.ts';

type CookieHashKey = Extract<HashKey, { kind: 'cookie' }>;

export const cookieRule: RuleKind<CookieRule, CookieInsertKey | CookieHashKey> = {
  compile: (spec) => modes[spec.mode ?? 'Insert'](spec),
  extractor: (key, regex) => (key.mode === 'Hash' ? hashReader(key, regex) : undefined),
};

const modes: {
  readonly [Mode in NonNullable<CookieRule['mode']>]: (spec: CookieRule) => CookieInsertKey | CookieHashKey;
} = { Insert: insertKey, Hash: hashKey };

function insertKey(spec: CookieRule): CookieInsertKey {
  return {
    kind: 'cookie',
    mode: 'Insert',
    name: spec.name,
    path: spec.path ?? '/',
    domains: (spec.domains ?? []).map((domain) => domain.toLowerCase()),
    secure: spec.secure ?? 'Auto',
    httpOnly: spec.httpOnly ?? true,
    sameSite: spec.sameSite ?? 'Lax',
    conditionalSameSiteNone: spec.conditionalSameSiteNone ?? false,
    partitioned: spec.partitioned ?? false,
    maxAge: spec.maxAge === undefined ? 0 : Math.floor((parseDuration(spec.maxAge) ?? 0) / 1000),
    attributes: spec.attributes ?? [],
    emit: spec.emit ?? 'OnChange',
    emitMethods: spec.emitOn?.methods ?? [],
    emitStatusBelow: spec.emitOn?.statusBelow ?? 0,
    cacheable: spec.cacheable ?? 'MarkPrivate',
    hideFromBackend: spec.hideFromBackend ?? true,
  };
}

function hashKey(spec: CookieRule): CookieHashKey {
  return {
    kind: 'cookie',
    mode: 'Hash',
    // The schema requires a name for Hash: there is no scope to take one from.
    name: spec.name ?? '',
    extract: spec.extract,
    hideFromBackend: spec.hideFromBackend ?? false,
  };
}

function hashReader(key: CookieHashKey, regex: RegexCompiler) {
  const part = extractPart(key.extract, regex);
  const names = [key.name];
  return (facts: { readonly cookie: string }) => {
    const value = cookieValues(facts.cookie, names)[0];
    return value === undefined ? undefined : part(value);
  };
}
