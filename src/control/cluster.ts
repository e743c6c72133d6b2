/** What a controller does in a cluster besides serving: leads or not, keeps the session keys, writes status and Events. */
import { randomBytes } from 'node:crypto';
import type { ActiveProblem } from '../admin/types.ts';
import type { SessionKey } from '../affinity/keyring.ts';
import type { Config, ObjectName } from '../config/config.ts';
import { objectKey } from '../model/ids.ts';
import type { Problem } from '../model/problem.ts';
import type { CompiledStatus } from '../model/status.ts';
import type { KubeApi } from '../source/kubernetes/client.ts';
import type { Clock } from '../store/hold-off.ts';
import type { Logger } from '../telemetry/logger.ts';
import { Events } from './events.ts';
import { guarded } from './guarded.ts';
import { KeysSecret } from './keys-secret.ts';
import { Leader } from './leader.ts';
import { givenAddresses, serviceAddresses } from './published.ts';
import { allEnd } from './replica-slices.ts';
import { StatusWriter } from './status.ts';
import type { LoadBalancerAddress } from './status-objects.ts';
import { watchOne } from './watch-one.ts';

/** How long writes under way may take at the end; and those that take our addresses back, when that was asked for. */
const LAST_WRITES_MS = 2000;
const WITHDRAWING_MS = 5000;
/** EndpointSlices are a moment behind the pods that are deleted: they are looked at this often, with pauses. */
const LOOKS = 3;
const LOOK_MS = 500;

export interface ClusterOptions {
  readonly api: KubeApi;
  readonly config: Config;
  /** Ours; undefined = this is no pod, so nothing has a default place. */
  readonly namespace: string | undefined;
  readonly identity: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called with each list of keys; never when they come from a file. */
  readonly onKeys: (keys: readonly SessionKey[]) => void;
  /** What is wrong with the Secret of the keys; undefined = nothing any more. */
  readonly onKeysProblem: (problem: Problem | undefined) => void;
}

/** What has gone live. */
export interface Outcome {
  readonly status: CompiledStatus;
  /** Problems of the sources and the projection. */
  readonly found: readonly Problem[];
  /** All in force. */
  readonly problems: readonly ActiveProblem[];
}

const KEYS_SECRET = 'holdfast-session-keys';
const LEASE = 'holdfast-leader';

/** The Secret with the session keys; undefined = they are in a file. */
export function keysSecretOf(config: Config, namespace: string | undefined): ObjectName | undefined {
  if (config.manifests !== undefined) return undefined;
  if (config.sessionKeysSecret !== undefined) return config.sessionKeysSecret;
  return config.sessionKeysFileGiven || namespace === undefined ? undefined : { namespace, name: KEYS_SECRET };
}

export class Cluster {
  readonly #options: ClusterOptions;
  readonly #leader: Leader | undefined;
  readonly #status: StatusWriter;
  readonly #events: Events;
  readonly #keys: KeysSecret | undefined;
  readonly #watches: { close(): Promise<void> }[] = [];
  #addresses: readonly LoadBalancerAddress[] | undefined;
  #outcome: Outcome | undefined;

