/** An Event for each Problem of an object in the cluster, once, written by the leader. */
import { createHash } from 'node:crypto';
import type { ActiveProblem } from '../admin/types.ts';
import { objectKey, type ObjectKey, type ObjectRef } from '../model/ids.ts';
import type { KubeApi } from '../source/kubernetes/client.ts';
import type { Clock } from '../store/hold-off.ts';
import type { Logger } from '../telemetry/logger.ts';
import { WriteQueue } from './write-queue.ts';

export interface EventsOptions {
  readonly api: Pick<KubeApi, 'request'>;
  readonly controllerName: string;
  /** Which replica reports. */
  readonly instance: string;
  readonly leading: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Kind {
  readonly apiVersion: string;
  readonly plural: string;
}

/** Kinds that Problems are about; what is cluster-wide is left to the log, for its Events would need rights in `default`. */
const KINDS: Readonly<Record<string, Kind>> = {
  Ingress: { apiVersion: 'networking.k8s.io/v1', plural: 'ingresses' },
  StickyPolicy: { apiVersion: 'holdfast.dev/v1alpha1', plural: 'stickypolicies' },
  Service: { apiVersion: 'v1', plural: 'services' },
  EndpointSlice: { apiVersion: 'discovery.k8s.io/v1', plural: 'endpointslices' },
};
/** Bounds of events.k8s.io/v1. */
const MAX_NOTE = 1024;
const MAX_INSTANCE = 128;
const MAX_NAME = 253;
const HASH_DIGITS = 16;

export class Events {
  readonly #options: EventsOptions;
  readonly #queue: WriteQueue;
  #problems = new Map<string, ActiveProblem>();
  /** Problems in force whose Event has been written. */
  readonly #told = new Set<string>();

  constructor(options: EventsOptions) {
    this.#options = options;
    const { clock, logger, leading } = options;
    this.#queue = new WriteQueue({ write: (key) => this.#write(key), allowed: leading, clock, logger });
  }

  /**
   * All Problems in force, and which Ingresses are ours: about those of others nothing is said. A Problem that goes and
   * comes back is told again, unless its Event is still there.
   */
  update(problems: readonly ActiveProblem[], ingresses: ReadonlyMap<ObjectKey, unknown>): void {
    this.#problems = new Map();
    for (const problem of problems) {
      const { kind, namespace, name } = problem.object;
      if (KINDS[kind] === undefined || namespace === '' || name === '') continue;
      if (kind === 'Ingress' && !ingresses.has(objectKey(namespace, name))) continue;
      this.#problems.set(keyOf(problem), problem);
    }
    for (const key of this.#told) if (!this.#problems.has(key)) this.#told.delete(key);
    this.lead();
  }

  /** To be called by a new leader: what its predecessor told is found again under the same names. */
  lead(): void {
    if (!this.#options.leading()) return;
    for (const key of this.#problems.keys()) if (!this.#told.has(key)) this.#queue.add(key);
  }

  async stop(): Promise<void> {
    await this.#queue.stop();
  }

  async #write(key: string): Promise<boolean> {
    const problem = this.#problems.get(key);
    if (problem === undefined || this.#told.has(key)) return true;
    const { api } = this.#options;
    const uid = await this.#uidOf(problem.object);
    if (uid !== undefined) {
      const { namespace } = problem.object;
      const path = `/apis/events.k8s.io/v1/namespaces/${namespace}/events`;
      const { status, text } = await api.request('POST', path, { body: this.#event(problem, uid) });
      // 409: an earlier leader has told it; 404: the namespace has gone.
      if (status === 400 || status === 422)
        this.#options.logger.warn(`an Event in ${namespace} was refused: ${text.slice(0, 300)}`);
      else if (status >= 300 && status !== 409 && status !== 404) {
        throw new Error(
          `an Event in ${namespace} could not be written: the API server answered ${status}: ${text.slice(0, 300)}`,
        );
      }
    }
    this.#told.add(key);
    return true;
  }

  /** `kubectl describe` finds Events by their object's uid. undefined = the object has gone. */
  async #uidOf({ kind, namespace, name }: ObjectRef): Promise<string | undefined> {
    const known = KINDS[kind];
    if (known === undefined) return undefined;
    const { apiVersion, plural } = known;
    const path = `/${apiVersion === 'v1' ? 'api' : 'apis'}/${apiVersion}/namespaces/${namespace}/${plural}/${name}`;
    const answer = await this.#options.api.request('GET', path);
    const { status } = answer;
    if (status === 404) return undefined;
    if (status !== 200)
      throw new Error(`${kind} ${namespace}/${name} could not be read: the API server answered ${status}`);
    const { metadata } = answer.json() as { metadata?: { uid?: unknown } };
    return typeof metadata?.uid === 'string' ? metadata.uid : undefined;
  }

  #event(problem: ActiveProblem, uid: string): unknown {
    const { severity, object, field, message } = problem;
    const { kind, namespace, name } = object;
    const { controllerName, instance, clock } = this.#options;
    const note = field === '' ? message : `${field}: ${message}`;
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { namespace, name: eventName(problem, uid, controllerName) },
      eventTime: new Date(clock.now()).toISOString().replace('Z', '000Z'),
      reportingController: controllerName,
      reportingInstance: instance.slice(0, MAX_INSTANCE),
      action: 'Compile',
      reason: severity === 'error' ? 'Problem' : 'Warning',
      type: 'Warning',
      regarding: { apiVersion: KINDS[kind]?.apiVersion, kind, namespace, name, uid },
      note: cut(note),
    };
  }
}

/** The API server counts bytes. */
function cut(note: string): string {
  if (Buffer.byteLength(note) <= MAX_NOTE) return note;
  const head = Buffer.from(note)
    .subarray(0, MAX_NOTE - Buffer.byteLength('…'))
    .toString('utf8');
  // A character that was cut in two is left out.
  return `${head.replace(/\uFFFD+$/, '')}…`;
}

function keyOf({ object, field, message }: ActiveProblem): string {
  return JSON.stringify([object.kind, object.namespace, object.name, field, message]);
}

/** The same for the same Problem in every replica, so that the API server refuses a second Event. */
function eventName(problem: ActiveProblem, uid: string, controllerName: string): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([controllerName, uid, keyOf(problem)]))
    .digest('hex');
  const suffix = `.${hash.slice(0, HASH_DIGITS)}`;
  return problem.object.name.slice(0, MAX_NAME - suffix.length).replace(/[.-]+$/, '') + suffix;
}
