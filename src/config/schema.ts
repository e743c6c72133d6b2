/** The one schema of all settings: flags, environment variables, config file, defaults and `--help` are all read from it. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from './config.ts';
import * as values from './values.ts';

export const SECTIONS = [
  'Source',
  'Listening',
  'Objects',
  'Client address',
  'Sessions',
  'Cluster',
  'Shutdown',
  'Logs and metrics',
  'Limits and timeouts',
] as const;

export interface SettingInfo {
  readonly section: (typeof SECTIONS)[number];
  /** Placeholder of the value in `--help`; empty = a switch that needs no value. */
  readonly value: string;
  readonly meaning: string;
  /** What is given may hold a password: it is not shown. */
  readonly secret?: true;
  /** Text parsed by the setting's own schema; undefined = unset. */
  readonly default?: string;
  /** How the default is described when its text depends on the machine or on other settings. */
  readonly defaultText?: string;
}

/** What is known about each setting beside its schema. */
const settings = z.registry<SettingInfo>();

function setting<T extends z.ZodType>(schema: T, info: SettingInfo): T {
  settings.add(schema, info);
  return schema;
}

/** Keys are camelCase of the flags; every input is text, whatever it came from. */
export const settingsSchema = z.strictObject({
  manifests: setting(values.path().optional(), {
    section: 'Source',
    value: 'DIR',
    meaning: 'standalone: serve the objects of the YAML files in DIR, watched for changes; no cluster is needed',
  }),
  kubeconfig: setting(values.path().optional(), {
    section: 'Source',
    value: 'FILE',
    defaultText: 'the pod’s service account, else KUBECONFIG',
    meaning: 'the cluster whose objects are served, unless --manifests is given',
  }),
  config: setting(values.path().optional(), {
    section: 'Source',
    value: 'FILE',
    meaning: 'read settings from a YAML file of `flag-name: value` lines',
  }),

  bindAddress: setting(values.address(), {
    section: 'Listening',
    value: 'IP',
    default: '::',
    meaning: 'address to listen on; :: is both IPv6 and IPv4, and 0.0.0.0 where there is no IPv6',
  }),
  httpPort: setting(values.integer(0, 65535), {
    section: 'Listening',
    value: 'PORT',
    default: '8080',
    meaning: 'port for HTTP; 0 = any free port',
  }),
  publicHttpPort: setting(values.integer(1, 65535).optional(), {
    section: 'Listening',
    value: 'PORT',
    defaultText: 'the port listened on',
    meaning: 'port that clients see in front of this process, for X-Forwarded-Port',
  }),
  httpsPort: setting(values.portOrOff(), {
    section: 'Listening',
    value: 'PORT|off',
    default: '8443',
    meaning: 'port for HTTPS; 0 = any free port',
  }),
  publicHttpsPort: setting(values.integer(1, 65535).optional(), {
    section: 'Listening',
    value: 'PORT',
    defaultText: 'the port listened on',
    meaning: 'port that clients see in front of this process, for redirects and X-Forwarded-Port',
  }),
  h2c: setting(values.flag(), {
    section: 'Listening',
    value: '',
    default: 'false',
    meaning: 'also take HTTP/2 without TLS, from clients that begin with it (prior knowledge)',
  }),
  adminAddress: setting(values.hostPort(), {
    section: 'Listening',
    value: 'HOST:PORT',
    default: '127.0.0.1:9090',
    meaning: 'health, metrics and admin API; port 0 = any free port',
  }),
  adminTokenFile: setting(values.path().optional(), {
    section: 'Listening',
    value: 'FILE',
    defaultText: 'none; in a cluster, tokens of accounts with the right',
    meaning: 'token of those who may list, move and end sessions; of `holdfast sessions`, the token that it sends',
  }),
  workers: setting(values.integer(1, 256), {
    section: 'Listening',
    value: 'N',
    default: String(availableParallelism()),
    defaultText: 'number of CPUs',
    meaning: 'worker threads that carry the traffic',
  }),
  serverHeader: setting(values.text('write printable ASCII, or nothing for no Server header', /^[\x20-\x7e]{0,256}$/), {
    section: 'Listening',
    value: 'TEXT',
    default: 'holdfast',
    meaning: 'Server header of answers that have none; empty = none',
  }),

  controllerName: setting(
    values.text(
      'write a domain-prefixed name such as holdfast.dev/ingress-controller',
      /^[a-z0-9][a-z0-9.-]*\/[\w./-]+$/i,
    ),
    {
      section: 'Objects',
      value: 'NAME',
      default: 'holdfast.dev/ingress-controller',
      meaning: 'the IngressClass spec.controller that is ours',
    },
  ),
  ingressClass: setting(
    values.text('write the name of an IngressClass such as holdfast', /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/),
    {
      section: 'Objects',
      value: 'NAME',
      default: 'holdfast',
      meaning: 'class served by name where no IngressClass object says whose it is',
    },
  ),
  watchIngressWithoutClass: setting(values.flag(), {
    section: 'Objects',
    value: '',
    default: 'false',
    meaning: 'also serve Ingresses that name no class',
  }),
  watchNamespaces: setting(values.namespaces(), {
    section: 'Objects',
    value: 'NS,…',
    default: '',
    defaultText: 'all',
    meaning: 'namespaces whose objects are served',
  }),
  podWatch: setting(values.flag(), {
    section: 'Objects',
    value: '',
    default: 'true',
    meaning: 'in a cluster, watch the metadata of pods; --no-pod-watch: drain marks on pods are not seen',
  }),
  defaultBackend: setting(values.servicePort().optional(), {
    section: 'Objects',
    value: 'NS/NAME:PORT',
    meaning: 'Service for requests that no Ingress claims; without it they are answered 404',
  }),
  defaultTlsSecret: setting(values.objectName('holdfast/default-tls').optional(), {
    section: 'Objects',
    value: 'NS/NAME',
    defaultText: 'a self-signed certificate made at the start',
    meaning: 'Secret with the certificate for clients whose host has none',
  }),
  tlsSecretNames: setting(values.objectNames(), {
    section: 'Objects',
    value: 'NAME,…',
    default: '',
    defaultText: 'all of type kubernetes.io/tls, and those that annotations name',
    meaning: 'in a cluster, names of the Secrets with certificates, so that a right on these names is enough',
  }),
  allowCrossNamespaceSecrets: setting(values.flag(), {
    section: 'Objects',
    value: '',
    default: 'false',
    meaning: 'annotations may name Secrets of other namespaces than that of their Ingress',
  }),
  allowUnsupportedAnnotations: setting(values.flag(), {
    section: 'Objects',
    value: '',
    default: 'false',
    meaning:
      'serve Ingresses whose annotations restrict access in a way not supported, open to everybody; without it their routes answer 503',
  }),

  trustedProxies: setting(values.cidrs(), {
    section: 'Client address',
    value: 'CIDR,…',
    default: '',
    defaultText: 'none',
    meaning: 'peers whose X-Forwarded-For and Forwarded headers are believed',
  }),
  proxyProtocol: setting(values.flag(), {
    section: 'Client address',
    value: '',
    default: 'false',
    meaning:
      'connections of --trusted-proxies begin with a PROXY protocol header (v1 or v2) that names the client; they are closed without one',
  }),
  forwardedHeader: setting(values.flag(), {
    section: 'Client address',
    value: '',
    default: 'false',
    meaning: 'also send the Forwarded header (RFC 7239) to backends',
  }),

  stateDir: setting(values.path(), {
    section: 'Sessions',
    value: 'DIR',
    default: '.holdfast',
    meaning: 'folder for what must survive a restart',
  }),
  sessionKeysFile: setting(values.path().optional(), {
    section: 'Sessions',
    value: 'FILE',
    defaultText: 'STATE-DIR/session-keys.json',
    meaning: 'keys that sign session tokens, made on the first start; every replica needs the same ones',
  }),

  sessionKeysSecret: setting(values.objectName('holdfast/holdfast-session-keys').optional(), {
    section: 'Sessions',
    value: 'NS/NAME',
    defaultText: 'in a cluster, holdfast-session-keys beside the controller',
    meaning: 'in a cluster, the Secret with the session keys; it must exist and may be empty: the leader fills it',
  }),

  sessionStore: setting(values.storeUrl().optional(), {
    section: 'Sessions',
    value: 'URL',
    defaultText: 'none: each replica has its own table',
    meaning: 'Redis or Valkey, such as redis://HOST:PORT, where replicas share keys of modes Table and Learn',
    secret: true,
  }),

  sessionTableEntries: setting(values.integer(1024, 16_777_216), {
    section: 'Sessions',
    value: 'N',
    default: '1048576',
    meaning:
      'size of the table of sessions in use, 32 bytes of memory each; half of it is for tokens and hashed keys, half for keys of modes Table and Learn',
  }),

  publishService: setting(values.objectName('holdfast/holdfast').optional(), {
    section: 'Cluster',
    value: 'NS/NAME',
    meaning: 'Service whose addresses stand in the status of our Ingresses',
  }),
  publishAddress: setting(values.publicAddresses(), {
    section: 'Cluster',
    value: 'ADDRESS,…',
    default: '',
    defaultText: 'those of --publish-service',
    meaning: 'IP addresses or host names that stand in the status of our Ingresses',
  }),
  removeStatusOnShutdown: setting(values.flag(), {
    section: 'Cluster',
    value: '',
    default: 'false',
    meaning:
      'when the last replica of --replicas-service ends, take these addresses out of the status of our Ingresses',
  }),
  leaderLease: setting(values.objectName('holdfast/holdfast-leader').optional(), {
    section: 'Cluster',
    value: 'NS/NAME',
    defaultText: 'holdfast-leader beside the controller',
    meaning: 'Lease whose holder writes status, events and new session keys; every replica serves',
  }),
  replicasService: setting(values.objectName('holdfast/holdfast-replicas').optional(), {
    section: 'Cluster',
    value: 'NS/NAME',
    meaning: 'headless Service of the replicas’ admin ports, asked about draining pods; without it this process alone',
  }),

  shutdownDelay: setting(values.duration(0), {
    section: 'Shutdown',
    value: 'DURATION',
    default: '5s',
    meaning: 'after SIGTERM, go on accepting for this long while load balancers take notice',
  }),
  shutdownGrace: setting(values.duration(0), {
    section: 'Shutdown',
    value: 'DURATION',
    default: '30s',
    meaning: 'then let requests in flight finish for at most this long',
  }),

  logLevel: setting(values.oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'), {
    section: 'Logs and metrics',
    value: 'LEVEL',
    default: 'info',
    meaning: 'trace, debug, info, warn, error, fatal or silent',
  }),
  accessLog: setting(values.oneOf('off', 'sampled', 'full'), {
    section: 'Logs and metrics',
    value: 'off|sampled|full',
    default: 'off',
    meaning: 'one line a request on stdout',
  }),
  accessLogSample: setting(values.integer(1, 1_000_000), {
    section: 'Logs and metrics',
    value: 'N',
    default: '100',
    meaning: 'with --access-log sampled, log one request in N',
  }),
  metricsPerEndpoint: setting(values.oneOf('auto', 'on', 'off'), {
    section: 'Logs and metrics',
    value: 'auto|on|off',
    default: 'auto',
    meaning: 'metrics of single endpoints; auto = while there are at most 2,000 of them',
  }),

  maxHeadBytes: setting(values.integer(1024, 1_048_576), {
    section: 'Limits and timeouts',
    value: 'BYTES',
    default: '16384',
    meaning: 'size of a request or response head; a longer request is answered 431',
  }),
  maxHeaders: setting(values.integer(8, 10_000), {
    section: 'Limits and timeouts',
    value: 'N',
    default: '100',
    meaning: 'header lines in a head; more are answered 431',
  }),
  maxTargetBytes: setting(values.integer(256, 1_048_576), {
    section: 'Limits and timeouts',
    value: 'BYTES',
    default: '8192',
    meaning: 'size of a request target; a longer one is answered 414',
  }),
  headTimeout: setting(values.duration(1), {
    section: 'Limits and timeouts',
    value: 'DURATION',
    default: '10s',
    meaning: 'a request head must be complete within this, else 408',
  }),
  idleTimeout: setting(values.duration(1), {
    section: 'Limits and timeouts',
    value: 'DURATION',
    default: '75s',
    meaning: 'an idle client connection is closed after this',
  }),
  bodyTimeout: setting(values.duration(1), {
    section: 'Limits and timeouts',
    value: 'DURATION',
    default: '60s',
    meaning: 'longest pause of a client within a request body',
  }),
  connectTimeout: setting(values.duration(1), {
    section: 'Limits and timeouts',
    value: 'DURATION',
    default: '5s',
    meaning: 'connecting to an endpoint',
  }),
  responseTimeout: setting(values.duration(1), {
    section: 'Limits and timeouts',
    value: 'DURATION',
    default: '60s',
    meaning: 'waiting for the head of an endpoint’s response, else 504',
  }),
  responseBodyTimeout: setting(values.duration(1), {
    section: 'Limits and timeouts',
    value: 'DURATION',
    default: '60s',
    meaning: 'longest pause of an endpoint within a response body',
  }),
  upstreamIdleTimeout: setting(values.duration(1), {
    section: 'Limits and timeouts',
    value: 'DURATION',
    default: '30s',
    meaning: 'an idle connection to an endpoint is closed after this',
  }),
  maxConnections: setting(values.integer(1, 10_000_000), {
    section: 'Limits and timeouts',
    value: 'N',
    default: '20000',
    meaning: 'client connections of the whole process; one more is accepted and closed at once',
  }),
  maxRequestsPerConnection: setting(values.integer(1, 1_000_000_000), {
    section: 'Limits and timeouts',
    value: 'N',
    default: '10000',
    meaning: 'requests after which a client connection is closed',
  }),
  maxInFlightPerEndpoint: setting(values.integer(0, 1_000_000), {
    section: 'Limits and timeouts',
    value: 'N',
    default: '0',
    meaning: 'requests at a time per endpoint, over all workers; 0 = unlimited',
  }),
});

