/** The controller: wires source, store, compiler, workers and admin server together; the control plane's one place of assembly. */
import { randomBytes, randomUUID } from 'node:crypto';
import { startAdmin } from '../admin/server.ts';
import type { ActiveProblem, AdminServer, Readiness, VersionInfo } from '../admin/types.ts';
import { KeyRing, type SessionKey } from '../affinity/keyring.ts';
import type { Config, HostPort } from '../config/config.ts';
import { objectKey } from '../model/ids.ts';
import { RESOURCE_KINDS } from '../model/resources.ts';
import type { EndpointSlice } from '../model/resources.ts';
import { packageVersion } from '../package.ts';
import { Counted } from '../shared/counted.ts';
import { GAUGE } from '../shared/layout.ts';
import { collectGarbage, setFlags } from '../shared/v8.ts';
import type { AccessRecord } from '../shared/messages.ts';
import { HealthMarks } from '../shared/meters.ts';
import { createSessionMemory, MAIN_THREAD } from '../shared/session-entries.ts';
import { SessionSweep } from '../shared/session-sweep.ts';
import { SessionTable } from '../shared/session-table.ts';
import type { KubeClient } from '../source/kubernetes/client.ts';
import { Store } from '../store/store.ts';
import type { Clock, StoreChange } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { authorize } from './authorize.ts';
import { Cluster, keysSecretOf } from './cluster.ts';
import { Configuration } from './configuration.ts';
import { maxIdleUpstreams } from './descriptors.ts';
import { drainProgress } from './drain.ts';
import { ownIdentity, ownNamespace } from './place.ts';
import { Prober } from './prober.ts';
import { ReplicaCalls } from './replica-calls.ts';
import { ReplicaCount } from './replica-count.ts';
import { slicesOf } from './replica-slices.ts';
import { Replicas } from './replicas.ts';
import { selfSigned } from './self-signed.ts';
import { SessionControl } from './session-control.ts';
import { watchSessionKeys } from './session-keys.ts';
import { connectToCluster, startSource, type Source } from './source.ts';
import { Workers } from './workers.ts';

export interface Controller {
  readonly httpAddress: HostPort;
  /** undefined = there is no HTTPS. */
  readonly httpsAddress: HostPort | undefined;
  readonly adminAddress: HostPort;
  readonly problems: () => ActiveProblem[];
  /** Graceful: not ready, then no new connections, then what is in flight ends. */
  shutdown(): Promise<void>;
}

const SWEEP_MS = 10_000;
/** After a change has gone live, until the cluster is told. */
const TELL_MS = 500;
const TICKET_KEY_BYTES = 48;
/** Whoever gets hold of the key of session tickets can read no more than this many ms of recorded TLS 1.2 traffic. */
const TICKETS_MS = 8 * 3600_000;
/** Some time after the start, when a large cluster's first statuses are written, their garbage is collected once: ms. */
const SETTLED_MS = 30_000;

/**
 * Resolves when it serves, or, once `stop` is aborted, as far as it has come; `shutdown()` ends it either way.
 *
 * @throws Error with a message for the user: unreadable keys or manifests, ports that cannot be had
 */
export async function startController(config: Config, logger: Logger, stop: AbortSignal): Promise<Controller> {
  const controller = new RunningController(config, logger);
  await controller.start(stop);
  return controller;
}

