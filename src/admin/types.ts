/** What the admin server asks of the rest of the process; everything is injected, so that it knows no other folder's workings. */
import type { HostPort } from '../config/config.ts';
import type { Problem } from '../model/problem.ts';

/** Why the controller may not be ready. It is ready when nothing is unsynced, it has keys, a worker is up and it is not shutting down. */
export interface Readiness {
  /** Kinds whose first list has not been applied yet. */
  readonly unsynced: readonly string[];
  /** Whether there is at least one session key. */
  readonly keys: boolean;
  /** Workers that listen, of those wanted. One is enough to be ready: a replacement must not take the process out of service. */
  readonly workers: { readonly up: number; readonly wanted: number };
  readonly shuttingDown: boolean;
}

/** A Problem in force, and since when (wall clock, ms since the epoch). */
export interface ActiveProblem extends Problem {
  readonly since: number;
}

export interface VersionInfo {
  readonly version: string;
  readonly node: string;
  /** Wall clock, ms since the epoch. */
  readonly startedAt: number;
  readonly workers: number;
  /** The addresses really listened on. */
  readonly http: HostPort;
  readonly admin: HostPort;
  /** The port that clients see (`X-Forwarded-Port`, redirects). */
  readonly publicHttpPort: number;
  /** null = there is no HTTPS. */
  readonly https: HostPort | null;
  readonly publicHttpsPort: number | null;
  /** The newest routing table, and the newest that every worker serves by. */
  readonly table: { readonly newest: number; readonly live: number };
}

/** Work that a pod still has. A pod that no pool knows has none, and is done. */
export interface DrainProgress {
  /** Which process answers, when one alone was asked. */
  readonly instance?: string;
  /** How many replicas were asked and how many answered, when all were. */
  readonly replicas?: { readonly asked: number; readonly answered: number };
  /** Sessions whose token or key has come back at least once. */
  readonly sessions: number;
  /** Requests being answered, over all workers and pools. */
  readonly inFlight: number;
  /** Upgraded connections (WebSocket). */
  readonly upgraded: number;
  readonly done: boolean;
}

/** Who asks. */
export interface Caller {
  /** Path and query as they came. */
  readonly target: string;
  /** Of a POST. */
  readonly body?: string | undefined;
  readonly authorization: string | undefined;
  /** Whether the connection comes from this machine. */
  readonly loopback: boolean;
}

/** Which sessions are listed; undefined = any. */
export interface SessionQuery {
  /** `namespace/name`, as metrics name it. */
  readonly policy?: string | undefined;
  /** `namespace/name`. */
  readonly pod?: string | undefined;
  readonly id?: string | undefined;
  readonly limit: number;
}

export interface SessionInfo {
  /** 16 hexadecimal digits; no token can be made of them. */
  readonly id: string;
  /** `key`: of mode Table or Learn, which the table alone knows; `seen`: of a token or a hashed key. */
  readonly kind: 'key' | 'seen';
  readonly namespace: string;
  readonly policy: string;
  readonly service: string;
  /** Empty = it has gone. */
  readonly pod: string;
  /** Its token or key has come back. */
  readonly active: boolean;
  /** Wall clock, ms. */
  readonly firstSeen: number;
  readonly lastSeen: number;
}

export interface SessionListing {
  /** The latest used first. */
  readonly sessions: readonly SessionInfo[];
  /** There are more than were asked for. */
  readonly more: boolean;
  readonly replicas?: { readonly asked: number; readonly answered: number };
}

/** What `move` and `end` have done. */
export interface SessionChange {
  readonly id: string;
  /** `namespace/name` of the pod; undefined = the session has ended. */
  readonly to?: string | undefined;
  /** Wall clock ms until which tokens made before do not count. */
  readonly until: number;
  /** Others that were to hear of it, and those that did. */
  readonly told: { readonly asked: number; readonly answered: number };
}

/** Why something is not done: the status of the answer, and what to do instead. */
export interface Refusal {
  readonly status: 400 | 401 | 403 | 404 | 409 | 503;
  readonly error: string;
}

export interface SessionAdmin {
  /** Over all replicas. */
  list(query: SessionQuery): Promise<SessionListing>;
  /** Of this process alone. */
  here(query: SessionQuery): SessionListing;
  /** `session`: its id, or the value of its cookie. `to`: a pod; undefined = it ends. */
  change(session: string, to: string | undefined): Promise<SessionChange | Refusal>;
  show(session: string): Promise<SessionInfo | Refusal>;
  /** What replicas tell one another. */
  orders(): unknown;
  /** Takes over what another replica tells; undefined = that is done. */
  obey(orders: unknown): Refusal | undefined;
}

export interface AdminOptions {
  readonly address: HostPort;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
  readonly readiness: () => Readiness;
  readonly problems: () => readonly ActiveProblem[];
  readonly version: () => VersionInfo;
  /** Over all replicas. */
  readonly drain: (namespace: string, pod: string) => Promise<DrainProgress>;
  readonly sessions: SessionAdmin;
  /** Whether a caller may list sessions (`get`) or change them (`post`); undefined = it may. */
  readonly authorize: (caller: Caller, verb: 'get' | 'post') => Promise<Refusal | undefined>;
  /** Whether a question comes from another replica. */
  readonly isReplica: (caller: Caller) => boolean;
  /** Of this process alone; undefined = the caller may not ask. */
  readonly drainHere: (namespace: string, pod: string, caller: Caller) => DrainProgress | undefined;
}

export interface AdminServer {
  /** The address really listened on. */
  readonly address: HostPort;
  /** Stops listening and closes every connection. */
  close(): Promise<void>;
}
