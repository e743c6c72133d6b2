/** Messages between the main thread and its workers. */
import type { SessionKey } from '../affinity/keyring.ts';
import type { Config } from '../config/config.ts';
import type { ClientAuthorities, KeyPair, TableCertificate, TlsHost } from '../model/certificate.ts';
import type { IdentityKind, ObjectKey, PoolKey } from '../model/ids.ts';
import type { Override } from '../model/override.ts';
import type { CompiledAffinity, CompiledPolicy, PolicyId } from '../model/policy.ts';
import type { Route, VirtualHost } from '../model/table.ts';
import type { BackendProtocol, UpstreamTls } from '../model/transport.ts';
import type { ChunkData } from './cells.ts';
import type { SessionMemory } from './session-entries.ts';

export interface EndpointData {
  readonly slot: number;
  /** The slot and its generation: see `refOf`. */
  readonly ref: number;
  readonly address: string;
  readonly port: number;
  readonly pod: string;
  readonly cookieValue?: string | undefined;
  readonly version?: string | undefined;
  /** `READY`, `DRAINING`, `NOT_READY` of `model/live.ts`. */
  readonly state: number;
  readonly since: number;
  readonly wasReady: boolean;
}

/** Look-up material of one identity kind, arrays parallel to the pool's endpoints. */
export interface IdentityData {
  readonly seeds: Int32Array;
  /** Per key id: the 12-character token prefix of each endpoint. */
  readonly prefixes: readonly (readonly [number, readonly string[]])[];
}

export interface PoolData {
  readonly key: PoolKey;
  readonly slot: number;
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
  readonly portName?: string | undefined;
  readonly protocol?: BackendProtocol | undefined;
  readonly endpoints: readonly EndpointData[];
  readonly newest?: string | undefined;
  /** Kinds that a policy in force tells these endpoints by; the others are not needed. */
  readonly identity: Readonly<Partial<Record<IdentityKind, IdentityData>>>;
}

/** Blocks with a slot for each such thing of the table, by a key of `slot-keys.ts`. */
export type CountedBlock = 'route' | 'service' | 'rule' | 'policy';

/** What changed since the last table this worker was sent. */
export interface TableDelta {
  readonly version: number;
  readonly chunks: readonly ChunkData[];
  /** Present when the keys changed. */
  readonly keys?: readonly SessionKey[];
  /** Present when it changed: how many replicas of the controller are Ready, this one included. */
  readonly replicas?: number;
  /** Of sessions, new or in place of an earlier one; and those that are over. */
  readonly overrides?: readonly Override[];
  readonly removedOverrides?: readonly Override[];
  readonly pools: readonly PoolData[];
  readonly removedPools: readonly PoolKey[];
  readonly policies: readonly CompiledPolicy[];
  readonly removedPolicies: readonly PolicyId[];
  readonly affinities: readonly CompiledAffinity[];
  readonly removedAffinities: readonly string[];
  readonly hosts: readonly VirtualHost[];
  readonly removedHosts: readonly string[];
  readonly certificates: readonly TableCertificate[];
  readonly removedCertificates: readonly ObjectKey[];
  readonly upstreamTls: readonly UpstreamTls[];
  readonly removedUpstreamTls: readonly string[];
  readonly tlsHosts: readonly TlsHost[];
  readonly removedTlsHosts: readonly string[];
  readonly clientAuthorities: readonly ClientAuthorities[];
  readonly removedClientAuthorities: readonly string[];
  /** Present when it changed; null = none. */
  readonly fallback?: Route | null;
  /** Routes, services, rules and policies that appear for the first time. */
  readonly slots: readonly (readonly [block: CountedBlock, key: string, slot: number])[];
  /** Those that nothing in the table needs any more. */
  readonly removedSlots: readonly (readonly [block: CountedBlock, key: string])[];
}

/** Limits and settings of the data path, the part of the configuration that workers see. */
export type WorkerSettings = Pick<
  Config,
  | 'bindAddress'
  | 'serverHeader'
  | 'trustedProxies'
  | 'proxyProtocol'
  | 'h2c'
  | 'forwardedHeader'
  | 'accessLog'
  | 'accessLogSample'
  | 'maxHeadBytes'
  | 'maxHeaders'
  | 'maxTargetBytes'
  | 'headTimeout'
  | 'idleTimeout'
  | 'bodyTimeout'
  | 'connectTimeout'
  | 'responseTimeout'
  | 'responseBodyTimeout'
  | 'maxConnections'
  | 'maxRequestsPerConnection'
  | 'maxInFlightPerEndpoint'
  | 'upstreamIdleTimeout'
  | 'sessionStore'
> & {
  /** 0 = the port listened on. */
  readonly publicHttpPort: number;
  /** 0 = the port listened on. */
  readonly publicHttpsPort: number;
  /** Idle connections to endpoints that one worker keeps. */
  readonly maxIdleUpstreams: number;
};

/** Handed over when a worker starts. */
export interface WorkerStart {
  readonly row: number;
  readonly workers: number;
  /** Wall clock ms, the same in all threads. */
  readonly epoch: number;
  readonly sessions: SessionMemory;
  readonly settings: WorkerSettings;
  readonly tls: WorkerTls;
}

/** What every worker ends TLS with besides the certificates of the table. */
export interface WorkerTls {
  /** The certificate of last resort. */
  readonly selfSigned: KeyPair;
  /** What session tickets are sealed with: 48 bytes. */
  readonly ticketKeys: Uint8Array;
  /** Name of the channel on which workers tell each other of sessions without tickets. */
  readonly sessionChannel: string;
}

/** Ports of the traffic; 0 = any free one. */
export interface Ports {
  readonly http: number;
  /** undefined = there is no HTTPS. */
  readonly https: number | undefined;
}

export type ToWorker =
  | { readonly type: 'table'; readonly delta: TableDelta }
  /** Start accepting. */
  | { readonly type: 'listen'; readonly ports: Ports }
  /** New ones in place of those in `WorkerTls`. */
  | { readonly type: 'ticketKeys'; readonly ticketKeys: Uint8Array }
  /** Close listeners, finish what is in flight within `grace` ms, then report `drained`. */
  | { readonly type: 'shutdown'; readonly grace: number };

/** One line of the access log; `-` stands for what does not apply. */
export interface AccessRecord {
  /** Wall clock ms of the request's end. */
  readonly at: number;
  readonly client: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly status: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Seconds from the end of the request's head to the end of the response. */
  readonly duration: number;
  /** Seconds until a connection to the endpoint was there, and until its answer's head; -1 = it never was. */
  readonly connect: number;
  readonly head: number;
  readonly namespace: string;
  readonly ingress: string;
  readonly service: string;
  readonly policy: string;
  readonly rule: string;
  readonly outcome: string;
  readonly reason: string;
  readonly endpoint: string;
  readonly requestId: string;
}

export type FromWorker =
  /** On these ports, really. */
  | { readonly type: 'listening'; readonly host: string; readonly ports: Ports }
  | { readonly type: 'listenFailed'; readonly code: string; readonly message: string }
  | { readonly type: 'applied'; readonly version: number }
  | { readonly type: 'access'; readonly records: readonly AccessRecord[] }
  | { readonly type: 'log'; readonly level: 'info' | 'warn' | 'error'; readonly message: string }
  | { readonly type: 'drained' };