class RunningController implements Controller {
  httpAddress: HostPort = { host: '', port: 0 };
  httpsAddress: HostPort | undefined;
  adminAddress: HostPort = { host: '', port: 0 };
  readonly #config: Config;
  readonly #logger: Logger;
  readonly #clock = Date.now;
  readonly #startedAt = Date.now();
  readonly #counted: Counted;
  readonly #configuration: Configuration;
  readonly #store: Store;
  readonly #workers: Workers;
  readonly #sessionSweep: SessionSweep;
  readonly #metrics: Metrics;
  readonly #first = Promise.withResolvers<undefined>();
  readonly #closers: (() => void | Promise<void>)[] = [];
  #source: Source | undefined;
  #admin: AdminServer | undefined;
  #api: KubeClient | undefined;
  #cluster: Cluster | undefined;
  readonly #identity = ownIdentity(process.env);
  readonly #timers: Clock = {
    now: this.#clock,
    setTimeout,
    clearTimeout: (handle: unknown) => clearTimeout(handle as NodeJS.Timeout),
  };
  readonly #calls: ReplicaCalls;
  readonly #replicas: Replicas;
  readonly #replicaCount: ReplicaCount;
  readonly #sessions: SessionControl;
  /** Empty = there are none yet. */
  #keys: readonly SessionKey[] = [];
  #keyRing = KeyRing.from([]);
  readonly #firstKeys = Promise.withResolvers<undefined>();
  #telling: NodeJS.Timeout | undefined;
  #shuttingDown = false;

  constructor(config: Config, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
    setFlags();
    this.#counted = new Counted(config.workers);
    this.#configuration = new Configuration({
      counted: this.#counted,
      compile: {
        ...config,
        inCluster: config.manifests === undefined,
        podMetadata: config.manifests === undefined && config.podWatch,
      },
      logger,
      clock: this.#clock,
      sharesKeys: config.sessionStore !== undefined,
      send: (delta) => {
        this.#workers.send(delta);
      },
    });
    const sessions = createSessionMemory(config.sessionTableEntries, this.#startedAt);
    const table = new SessionTable(sessions, MAIN_THREAD, this.#counted.blocks.session);
    this.#sessionSweep = new SessionSweep(sessions, this.#counted.blocks.session);
    this.#workers = new Workers({
      count: config.workers,
      epoch: this.#startedAt,
      settings: {
        ...config,
        publicHttpPort: config.publicHttpPort ?? 0,
        publicHttpsPort: config.publicHttpsPort ?? 0,
        maxIdleUpstreams: maxIdleUpstreams(config.workers),
      },
      counted: this.#counted,
      sessions,
      sessionSweep: this.#sessionSweep,
      tls: {
        selfSigned: selfSigned({ names: ['holdfast.invalid'] }),
        ticketKeys: randomBytes(TICKET_KEY_BYTES),
        sessionChannel: `holdfast-tls-${randomUUID()}`,
      },
      logger,
      clock: this.#clock,
      everything: () => this.#configuration.everything(),
      onAccess: (records) => {
        this.#logAccess(records);
      },
    });
    // Monotonic and finer than the wall clock: what the propagation metric begins with is read here.
    const clock = { ...this.#timers, now: () => performance.now() };
    this.#store = new Store({ onChange: (change) => this.#onChange(change), clock });
    const { replicasService } = config;
    const slices = async (): Promise<EndpointSlice[]> =>
      replicasService === undefined ? [] : await slicesOf(this.#store.snapshot(), this.#api, replicasService);
    this.#replicaCount = new ReplicaCount(slices, (count) => this.#configuration.setReplicas(count));
    this.#calls = new ReplicaCalls({
      service: replicasService,
      slices,
      keys: () => this.#keys,
      clock: this.#clock,
    });
    this.#replicas = new Replicas({
      calls: this.#calls,
      instance: this.#identity,
      local: (namespace, pod) => {
        const now = this.#clock();
        const rules = this.#configuration.drainRules(namespace, pod, now);
        return drainProgress(this.#counted, namespace, pod, rules, now - this.#startedAt);
      },
      clock: this.#clock,
    });
    this.#sessions = new SessionControl({
      table,
      counted: this.#counted,
      configuration: this.#configuration,
      calls: this.#calls,
      sessionStore: config.sessionStore,
      keys: () => this.#keyRing,
      clock: this.#clock,
      live: () => new Promise((resolve) => this.#workers.onApplied(this.#configuration.version, resolve)),
      logger,
    });
    this.#metrics = new Metrics({
      counted: this.#counted,
      sessions: () => this.#sessionSweep.figures(),
      perEndpoint: config.metricsPerEndpoint,
      restarts: this.#workers.restarts,
      pools: () => this.#configuration.livePools(),
      policiesByPool: () => this.#configuration.policiesByPool(),
      objects: () => this.#configuration.objectCounts(),
      problems: () => this.#configuration.problemCounts(),
      leading: () => this.#cluster?.leading,
      watches: () => this.#source?.watches() ?? [],
      compileSeconds: () => this.#configuration.compileSeconds,
      logLinesDropped: () => logger.dropped(),
      lastSuccess: () => this.#configuration.lastSuccess,
    });
  }

  async start(stop: AbortSignal): Promise<void> {
    try {
      const cluster = await connectToCluster(this.#config);
      if (cluster !== undefined) this.#closers.push(() => cluster.close());
      await this.#startKeys(cluster);
      // Before the first sync: while a cluster does not answer, /readyz says what is being waited for.
      await this.#startAdmin();
      const source = await startSource(this.#config, cluster, this.#store.sink, this.#logger);
      this.#source = source;
      this.#closers.push(() => source.close());
      await Promise.race([Promise.all([this.#first.promise, this.#firstKeys.promise]), aborted(stop)]);
      if (stop.aborted) return;
      await this.#sessions.start();
      this.#closers.push(() => this.#sessions.stop());
      const { httpPort, httpsPort } = this.#config;
      const { host, ports } = await this.#workers.start({ http: httpPort, https: httpsPort });
      this.httpAddress = { host, port: ports.http };
      this.httpsAddress = ports.https === undefined ? undefined : { host, port: ports.https };
      collectGarbage();
      this.#startBackground();
    } catch (error) {
      await this.#close(0);
      throw error;
    }
  }

  problems = (): ActiveProblem[] => this.#configuration.problems();

  async shutdown(): Promise<void> {
    this.#shuttingDown = true;
    this.#cluster?.retire();
    // Load balancers need a while to see that /readyz fails; until then connections still come. Before anything was served
    // nobody has to see it.
    if (this.#workers.up > 0) await new Promise((resolve) => setTimeout(resolve, this.#config.shutdownDelay));
    await this.#close(this.#config.shutdownGrace);
  }

  async #close(grace: number): Promise<void> {
    clearTimeout(this.#telling);
    await this.#workers.shutdown(grace);
    for (const close of this.#closers.reverse()) await close();
    this.#store.close();
    await this.#admin?.close();
  }

  #onChange(change: StoreChange): void {
    const before = this.#configuration.version;
    try {
      this.#configuration.apply(change, this.#store);
    } catch (error) {
      // A bug of ours: the last good table goes on serving.
      this.#logger.error({ err: error }, 'the configuration could not be compiled; the last good one stays in force');
      return;
    } finally {
      this.#first.resolve(undefined);
    }
    const { replicasService: service } = this.#config;
    if (service !== undefined && change.services.has(objectKey(service.namespace, service.name))) this.#countReplicas();
    const { version } = this.#configuration;
    const changed = version !== before && this.#workers.up > 0;
    this.#workers.onApplied(version, () => {
      if (changed) this.#metrics.propagated((performance.now() - change.since) / 1000);
      this.#tellClusterSoon();
    });
  }

  #countReplicas(): void {
    this.#replicaCount.look().catch((error: unknown) => {
      this.#logger.error({ err: error }, 'the replicas could not be counted');
    });
  }

  /** Status may be a little late, and Problems are gone through one by one: many changes in a row are told as one. */
  #tellClusterSoon(): void {
    if (this.#cluster === undefined || this.#telling !== undefined) return;
    this.#telling = setTimeout(() => {
      this.#telling = undefined;
      this.#tellCluster();
    }, TELL_MS).unref();
  }

  #tellCluster(): void {
    const { status } = this.#configuration;
    if (status === undefined) return;
    this.#cluster?.applied({ status, found: this.#store.problems(), problems: this.problems() });
  }

  /** In a cluster they are in a Secret, unless a file was named. */
  async #startKeys(api: KubeClient | undefined): Promise<void> {
    this.#api = api;
    const namespace = ownNamespace(process.env);
    if (api !== undefined) {
      this.#cluster = new Cluster({
        api,
        config: this.#config,
        namespace,
        identity: this.#identity,
        clock: this.#timers,
        logger: this.#logger,
        onKeys: (keys) => this.#setKeys(keys),
        onKeysProblem: (problem) =>
          this.#store.sink({
            type: 'sourceProblems',
            key: 'session keys',
            problems: problem === undefined ? [] : [problem],
          }),
      });
    }
    if (api === undefined || keysSecretOf(this.#config, namespace) === undefined) {
      const unwatch = await watchSessionKeys(this.#config.sessionKeysFile, {
        now: this.#clock(),
        onKeys: (keys) => this.#setKeys(keys),
        logger: this.#logger,
      });
      this.#closers.push(unwatch);
    }
    const cluster = this.#cluster;
    cluster?.start();
    if (cluster !== undefined) this.#closers.push(() => cluster.close());
  }

  #setKeys(keys: readonly SessionKey[]): void {
    this.#keyRing = KeyRing.from(keys);
    this.#configuration.setKeys(keys, this.#keyRing);
    this.#keys = keys;
    this.#firstKeys.resolve(undefined);
  }

  async #startAdmin(): Promise<void> {
    const { manifests, adminTokenFile: tokenFile, watchNamespaces } = this.#config;
    // The right to ask who somebody is goes for the whole cluster.
    const reviewer = (): KubeClient | undefined => (watchNamespaces.length === 0 ? this.#api : undefined);
    const access = { standalone: manifests !== undefined, tokenFile, reviewer };
    this.#admin = await startAdmin({
      address: this.#config.adminAddress,
      metrics: () => this.#metrics.text(),
      readiness: () => this.#readiness(),
      problems: this.problems,
      version: () => this.#version(),
      drain: (namespace, pod) => this.#replicas.all(namespace, pod),
      sessions: this.#sessions.admin,
      isReplica: (caller) => this.#calls.isReplica(caller),
      authorize: (caller, verb) => authorize(access, caller, verb),
      drainHere: (namespace, pod, caller) => this.#replicas.local(namespace, pod, caller),
    });
    this.adminAddress = this.#admin.address;
  }

  #startBackground(): void {
    const health = new HealthMarks(this.#counted.blocks.mark, this.#startedAt);
    const prober = new Prober(
      health,
      (slot) => this.#configuration.endpointAt(slot),
      this.#config.connectTimeout,
      this.#clock,
    );
    const sweeper = setInterval(() => {
      this.#sweep();
    }, SWEEP_MS);
    const rotation = setInterval(() => {
      this.#workers.setTicketKeys(randomBytes(TICKET_KEY_BYTES));
    }, TICKETS_MS);
    const settled = setTimeout(collectGarbage, SETTLED_MS);
    this.#metrics.start();
    this.#closers.push(() => {
      clearInterval(rotation);
      clearTimeout(settled);
      prober.stop();
      clearInterval(sweeper);
      this.#metrics.stop();
    });
  }

  #sweep(): void {
    const { gauge } = this.#counted.blocks;
    const { acknowledged } = this.#workers;
    this.#sessionSweep.sweep(this.#clock(), this.#counted.endpoints.leaving(this.#clock(), acknowledged));
    this.#countReplicas();
    this.#sessions.sweep();
    this.#counted.sweep(this.#clock(), acknowledged, (slot) => gauge.sum(slot, GAUGE.inFlight) > 0);
  }

  #readiness(): Readiness {
    return {
      unsynced: this.#store.synced ? [] : (this.#source?.unsynced() ?? RESOURCE_KINDS),
      keys: this.#keys.length > 0,
      workers: { up: this.#workers.up, wanted: this.#config.workers },
      shuttingDown: this.#shuttingDown,
    };
  }

  #version(): VersionInfo {
    return {
      version: packageVersion(),
      node: process.version,
      startedAt: this.#startedAt,
      workers: this.#config.workers,
      http: this.httpAddress,
      admin: this.adminAddress,
      publicHttpPort: this.#config.publicHttpPort ?? this.httpAddress.port,
      https: this.httpsAddress ?? null,
      publicHttpsPort:
        this.httpsAddress === undefined ? null : (this.#config.publicHttpsPort ?? this.httpsAddress.port),
      table: { newest: this.#configuration.version, live: this.#workers.acknowledged },
    };
  }

  #logAccess(records: readonly AccessRecord[]): void {
    for (const record of records) this.#logger.info({ ...record }, 'access');
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  signal.addEventListener('abort', () => resolve(undefined), { once: true });
  await promise;
}
