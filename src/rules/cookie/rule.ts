/** Key `cookie`: a cookie that names the endpoint (Insert, Rewrite, Prefix, Passive) or an application's cookie that is hashed or looked up (Hash, Table, Learn). */
import { cookieValues } from './read.ts';
import { parseDuration } from '../../model/duration.ts';
import type { TokenCookieKey, ReadKey } from '../../model/policy.ts';
import type { CookieMode, CookieRule } from '../../model/sticky-policy.ts';
import { extractPart } from '../extract.ts';
import type { RegexCompiler, RuleKind } from '../kind.ts';
import { keyUse } from '../use.ts';

type CookieReadKey = Extract<ReadKey, { kind: 'cookie' }>;

export const cookieRule: RuleKind<CookieRule, TokenCookieKey | CookieReadKey> = {
  compile: (spec, idleTimeout) => modes[spec.mode ?? 'Insert'](spec, idleTimeout),
  extractor: (key, regex) => (isReadKey(key) ? reader(key, regex) : undefined),
};

const modes: {
  readonly [Mode in CookieMode]: (spec: CookieRule, idleTimeout: number) => TokenCookieKey | CookieReadKey;
} = {
  Insert: (spec) => tokenKey(spec, 'Insert'),
  Rewrite: (spec) => tokenKey(spec, 'Rewrite'),
  Prefix: (spec) => tokenKey(spec, 'Prefix'),
  Passive: (spec) => tokenKey(spec, 'Passive'),
  Hash: readKey,
  Table: readKey,
  Learn: readKey,
};

function tokenKey(spec: CookieRule, mode: TokenCookieKey['mode']): TokenCookieKey {
  return {
    kind: 'cookie',
    mode,
    name: spec.name,
    // Backends cannot write signed tokens.
    format: mode === 'Passive' ? 'Plain' : (spec.format ?? 'Signed'),
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
    hideFromBackend: spec.hideFromBackend ?? mode === 'Insert',
    preserve: spec.preserve ?? false,
    delimiter: spec.delimiter ?? '~',
    accept: (spec.accept ?? []).map(({ product, name, until, ids }) => ({
      product,
      name,
      until: until === undefined ? Infinity : Date.parse(until),
      ids: ids ?? {},
    })),
  };
}

function readKey(spec: CookieRule, idleTimeout: number): CookieReadKey {
  return {
    kind: 'cookie',
    ...keyUse(spec, idleTimeout),
    // The schema requires a name: there is no scope to take one from.
    name: spec.name ?? '',
    extract: spec.extract,
    hideFromBackend: spec.hideFromBackend ?? false,
  };
}

function isReadKey(key: TokenCookieKey | CookieReadKey): key is CookieReadKey {
  return key.mode === 'Hash' || key.mode === 'Table' || key.mode === 'Learn';
}

function reader(key: CookieReadKey, regex: RegexCompiler) {
  const part = extractPart(key.extract, regex);
  const names = [key.name];
  return (facts: { readonly cookie: string }) => {
    const value = cookieValues(facts.cookie, names)[0];
    return value === undefined ? undefined : part(value);
  };
}
