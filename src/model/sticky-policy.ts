/** The StickyPolicy spec as a user writes it (unset stays unset; defaults are the compiler's). The schema in `src/api` yields exactly this. */
import type { IdentityKind } from './ids.ts';

/** A GEP-2257 duration such as `30s` or `1h30m`. */
export type Duration = string;

export interface TargetRef {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  readonly sectionName?: string | undefined;
}

export interface Extract {
  readonly offset?: number | undefined;
  readonly length?: number | undefined;
  readonly after?: string | undefined;
  readonly skip?: number | undefined;
  readonly until?: string | undefined;
  readonly regex?: string | undefined;
}

export interface ValueMatch {
  readonly name: string;
  readonly value?: string | undefined;
  readonly regex?: string | undefined;
  readonly present?: boolean | undefined;
}

export interface WhenBlock {
  readonly hosts?: readonly string[] | undefined;
  readonly pathPrefixes?: readonly string[] | undefined;
  readonly pathSuffixes?: readonly string[] | undefined;
  readonly ignoreCase?: boolean | undefined;
  readonly pathRegex?: string | undefined;
  readonly methods?: readonly string[] | undefined;
  readonly headers?: readonly ValueMatch[] | undefined;
  readonly cookies?: readonly ValueMatch[] | undefined;
  readonly query?: readonly ValueMatch[] | undefined;
  readonly sourceCIDRs?: readonly string[] | undefined;
  /** Public ports (what clients see), not those listened on. */
  readonly ports?: readonly number[] | undefined;
  /** A CEL expression that gives true or false. */
  readonly cel?: string | undefined;
}

export interface When extends WhenBlock {
  readonly not?: WhenBlock | undefined;
}

export type SameSite = 'Lax' | 'Strict' | 'None' | 'Unset';

export type HashAlgorithm = 'Rendezvous' | 'Maglev' | 'Ring';

export interface HashSettings {
  readonly algorithm?: HashAlgorithm | undefined;
  /** At least 1.1; unset = off. */
  readonly maxLoadFactor?: number | undefined;
}

export interface TableSettings {
  readonly idleTimeout?: Duration | undefined;
  readonly extendWhileActive?: Duration | undefined;
}

/** What is done with a value that was read from the request. `Learn`: a backend's answer says which values are sessions. */
export type KeyMode = 'Hash' | 'Table' | 'Learn';

/** Settings beside every key that is hashed or looked up. */
export interface KeyUse {
  readonly mode?: string | undefined;
  readonly hash?: HashSettings | undefined;
  readonly table?: TableSettings | undefined;
}

export type ForeignProduct = 'IngressNginx' | 'Traefik' | 'HAProxy' | 'Tengine' | 'F5';

/** Another product's cookie that is honoured until ours is there. */
export interface AcceptedCookie {
  readonly product: ForeignProduct;
  readonly name: string;
  /** RFC 3339 time. */
  readonly until?: string | undefined;
  /** The product's own name of a server → pod name. */
  readonly ids?: Readonly<Record<string, string>> | undefined;
}

export type CookieMode = 'Insert' | 'Rewrite' | 'Prefix' | 'Passive' | KeyMode;

export interface CookieRule extends KeyUse {
  readonly name?: string | undefined;
  readonly mode?: CookieMode | undefined;
  readonly path?: string | undefined;
  readonly domains?: readonly string[] | undefined;
  readonly secure?: 'Auto' | 'Always' | 'Never' | undefined;
  readonly httpOnly?: boolean | undefined;
  readonly sameSite?: SameSite | undefined;
  readonly conditionalSameSiteNone?: boolean | undefined;
  readonly partitioned?: boolean | undefined;
  readonly maxAge?: Duration | undefined;
  readonly attributes?: readonly string[] | undefined;
  readonly emit?: 'OnChange' | 'Always' | undefined;
  readonly emitOn?:
    { readonly methods?: readonly string[] | undefined; readonly statusBelow?: number | undefined } | undefined;
  readonly cacheable?: 'MarkPrivate' | 'Skip' | 'Ignore' | undefined;
  readonly hideFromBackend?: boolean | undefined;
  readonly preserve?: boolean | undefined;
  readonly delimiter?: string | undefined;
  readonly format?: 'Signed' | 'Plain' | undefined;
  readonly accept?: readonly AcceptedCookie[] | undefined;
  readonly extract?: Extract | undefined;
}

