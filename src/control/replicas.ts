/** Asks all replicas how much work a pod still has, and adds up. */
import type { Caller, DrainProgress } from '../admin/types.ts';
import { project } from '../api/project.ts';
import type { ObjectName } from '../config/config.ts';
import { objectKey } from '../model/ids.ts';
import type { EndpointSlice } from '../model/resources.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { KubeApi, KubeRequest } from '../source/kubernetes/client.ts';
import { Fresh } from './fresh.ts';
import type { ReplicaCalls } from './replica-calls.ts';

export interface ReplicasOptions {
  readonly calls: ReplicaCalls;
  /** Unique to this process: a replica that reaches itself counts once. */
  readonly instance: string;
  readonly local: (namespace: string, pod: string) => DrainProgress;
  readonly clock: () => number;
}

export interface ReplicaAddress {
  readonly host: string;
  readonly port: number;
}

const ANSWER_MS = 2000;
/** One question here is one for each replica. Less than the second after which `drain --wait` looks again, so that it sees anew. */
const SAME_ANSWER_MS = 500;
const PORT_NAME = 'admin';

export class Replicas {
  readonly #options: ReplicasOptions;
  readonly #answers: Fresh<DrainProgress>;

  constructor(options: ReplicasOptions) {
    this.#options = options;
    this.#answers = new Fresh(SAME_ANSWER_MS, options.clock);
  }

  /** Of this process alone; undefined = the caller has not shown that it may ask. */
  local(namespace: string, pod: string, caller: Caller): DrainProgress | undefined {
    const { calls, instance, local } = this.#options;
    if (!caller.loopback && !calls.isReplica(caller)) return undefined;
    return { ...local(namespace, pod), instance };
  }

  /** Of all replicas; not done while one of them does not answer. Who asks about one pod within a moment shares the answer. */
  async all(namespace: string, pod: string): Promise<DrainProgress> {
    if (this.#options.calls.alone) return this.#options.local(namespace, pod);
    return await this.#answers.get(objectKey(namespace, pod), () => this.#askAll(namespace, pod));
  }

  async #askAll(namespace: string, pod: string): Promise<DrainProgress> {
    const own = this.#options.local(namespace, pod);
    const query = new URLSearchParams({ pod: objectKey(namespace, pod), local: '1' }).toString();
    const { asked, answers: found } = await this.#options.calls.ask({ target: `/api/v1/drain?${query}` });
    const answers = found.map(progressOf).filter((answer) => answer !== undefined);
    const byInstance = new Map<string, DrainProgress>([[this.#options.instance, own]]);
    for (const answer of answers) {
      if (answer.instance !== undefined && !byInstance.has(answer.instance)) byInstance.set(answer.instance, answer);
    }
    const answered = answers.length;
    // We are a replica ourselves: a Service that shows none is not known yet, or is the wrong one.
    const complete = asked > 0 && answered === asked;
    const sum = (read: (progress: DrainProgress) => number): number =>
      [...byInstance.values()].reduce((total, progress) => total + read(progress), 0);
    const sessions = sum((progress) => progress.sessions);
    const inFlight = sum((progress) => progress.inFlight);
    const upgraded = sum((progress) => progress.upgraded);
    const done = complete && [...byInstance.values()].every((progress) => progress.done);
    return { sessions, inFlight, upgraded, done, replicas: { asked, answered } };
  }
}

/** Replicas that are Ready. A headless Service may publish the others, and says then of all of them that they are `ready`. */
export function readyIn(slices: Iterable<EndpointSlice>): number {
  const found = new Set<string>();
  for (const slice of slices) {
    for (const { address, targetRef, serving, ready, terminating } of slice.endpoints) {
      const name = targetRef?.uid || `${address} ${portIn(slice) ?? ''}`;
      if ((serving ?? ready ?? true) && terminating !== true) found.add(name);
    }
  }
  return found.size;
}

/** Of every endpoint, ready or not: one that is shutting down still has work. */
export function addressesIn(slices: Iterable<EndpointSlice>): ReplicaAddress[] {
  const found = new Map<string, ReplicaAddress>();
  for (const slice of slices) {
    const port = portIn(slice);
    if (port === undefined || slice.addressType === 'FQDN') continue;
    for (const { address: host } of slice.endpoints) found.set(`${host} ${port}`, { host, port });
  }
  return [...found.values()];
}

function portIn({ ports }: EndpointSlice): number | undefined {
  return (ports.find(({ name }) => name === PORT_NAME) ?? (ports.length === 1 ? ports[0] : undefined))?.port;
}

/** undefined = it is none. */
function progressOf(raw: unknown): DrainProgress | undefined {
  const { sessions, inFlight, upgraded, done, instance } = (raw ?? {}) as Record<string, unknown>;
  if (typeof inFlight !== 'number' || typeof upgraded !== 'number' || typeof done !== 'boolean') return undefined;
  if (typeof sessions !== 'number') return undefined;
  return typeof instance === 'string' ? { sessions, inFlight, upgraded, done, instance } : undefined;
}

/**
 * Whether no replica of the Service remains: every endpoint is on its way out. One that is ending while its pod stays has a
 * container that is started anew. False also when nobody can tell: we are a replica ourselves, so a Service that shows none
 * is the wrong one or has gone.
 *
 * @throws Error when the API server does not answer
 */
export async function allEnd(
  api: Pick<KubeApi, 'request'>,
  service: ObjectName,
  signal: AbortSignal,
): Promise<boolean> {
  const endpoints = (await listSlices(api, service, { signal })).flatMap((slice) => slice.endpoints);
  return endpoints.length > 0 && endpoints.every(({ terminating }) => terminating === true);
}

/** Of the replicas' Service: those that the store has, else (its namespace is not a watched one) those that the API has. */
export async function slicesOf(
  snapshot: Snapshot,
  api: Pick<KubeApi, 'request'> | undefined,
  service: ObjectName,
): Promise<EndpointSlice[]> {
  const known = [...(snapshot.slicesByService.get(objectKey(service.namespace, service.name))?.values() ?? [])];
  if (known.length > 0 || api === undefined) return known;
  return await listSlices(api, service, { timeout: ANSWER_MS });
}

/** Empty also when the API server refuses. */
async function listSlices(
  api: Pick<KubeApi, 'request'>,
  { namespace, name }: ObjectName,
  options: Pick<KubeRequest, 'signal' | 'timeout'>,
): Promise<EndpointSlice[]> {
  const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
  const query = { labelSelector: `kubernetes.io/service-name=${name}` };
  const { status, text } = await api.request('GET', path, { ...options, query });
  if (status !== 200) return [];
  const { items } = JSON.parse(text) as { items?: object[] };
  return (items ?? []).flatMap((raw) => {
    const found = project(
      { ...raw, apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice' },
      undefined,
      undefined,
      'apiServer',
    );
    return found?.resource?.kind === 'EndpointSlice' ? [found.resource] : [];
  });
}
