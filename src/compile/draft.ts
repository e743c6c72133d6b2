/** A route while it is being compiled: resolved to its pool, not yet to its policy. */
import type { Ingress, PathType } from '../model/resources.ts';
import type { PoolSpec } from '../model/table.ts';

export interface DraftRoute {
  readonly namespace: string;
  /** undefined = the default backend given by a flag. */
  readonly ingress: Ingress | undefined;
  /** The `VirtualHost` it belongs to; undefined = the global fallback. */
  readonly host: string | undefined;
  /** What a policy's `sectionName` must say to mean this route: its rule's host, or `*` (no host, default backends). */
  readonly section: string;
  readonly path: string;
  readonly pathType: PathType;
  /** Empty = the Ingress names none that can be used. */
  readonly service: string;
  readonly pool: PoolSpec | undefined;
  /** Nothing may be served here, whatever a policy says. */
  readonly closed: boolean;
}

export interface DraftHost {
  readonly host: string;
  readonly routes: DraftRoute[];
  fallback: DraftRoute | undefined;
}

export interface Drafts {
  readonly hosts: ReadonlyMap<string, DraftHost>;
  readonly fallback: DraftRoute | undefined;
}

/** The section of rules without a host and of default backends. */
export const HOSTLESS_SECTION = '*';