export interface HeaderRule extends KeyUse {
  readonly name: string;
  readonly mode: KeyMode | 'Wrap';
  readonly extract?: Extract | undefined;
}

export interface SourceIPRule extends KeyUse {
  readonly mode: 'Hash' | 'Table';
  readonly ipv4Prefix?: number | undefined;
  readonly ipv6Prefix?: number | undefined;
}

export interface QueryRule extends KeyUse {
  readonly name: string;
  readonly mode: 'Hash' | 'Table';
  readonly extract?: Extract | undefined;
}

export interface PathRule extends KeyUse {
  readonly mode: 'Hash' | 'Table';
  readonly extract?: Extract | undefined;
  readonly depth?: number | undefined;
  readonly includeQuery?: boolean | undefined;
}

export interface HostRule extends KeyUse {
  readonly mode: 'Hash' | 'Table';
}

export interface TlsSessionRule extends KeyUse {
  readonly mode: 'Table';
}

export interface ExpressionRule extends KeyUse {
  readonly mode: 'Hash' | 'Table';
  /** A CEL expression that gives a text. */
  readonly cel: string;
}

/** A Service port, written as an Ingress writes it. */
export interface WeightedBackend {
  readonly service: {
    readonly name: string;
    readonly port: { readonly number?: number | undefined; readonly name?: string | undefined };
  };
  readonly weight?: number | undefined;
}

export interface Rule {
  readonly name: string;
  readonly when?: When | undefined;
  readonly onMissing?: 'Next' | 'Balance' | 'Reject' | undefined;
  readonly force?: boolean | undefined;
  readonly backends?: readonly WeightedBackend[] | undefined;
  readonly cookie?: CookieRule | undefined;
  readonly header?: HeaderRule | undefined;
  readonly sourceIP?: SourceIPRule | undefined;
  readonly query?: QueryRule | undefined;
  readonly path?: PathRule | undefined;
  readonly host?: HostRule | undefined;
  readonly tlsSession?: TlsSessionRule | undefined;
  readonly expression?: ExpressionRule | undefined;
  readonly none?: Record<string, never> | undefined;
}

export type StickTo = 'Pod' | 'Version' | 'Service';

export type Algorithm = 'LeastRequests' | 'LeastSessions' | 'RoundRobin' | 'Random' | 'PowerOfTwo' | 'PeakEwma';

export interface StickyPolicySpec {
  readonly targetRefs?: readonly TargetRef[] | undefined;
  readonly session?:
    | {
        readonly group?: string | undefined;
        readonly stickTo?: StickTo | undefined;
        readonly identity?: IdentityKind | undefined;
        readonly idleTimeout?: Duration | undefined;
        readonly absoluteTimeout?: Duration | undefined;
      }
    | undefined;
  readonly rules?: readonly Rule[] | undefined;
  readonly newSession?:
    | {
        readonly algorithm?: Algorithm | undefined;
        readonly slowStart?: Duration | undefined;
        readonly maxSessionsPerEndpoint?: number | undefined;
        readonly onFull?: 'Overflow' | 'Reject' | undefined;
      }
    | undefined;
  readonly onEndpointLost?:
    | {
        readonly action?: 'Reassign' | 'Reject' | undefined;
        readonly statusCode?: number | undefined;
        readonly notReadyGrace?: Duration | undefined;
        readonly goneGrace?: Duration | undefined;
        readonly preferVersion?: 'Any' | 'Same' | 'Newest' | undefined;
      }
    | undefined;
  readonly drain?:
    { readonly action?: 'Keep' | 'Move' | undefined; readonly maxDuration?: Duration | undefined } | undefined;
  readonly retry?:
    { readonly attempts?: number | undefined; readonly changeOnFailure?: boolean | undefined } | undefined;
  readonly rebalance?: { readonly maxMovesPerMinute: number; readonly idleFor: Duration } | undefined;
}
