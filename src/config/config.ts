/** `Config`: every setting of the controller, resolved; camelCase of the flags. Plain data that can be sent to a worker. */

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** A Service port by `NS/NAME:PORT`. */
export interface ServicePortRef {
  readonly namespace: string;
  readonly service: string;
  /** A port by number or by name. */
  readonly port: number | string;
}

/** Where the session store is: one server, those that know its master, or some nodes of a cluster. */
export interface SessionStoreAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** At least one. */
  readonly nodes: readonly HostPort[];
  /** 0 in a cluster. */
  readonly database: number;
  /** The name that Sentinel knows the master by; empty without Sentinel. */
  readonly master: string;
  readonly sentinelPassword: string | undefined;
}

/** An object by `NS/NAME`. */
export interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}

/** An address to listen on, `HOST:PORT` taken apart; an IPv6 host has no brackets. */
export interface HostPort {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
}

/** Durations are milliseconds, sizes are bytes. */
export interface Config {
  /** The `--config` file read, if any. */
  readonly config: string | undefined;
  /** Folder of manifests (standalone); undefined = none given. */
  readonly manifests: string | undefined;
  /** Names the cluster when there are no manifests; undefined = the pod's own account, else `KUBECONFIG`. */
  readonly kubeconfig: string | undefined;

  // Listening
  readonly bindAddress: string;
  /** 0 = any free port. */
  readonly httpPort: number;
  /** The port clients see; undefined = the one really listened on. */
  readonly publicHttpPort: number | undefined;
  /** 0 = any free port; undefined = no HTTPS. */
  readonly httpsPort: number | undefined;
  /** The port clients see; undefined = the one really listened on. */
  readonly publicHttpsPort: number | undefined;
  /** HTTP/2 without TLS for clients that begin with it. */
  readonly h2c: boolean;
  readonly adminAddress: HostPort;
  /** File with the token of who may list and change sessions; undefined = there is no such token. */
  readonly adminTokenFile: string | undefined;
  readonly workers: number;
  /** `Server` for answers without one; empty = none is added. */
  readonly serverHeader: string;

  // Which objects are served
  readonly controllerName: string;
  readonly ingressClass: string;
  readonly watchIngressWithoutClass: boolean;
  /** Empty = all namespaces. */
  readonly watchNamespaces: readonly string[];
  /** In a cluster: see drain marks on pods. */
  readonly podWatch: boolean;
  readonly defaultBackend: ServicePortRef | undefined;
  /** Its certificate is for clients that ask for no host, or for one without a certificate. */
  readonly defaultTlsSecret: ObjectName | undefined;
  /** In a cluster: names of the Secrets that may be read; empty = all of type kubernetes.io/tls, and those that annotations name. */
  readonly tlsSecretNames: readonly string[];
  /** Annotations may name Secrets of other namespaces than their Ingress's. */
  readonly allowCrossNamespaceSecrets: boolean;
  /** Serve Ingresses whose access annotations are not supported, open to everybody. */
  readonly allowUnsupportedAnnotations: boolean;

  // Client address
  /** CIDRs (a bare address counts as one). */
  readonly trustedProxies: readonly string[];
  /** Connections of trusted proxies begin with a PROXY protocol header. */
  readonly proxyProtocol: boolean;
  /** Also send RFC 7239 `Forwarded` to backends. */
  readonly forwardedHeader: boolean;

  // Sessions
  readonly stateDir: string;
  /** Resolved: `STATE_DIR/session-keys.json` unless set. Created (mode 0600) on the first start when it does not exist. */
  readonly sessionKeysFile: string;
  /** In a cluster: the Secret with the session keys; undefined = not given (the default depends on where we run). */
  readonly sessionKeysSecret: ObjectName | undefined;
  /** Whether the user named the key file: it then goes before the default Secret. */
  readonly sessionKeysFileGiven: boolean;

  /** Shares the keys that only session tables know among replicas; undefined = each replica has its own. */
  readonly sessionStore: SessionStoreAddress | undefined;

  /** How many sessions the session table has room for, 32 bytes each. */
  readonly sessionTableEntries: number;

  // In a cluster: status and replicas
  /** The Service whose addresses the status of Ingresses shows. */
  readonly publishService: ObjectName | undefined;
  /** Addresses that the status of Ingresses shows; go before those of `publishService`. Empty = none given. */
  readonly publishAddress: readonly string[];
  /** The last replica takes its addresses back when it ends. */
  readonly removeStatusOnShutdown: boolean;
  /** The Lease that the writing replica holds; undefined = not given (the default depends on where we run). */
  readonly leaderLease: ObjectName | undefined;
  /** The headless Service of the controller's replicas; undefined = this process is the only one. */
  readonly replicasService: ObjectName | undefined;

  // Shutdown
  readonly shutdownDelay: number;
  readonly shutdownGrace: number;

  // Seeing it
  readonly logLevel: LogLevel;
  readonly accessLog: 'off' | 'sampled' | 'full';
  /** With `accessLog: sampled`, one request in N is logged. */
  readonly accessLogSample: number;
  readonly metricsPerEndpoint: 'auto' | 'on' | 'off';

  // Limits and timeouts
  readonly maxHeadBytes: number;
  readonly maxHeaders: number;
  readonly maxTargetBytes: number;
  readonly headTimeout: number;
  readonly idleTimeout: number;
  readonly bodyTimeout: number;
  readonly connectTimeout: number;
  readonly responseTimeout: number;
  readonly responseBodyTimeout: number;
  readonly upstreamIdleTimeout: number;
  /** Over all workers. */
  readonly maxConnections: number;
  readonly maxRequestsPerConnection: number;
  /** 0 = unlimited. */
  readonly maxInFlightPerEndpoint: number;
}
