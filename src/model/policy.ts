/** A compiled policy: a StickyPolicy (or its equivalent from annotations) with all defaults applied; plain data that can be sent to a worker. */
import type { IdentityKind, PoolKey } from './ids.ts';
import type { Algorithm, Extract, SameSite, WhenBlock } from './sticky-policy.ts';

/** `namespace/name` of a StickyPolicy, or `namespace/ingress:NAME` for one made from annotations. */
export type PolicyId = string;

export interface CookieInsertKey {
  readonly kind: 'cookie';
  readonly mode: 'Insert';
  /** undefined = `hf-` + 8 hex of the scope. */
  readonly name: string | undefined;
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
}

/** Keys whose value is hashed over the endpoints (rendezvous). */
export type HashKey =
  | {
      readonly kind: 'cookie';
      readonly mode: 'Hash';
      readonly name: string;
      readonly extract: Extract | undefined;
      readonly hideFromBackend: boolean;
    }
  | { readonly kind: 'header'; readonly mode: 'Hash'; readonly name: string; readonly extract: Extract | undefined }
  | { readonly kind: 'query'; readonly mode: 'Hash'; readonly name: string; readonly extract: Extract | undefined }
  | {
      readonly kind: 'path';
      readonly mode: 'Hash';
      readonly depth: number;
      readonly includeQuery: boolean;
      readonly extract: Extract | undefined;
    }
  | { readonly kind: 'host'; readonly mode: 'Hash' }
  | { readonly kind: 'sourceIP'; readonly mode: 'Hash'; readonly ipv4Prefix: number; readonly ipv6Prefix: number };

export type RuleKey = CookieInsertKey | HashKey | { readonly kind: 'none' };

export interface CompiledRule {
  /** Also the `rule` label of metrics. */
  readonly name: string;
  readonly when: (WhenBlock & { readonly not?: WhenBlock | undefined }) | undefined;
  readonly onMissing: 'Next' | 'Balance' | 'Reject';
  readonly force: boolean;
  readonly key: RuleKey;
}

export interface CompiledPolicy {
  readonly id: PolicyId;
  readonly namespace: string;
  /** The `policy` label of metrics: the StickyPolicy's name or `ingress:NAME`. */
  readonly name: string;
  readonly group: string | undefined;
  readonly identity: IdentityKind;
  /** Milliseconds; 0 = off. */
  readonly idleTimeout: number;
  /** Milliseconds; 0 = off. */
  readonly absoluteTimeout: number;
  readonly rules: readonly CompiledRule[];
  readonly algorithm: Algorithm;
  readonly lost: {
    readonly action: 'Reassign' | 'Reject';
    readonly statusCode: number;
    /** ms */ readonly notReadyGrace: number;
  };
  readonly drain: { readonly action: 'Keep' | 'Move'; /** ms; 0 = unlimited */ readonly maxDuration: number };
  readonly retry: { readonly attempts: number; readonly changeOnFailure: boolean };
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
