/** The replicas of the controller, as the EndpointSlices of their headless Service show them. */
import { project } from '../api/project.ts';
import type { ObjectName } from '../config/config.ts';
import { objectKey } from '../model/ids.ts';
import type { EndpointSlice } from '../model/resources.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { KubeApi, KubeRequest } from '../source/kubernetes/client.ts';

export interface ReplicaAddress {
  readonly host: string;
  readonly port: number;
}

const PORT_NAME = 'admin';
/** How long the API server may take, ms. */
const ANSWER_MS = 2000;

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
