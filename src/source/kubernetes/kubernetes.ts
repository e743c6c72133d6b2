/** Feeds the sink from a cluster: one reflector for each kind and namespace, `synced` when all have listed once. */
import type { SourceSink } from '../../model/snapshot.ts';
import type { KubeApi } from './client.ts';
import { Delivery } from './deliver.ts';
import { scopesOf, type SecretsWanted } from './kinds.ts';
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

/** Resolves at once: how far it is, `unsynced` says; `synced` reaches the sink when every kind has been listed. */
export async function startKubernetesSource(
  options: KubernetesSourceOptions,
  sink: SourceSink,
  log: KubernetesLog,
): Promise<KubernetesSource> {
  const { api, namespaces, pods, secrets, timing = TIMING, clock = SYSTEM_CLOCK, random = Math.random } = options;
  let open = true;
  const guarded: SourceSink = (event) => {
    if (open) sink(event);
  };
  const reflectors: Reflector[] = [];
  const onSynced = () => {
    if (!reflectors.every(({ synced }) => synced)) return;
    log.info({ kinds: kindsOf(reflectors) }, 'all kinds are synced');
    guarded({ type: 'synced' });
  };
  for (const scope of scopesOf(namespaces, pods, secrets)) {
    const delivery = new Delivery(scope, guarded);
    const told = (details: object, message: string) => log.warn(details, message);
    reflectors.push(new Reflector({ scope, api, delivery, timing, clock, random, onSynced, log: told }));
  }
  const runs = reflectors.map((reflector) => reflector.run());
  return {
    unsynced: () => kindsOf(reflectors.filter(({ synced }) => !synced)),
    watches: () => kindsOf(reflectors).map((kind) => figuresOf(kind, reflectors, clock.now())),
    close: async () => {
      open = false;
      for (const reflector of reflectors) reflector.stop();
      await Promise.all(runs);
    },
  };
}

function kindsOf(reflectors: readonly Reflector[]): string[] {
  return [...new Set(reflectors.map(({ scope }) => scope.watched.kind))];
}

function figuresOf(kind: string, reflectors: readonly Reflector[], now: number): WatchFigures {
  const own = reflectors.filter(({ scope }) => scope.watched.kind === kind);
  const ages = own.map(({ lastEventAt }) => (lastEventAt === undefined ? Infinity : Math.max(0, now - lastEventAt)));
  const oldest = Math.max(...ages);
  return {
    kind,
    connected: own.every(({ connected }) => connected),
    lastEventAge: oldest === Infinity ? undefined : oldest,
    relists: own.reduce((sum, { relists }) => sum + relists, 0),
  };
}
