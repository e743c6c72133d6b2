/** Feeds the sink from a cluster: one reflector for each kind and namespace, and for Secrets that Ingresses name; `synced` when all have listed once. */
import type { ObjectKey } from '../../model/ids.ts';
import type { SourceEvent, SourceSink } from '../../model/snapshot.ts';
import type { KubeApi } from './client.ts';
import { Delivery } from './deliver.ts';
import { scopesOf, type Scope, type SecretsWanted } from './kinds.ts';
import { ReferredSecrets } from './referred-secrets.ts';
import { Reflector, TIMING, type Clock, type ReflectorTiming } from './reflector.ts';

export interface KubernetesSourceOptions {
  readonly api: KubeApi;
  /** Empty = all, and cluster-scoped kinds too. */
  readonly namespaces: readonly string[];
  /** Whether to watch pods' metadata for drain marks. */
  readonly pods: boolean;
  /** Which Secrets to watch; undefined = none. */
  readonly secrets?: SecretsWanted | undefined;
  readonly timing?: ReflectorTiming;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** The part of a logger that this source uses. */
export interface KubernetesLog {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

/** How the watches of one kind are doing. */
export interface WatchFigures {
  readonly kind: string;
  /** All of them run. */
  readonly connected: boolean;
  /** Since the one that was quiet longest heard anything: ms; undefined = one has not been answered yet. */
  readonly lastEventAge: number | undefined;
  readonly relists: number;
}

export interface KubernetesSource {
  /** Kinds whose first list is not there yet. */
  unsynced(): string[];
  watches(): WatchFigures[];
  /** Nothing reaches the sink after the call; resolves when all requests have ended. */
  close(): Promise<void>;
}

const SYSTEM_CLOCK: Clock = {
  now: Date.now,
  setTimeout,
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout),
};

/** How far it is, `unsynced` says; `synced` reaches the sink when every kind has been listed. */
export function startKubernetesSource(
  options: KubernetesSourceOptions,
  sink: SourceSink,
  log: KubernetesLog,
): KubernetesSource {
  const source = new Watches(options, sink, log);
  for (const scope of scopesOf(options.namespaces, options.pods, options.secrets)) source.begin(scope, false);
  return source;
}

class Watches implements KubernetesSource {
  readonly #options: KubernetesSourceOptions;
  readonly #sink: SourceSink;
  readonly #log: KubernetesLog;
  readonly #clock: Clock;
  readonly #referred: ReferredSecrets | undefined;
  readonly #reflectors = new Set<Reflector>();
  readonly #runs = new Set<Promise<void>>();
  /** What the first sync waits for; undefined = it has been. */
  #awaited: Set<Reflector> | undefined = new Set();
  /** Of Secrets: several watches may meet in a namespace. */
  readonly #holders = new Map<ObjectKey, Delivery>();
  #open = true;

  constructor(options: KubernetesSourceOptions, sink: SourceSink, log: KubernetesLog) {
    this.#options = options;
    this.#sink = sink;
    this.#log = log;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    const { namespaces, secrets } = options;
    this.#referred = secrets && new ReferredSecrets(namespaces, secrets, (scope) => this.begin(scope, true));
  }

  /** `named`: by some Ingress alone, so that nothing else may have to wait for it. Returns what ends it. */
  begin(scope: Scope, named: boolean): () => void {
    const { api, timing = TIMING, random = Math.random } = this.#options;
    const settle = () => this.#settle(reflector);
    const delivery = new Delivery(scope, (event) => this.#deliver(event), {
      ...(scope.watched.kind === 'Secret' ? { holders: this.#holders } : {}),
      ...(named ? { onRefused: settle } : {}),
    });
    const log = (details: object, message: string) => this.#log.warn(details, message);
    const reflector = new Reflector({
      scope,
      api,
      delivery,
      timing,
      clock: this.#clock,
      random,
      onSynced: settle,
      log,
    });
    this.#reflectors.add(reflector);
    this.#awaited?.add(reflector);
    const run = reflector.run().then(() => void this.#runs.delete(run));
    this.#runs.add(run);
    return () => {
      reflector.stop();
      this.#reflectors.delete(reflector);
      delivery.withdraw();
      settle();
    };
  }

  unsynced(): string[] {
    return kindsOf(this.#awaited ?? []);
  }

  watches(): WatchFigures[] {
    return kindsOf(this.#reflectors).map((kind) => figuresOf(kind, this.#reflectors, this.#clock.now()));
  }

  async close(): Promise<void> {
    this.#open = false;
    for (const reflector of this.#reflectors) reflector.stop();
    await Promise.all(this.#runs);
  }

  #deliver(event: SourceEvent): void {
    if (!this.#open) return;
    this.#sink(event);
    this.#referred?.see(event);
  }

  #settle(reflector: Reflector): void {
    if (this.#awaited?.delete(reflector) !== true || this.#awaited.size > 0) return;
    this.#awaited = undefined;
    this.#log.info({ kinds: kindsOf(this.#reflectors) }, 'all kinds are synced');
    this.#deliver({ type: 'synced' });
  }
}

function kindsOf(reflectors: Iterable<Reflector>): string[] {
  return [...new Set([...reflectors].map(({ scope }) => scope.watched.kind))];
}

function figuresOf(kind: string, reflectors: Iterable<Reflector>, now: number): WatchFigures {
  const own = [...reflectors].filter(({ scope }) => scope.watched.kind === kind);
  const ages = own.map(({ lastEventAt }) => (lastEventAt === undefined ? Infinity : Math.max(0, now - lastEventAt)));
  const oldest = Math.max(...ages);
  return {
    kind,
    connected: own.every(({ connected }) => connected),
    lastEventAge: oldest === Infinity ? undefined : oldest,
    relists: own.reduce((sum, { relists }) => sum + relists, 0),
  };
}