export type SettingKey = keyof z.input<typeof settingsSchema>;
export type SettingValues = z.output<typeof settingsSchema>;

export interface Setting {
  readonly key: SettingKey;
  /** Name on the command line without `--`, and key in the config file. */
  readonly flag: string;
  /** Environment variable. */
  readonly env: string;
  readonly info: SettingInfo;
  readonly schema: z.ZodType;
}

/** All settings in the order of `--help`. */
export const SETTINGS: readonly Setting[] = Object.entries(settingsSchema.shape).map(([key, schema]) => {
  const info = settings.get(schema);
  if (info === undefined) throw new Error(`setting ${key} has no description`);
  const flag = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const env = `HOLDFAST_${flag.toUpperCase().replaceAll('-', '_')}`;
  return { key: key as SettingKey, flag, env, info, schema };
});

/** Fills in what depends on other settings. */
export function toConfig(settled: SettingValues): Config {
  return {
    ...settled,
    manifests: settled.manifests,
    kubeconfig: settled.kubeconfig,
    config: settled.config,
    publicHttpPort: settled.publicHttpPort,
    httpsPort: settled.httpsPort,
    publicHttpsPort: settled.publicHttpsPort,
    adminTokenFile: settled.adminTokenFile,
    defaultTlsSecret: settled.defaultTlsSecret,
    defaultBackend: settled.defaultBackend,
    sessionKeysSecret: settled.sessionKeysSecret,
    sessionKeysFileGiven: settled.sessionKeysFile !== undefined,
    sessionStore: settled.sessionStore,
    publishService: settled.publishService,
    leaderLease: settled.leaderLease,
    replicasService: settled.replicasService,
    sessionKeysFile: settled.sessionKeysFile ?? join(settled.stateDir, 'session-keys.json'),
  };
}
