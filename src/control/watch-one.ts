/** Watches one object by name: list and watch are limited by a field selector, so that a right on that name is enough. */
import type { ObjectName } from '../config/config.ts';
import type { KubeApi } from '../source/kubernetes/client.ts';
import { Reflector, TIMING, type Clock, type ReflectorTiming } from '../source/kubernetes/reflector.ts';
import type { Logger } from '../telemetry/logger.ts';

/** As the API gives it. */
export type RawNamed = Readonly<Record<string, unknown>>;

export interface OneWatch {
  /** Nothing is seen after the call. */
  close(): Promise<void>;
}

export interface OneWatchOptions {
  readonly api: KubeApi;
  readonly kind: 'Secret' | 'Service';
  readonly object: ObjectName;
  /** undefined = there is none. */
  readonly seen: (raw: RawNamed | undefined) => void;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  readonly timing?: ReflectorTiming;
}

const PLURALS = { Secret: 'secrets', Service: 'services' } as const;
const JSON_ONLY = { list: 'application/json', watch: 'application/json' };

export function watchOne(options: OneWatchOptions): OneWatch {
  const { api, kind, object, seen, logger, clock, random, timing = TIMING } = options;
  let listed: RawNamed | undefined;
  let listing = false;
  let told: string | undefined;
  const isIt = (raw: unknown): raw is RawNamed =>
    (raw as { metadata?: { name?: unknown } } | null)?.metadata?.name === object.name;
  const reflector = new Reflector({
    scope: {
      watched: { kind, apiVersion: 'v1', plural: PLURALS[kind], namespaced: true, accept: JSON_ONLY },
      namespace: object.namespace,
      fieldSelector: `metadata.name=${object.name}`,
    },
    api,
    delivery: {
      beginList: () => {
        listing = true;
        listed = undefined;
      },
      endList: () => {
        listing = false;
        seen(listed);
      },
      apply: (raw) => {
        if (!isIt(raw)) return;
        if (listing) listed = raw;
        else seen(raw);
      },
      delete: (raw) => {
        if (isIt(raw)) seen(undefined);
      },
      refused: (message) => {
        if (message !== undefined && message !== told)
          logger.error({ object: `${kind} ${object.namespace}/${object.name}` }, message);
        told = message;
      },
    },
    timing,
    clock,
    random,
    onSynced: () => undefined,
    log: (details, message) => logger.warn({ ...details }, message),
  });
  const run = reflector.run();
  return {
    close: async () => {
      reflector.stop();
      await run;
    },
  };
}
