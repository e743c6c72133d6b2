/** A compiled policy: a StickyPolicy (or its equivalent from annotations) with all defaults applied; plain data that can be sent to a worker. */
import type { IdentityKind, PoolKey } from './ids.ts';
import type {
  Algorithm,
  Extract,
  ForeignProduct,
  HashAlgorithm,
  SameSite,
  StickTo,
  WhenBlock,
} from './sticky-policy.ts';

/** `namespace/name` of a StickyPolicy, `namespace/ingress:NAME` for one made from annotations, `namespace/service:NAME` from `sessionAffinity`. */
export type PolicyId = string;

/** Another product's cookie that binds when ours is absent. */
export interface ForeignCookie {
  readonly product: ForeignProduct;
  readonly name: string;
  /** Wall clock ms from which it is ignored; Infinity = never. */
  readonly until: number;
  /** The product's own name of a server → pod name. */
  readonly ids: Readonly<Record<string, string>>;
}

/** A cookie that names the session's endpoint: we write it (Insert), put it in the place of the backend's (Rewrite, Prefix), or only read it (Passive). */
export interface TokenCookieKey {
  readonly kind: 'cookie';
  readonly mode: 'Insert' | 'Rewrite' | 'Prefix' | 'Passive';
  /** undefined = `hf-` + 8 hex of the scope. */
  readonly name: string | undefined;
  /** Signed: our token. Plain: `id` or `id|lastSeen|firstSeen`, for all to read and to forge. */
  readonly format: 'Signed' | 'Plain';
  readonly path: string;
  readonly domains: readonly string[];
  readonly secure: 'Auto' | 'Always' | 'Never';
  readonly httpOnly: boolean;
  readonly sameSite: SameSite;
  readonly conditionalSameSiteNone: boolean;
  readonly partitioned: boolean;
  /** Seconds; 0 = a browser-session cookie. */
  readonly maxAge: number;
  readonly attributes: readonly string[];
  readonly emit: 'OnChange' | 'Always';
  /** Upper-case methods; empty = any. */
  readonly emitMethods: readonly string[];
  /** 0 = any. */
  readonly emitStatusBelow: number;
  readonly cacheable: 'MarkPrivate' | 'Skip' | 'Ignore';
  readonly hideFromBackend: boolean;
  /** The backend's own cookie of this name wins over ours. */
  readonly preserve: boolean;
  /** Between our token and the backend's value, mode Prefix. */
  readonly delimiter: string;
  readonly accept: readonly ForeignCookie[];
}

/** Our token rides in the value of a header that the backend minted, and is taken off again. */
export interface WrapKey {
  readonly kind: 'header';
  readonly mode: 'Wrap';
  /** Lower case. */
  readonly name: string;
}

/** Where the value of a key that is hashed or looked up comes from. */
export type KeySource =
  | {
      readonly kind: 'cookie';
      readonly name: string;
      readonly extract: Extract | undefined;
      readonly hideFromBackend: boolean;
    }
  | { readonly kind: 'header'; readonly name: string; readonly extract: Extract | undefined }
  | { readonly kind: 'query'; readonly name: string; readonly extract: Extract | undefined }
  | {
      readonly kind: 'path';
      readonly depth: number;
      readonly includeQuery: boolean;
      readonly extract: Extract | undefined;
    }
  | { readonly kind: 'host' }
  | { readonly kind: 'tlsSession' }
  | { readonly kind: 'expression'; readonly cel: string }
  | { readonly kind: 'sourceIP'; readonly ipv4Prefix: number; readonly ipv6Prefix: number };

/** The value is hashed; `maxLoadFactor` 0 = off. */
export interface HashUse {
  readonly mode: 'Hash';
  readonly algorithm: HashAlgorithm;
  readonly maxLoadFactor: number;
}

/** The session table has the value's endpoint. Times are ms. */
export interface TableUse {
  /** Learn: only an answer of a backend puts a value into the table. */
  readonly mode: 'Table' | 'Learn';
  readonly idleTimeout: number;
  readonly extendWhileActive: number;
}

export type KeyUse = HashUse | TableUse;

export type ReadKey = KeySource & KeyUse;

/** Whether the key is a cookie that names the session's endpoint. */
export function isTokenCookie(key: RuleKey | undefined): key is TokenCookieKey {
  return key?.kind === 'cookie' && 'format' in key;
}

export type RuleKey = TokenCookieKey | WrapKey | ReadKey | { readonly kind: 'none' };

