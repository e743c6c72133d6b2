/** Names and keys that join the layers: object keys, pool keys, endpoint identities. */

/** `namespace/name`, the key of a namespaced object within its kind; cluster-scoped objects have an empty namespace. */
export type ObjectKey = string;

/** `namespace/service:port` with the Service's port *number*: names one pool. */
export type PoolKey = string;

/** What makes an endpoint "the same one" for a session (StickyPolicy `session.identity`). */
export type IdentityKind = 'PodUID' | 'PodName' | 'Address';

/** Points at one Kubernetes object in a Problem. */
export interface ObjectRef {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** Joined, as keys are kept by the ten thousand: what is concatenated keeps 32 bytes more. */
export function objectKey(namespace: string, name: string): ObjectKey {
  return [namespace, name].join('/');
}

/** The other way round: neither part holds a slash. */
export function namesOf(key: ObjectKey): Omit<ObjectRef, 'kind'> {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

export function poolKey(namespace: string, service: string, port: number): PoolKey {
  return `${namespace}/${service}:${port}`;
}