  constructor(options: ClusterOptions) {
    this.#options = options;
    const { api, config, namespace, identity, clock, logger } = options;
    const leading = (): boolean => this.leading;
    const { controllerName } = config;
    this.#status = new StatusWriter({
      api,
      controllerName,
      namespaces: config.watchNamespaces,
      leading,
      clock,
      logger,
    });
    this.#events = new Events({ api, controllerName, instance: identity, leading, clock, logger });
    const secret = keysSecretOf(config, namespace);
    if (secret !== undefined) {
      const onComplaint = (message: string | undefined): void =>
        options.onKeysProblem(message === undefined ? undefined : keysProblem(secret, message));
      const { onKeys } = options;
      this.#keys = new KeysSecret({ api, secret, leading, onKeys, onComplaint, clock, random: randomBytes, logger });
    }
    const lease = config.leaderLease ?? (namespace === undefined ? undefined : { namespace, name: LEASE });
    if (lease === undefined) return;
    const onChange = (leads: boolean): void => this.#onLeader(leads);
    this.#leader = new Leader({ api, lease, identity, clock, random: Math.random, logger, onChange });
  }

  /** Whether this replica writes. */
  get leading(): boolean {
    return this.#leader?.leading ?? false;
  }

  start(): void {
    const { api, config, namespace, clock, logger } = this.#options;
    if (this.#leader === undefined)
      logger.warn('nothing is written to the cluster: give --leader-lease NAMESPACE/NAME');
    this.#leader?.start();
    const secret = keysSecretOf(config, namespace);
    const watching = { api, clock, logger, random: Math.random };
    if (secret !== undefined && this.#keys !== undefined) {
      const keys = this.#keys;
      this.#watches.push(watchOne({ ...watching, kind: 'Secret', object: secret, seen: (raw) => keys.seen(raw) }));
    }
    if (config.publishAddress.length > 0) this.#addresses = givenAddresses(config.publishAddress);
    else if (config.publishService !== undefined) {
      const seen = (raw: Parameters<typeof serviceAddresses>[0] | undefined): void => {
        const found = raw === undefined ? [] : serviceAddresses(raw);
        // A Service that has gone or has no address yet leaves what stands there: it is most often on its way back.
        if (found.length > 0) this.#addresses = found;
        this.#tell();
      };
      this.#watches.push(watchOne({ ...watching, kind: 'Service', object: config.publishService, seen }));
    }
  }

  /** To be called when every worker serves by it. */
  applied(outcome: Outcome): void {
    this.#outcome = outcome;
    this.#tell();
  }

  /** To be called when the process begins to end: the lead is for those that stay. */
  retire(): void {
    this.#leader?.retire();
  }

  /** Ends what is under way, then gives the lease back. */
  async close(): Promise<void> {
    const { clock, config } = this.#options;
    this.#keys?.stop();
    await Promise.all(this.#watches.map((watch) => watch.close()));
    const ending = new AbortController();
    const written = Promise.all([this.#status.stop(), this.#events.stop()]).then(() => this.#withdraw(ending.signal));
    // An API server that does not answer shall not keep the process until it is killed.
    const late = Promise.withResolvers<undefined>();
    const most = LAST_WRITES_MS + (config.removeStatusOnShutdown ? WITHDRAWING_MS : 0);
    const timer = clock.setTimeout(() => late.resolve(undefined), most);
    await Promise.race([written, late.promise]);
    clock.clearTimeout(timer);
    ending.abort();
    await this.#leader?.stop();
  }

  /** Takes our addresses out of the status of Ingresses, if that was asked for and no replica remains that stands for them. */
  async #withdraw(signal: AbortSignal): Promise<void> {
    const { config, logger } = this.#options;
    if (!config.removeStatusOnShutdown || !this.leading) return;
    try {
      if (await this.#isLast(signal)) await this.#status.withdraw(signal);
      else logger.info('the addresses stay in the status of Ingresses, as a replica remains or may remain');
    } catch (error) {
      logger.warn({ err: error }, 'the addresses stay in the status of Ingresses: the replicas are not known');
    }
  }

  async #isLast(signal: AbortSignal): Promise<boolean> {
    const { api, config, clock } = this.#options;
    if (config.replicasService === undefined) return true;
    for (let looks = 1; !(await allEnd(api, config.replicasService, signal)); looks++) {
      if (looks === LOOKS) return false;
      await new Promise<void>((resolve) => clock.setTimeout(resolve, LOOK_MS));
    }
    return true;
  }

  #onLeader(leads: boolean): void {
    if (!leads) return;
    const { logger } = this.#options;
    guarded(logger, 'filling the Secret of the session keys', () => this.#keys?.fill());
    guarded(logger, 'taking over the status', () => this.#status.lead());
    guarded(logger, 'taking over the Events', () => this.#events.lead());
  }

  #tell(): void {
    const outcome = this.#outcome;
    if (outcome === undefined) return;
    const { status, found, problems } = outcome;
    const { logger } = this.#options;
    guarded(logger, 'updating the status', () =>
      this.#status.update({ compiled: status, refused: refusedPolicies(found), addresses: this.#addresses }),
    );
    guarded(logger, 'updating the Events', () => this.#events.update(problems, status.ingresses));
  }
}

function keysProblem({ namespace, name }: ObjectName, message: string): Problem {
  return { severity: 'error', object: { kind: 'Secret', namespace, name }, field: '', message };
}

/** Why the projection has refused StickyPolicies; warnings refuse nothing. */
function refusedPolicies(problems: readonly Problem[]): Map<string, string> {
  const refused = new Map<string, string>();
  for (const { severity, object, field, message } of problems) {
    if (severity !== 'error' || object.kind !== 'StickyPolicy' || object.name === '') continue;
    const key = objectKey(object.namespace, object.name);
    const line = field === '' ? message : `${field}: ${message}`;
    const before = refused.get(key);
    refused.set(key, before === undefined ? line : `${before}\n${line}`);
  }
  return refused;
}