export interface CompiledRule {
  /** Also the `rule` label of metrics. */
  readonly name: string;
  readonly when: (WhenBlock & { readonly not?: WhenBlock | undefined }) | undefined;
  readonly onMissing: 'Next' | 'Balance' | 'Reject';
  readonly force: boolean;
  /** The Services that its requests are divided among; undefined = it leaves that to others. */
  readonly backends?: readonly RuleBackend[];
  /** undefined = it finds no session, and only chooses the backend or says what becomes of its requests. */
  readonly key: RuleKey | undefined;
}

/** A Service port in the policy's namespace. */
export interface RuleBackend {
  readonly service: string;
  readonly port: number | string;
  readonly weight: number;
}

export interface CompiledPolicy {
  readonly id: PolicyId;
  readonly namespace: string;
  /** The `policy` label of metrics: the StickyPolicy's name, `ingress:NAME` or `service:NAME`. */
  readonly name: string;
  readonly group: string | undefined;
  readonly stickTo: StickTo;
  readonly identity: IdentityKind;
  /** Milliseconds; 0 = off. */
  readonly idleTimeout: number;
  /** Milliseconds; 0 = off. */
  readonly absoluteTimeout: number;
  readonly rules: readonly CompiledRule[];
  readonly algorithm: Algorithm;
  /** ms over which a new endpoint's share of new sessions grows; 0 = off. */
  readonly slowStart: number;
  /** 0 = no cap. */
  readonly maxSessionsPerEndpoint: number;
  readonly onFull: 'Overflow' | 'Reject';
  readonly lost: {
    readonly action: 'Reassign' | 'Reject';
    readonly statusCode: number;
    /** ms */ readonly notReadyGrace: number;
    /** ms that the requests of a vanished identity wait for it; 0 = not at all. */
    readonly goneGrace: number;
    readonly preferVersion: 'Any' | 'Same' | 'Newest';
  };
  readonly drain: { readonly action: 'Keep' | 'Move'; /** ms; 0 = unlimited */ readonly maxDuration: number };
  readonly retry: { readonly attempts: number; readonly changeOnFailure: boolean };
  /** Sessions that have not been used for `idleFor` ms leave endpoints with too many; undefined = they stay. */
  readonly rebalance?: { readonly maxMovesPerMinute: number; readonly idleFor: number } | undefined;
}

/** A policy applied to one Service: what a route's requests are decided by. One per (policy, Service). */
export interface CompiledAffinity {
  /** `policyId>service`. */
  readonly id: string;
  readonly policy: PolicyId;
  /** Service name, in the policy's namespace. */
  readonly service: string;
  /** Text of the scope, see `scopeText` in `compile/scopes.ts`; goes into the MAC. */
  readonly scope: string;
  /** The scope of (namespace, policy, Service): equals `scope` unless the policy has a group (F26). */
  readonly ownScope: string;
  /** Pools of the other Services in the same group; empty without a group. */
  readonly groupPools: readonly PoolKey[];
  /** Per rule of the policy, in order; undefined for rules that are not token cookies. */
  readonly cookieNames: readonly (CookieNames | undefined)[];
  /** Token cookies of the policy's (or group's) other Services that backends shall not see either: a token is as good as the session. */
  readonly siblingCookies: readonly string[];
  /** Of the rules that divide their requests among Services the first of which is this one; undefined = there are none. */
  readonly splits?: readonly Split[];
  /** Pools of the canaries whose sessions are this one's, too; undefined = there are none. */
  readonly canaries?: readonly PoolKey[];
}

/** What a rule with `backends` divides its requests among. */
export interface Split {
  /** Index in the policy. */
  readonly rule: number;
  /** Those that exist, in the order written. */
  readonly backends: readonly SplitBackend[];
}

export interface SplitBackend {
  readonly pool: PoolKey;
  /** Of new sessions, in proportion to the others'; 0 = none. */
  readonly weight: number;
}

export interface CookieNames {
  /** The name written. */
  readonly issue: string;
  /** All spellings read, `issue` first. */
  readonly read: readonly string[];
  /**
   * Names that the cookie had before its policy was edited, latest first: tokens are still found there, but the cookies
   * are no longer ours to hide or to overwrite.
   */
  readonly former?: readonly string[];
  /** Name for a Service of a group that makes its own choice (`NAME-xxxxxxxx` of ownScope); undefined without a group. */
  readonly own: string | undefined;
}
