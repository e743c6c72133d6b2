/** The kinds that are watched, and where the API has them. */
import type { ResourceKind } from '../../model/resources.ts';

export interface WatchedKind {
  readonly kind: ResourceKind | 'Pod';
  readonly apiVersion: string;
  /** Last part of the path. */
  readonly plural: string;
  readonly namespaced: boolean;
  /** Defined by a CRD, so a cluster may not have the kind. */
  readonly custom?: true;
  /** What to ask for in the `Accept` headers of list and watch. */
  readonly accept: { readonly list: string; readonly watch: string };
}

const JSON_ONLY = { list: 'application/json', watch: 'application/json' };

/** The API server cuts the objects down, so that nobody's environment or command lines come here. */
const METADATA_ONLY = {
  list: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
  watch: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
};

const POD: WatchedKind = { kind: 'Pod', apiVersion: 'v1', plural: 'pods', namespaced: true, accept: METADATA_ONLY };

/** Secrets are not among them: nothing that is served needs one. */
const KINDS: readonly WatchedKind[] = [
  {
    kind: 'Ingress',
    apiVersion: 'networking.k8s.io/v1',
    plural: 'ingresses',
    namespaced: true,
    accept: JSON_ONLY,
  },
  {
    kind: 'IngressClass',
    apiVersion: 'networking.k8s.io/v1',
    plural: 'ingressclasses',
    namespaced: false,
    accept: JSON_ONLY,
  },
  { kind: 'Service', apiVersion: 'v1', plural: 'services', namespaced: true, accept: JSON_ONLY },
  {
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    plural: 'endpointslices',
    namespaced: true,
    accept: JSON_ONLY,
  },
  {
    kind: 'StickyPolicy',
    apiVersion: 'holdfast.dev/v1alpha1',
    plural: 'stickypolicies',
    namespaced: true,
    custom: true,
    accept: JSON_ONLY,
  },
];

/** One list-and-watch: a kind, in one namespace or (empty) in all of the cluster. */
export interface Scope {
  readonly watched: WatchedKind;
  readonly namespace: string;
}

/** With namespaces given, nothing is asked for that a Role cannot grant: the IngressClass then goes by its name. */
export function scopesOf(namespaces: readonly string[], withPods: boolean): Scope[] {
  const kinds = withPods ? [...KINDS, POD] : KINDS;
  if (namespaces.length === 0) return kinds.map((watched) => ({ watched, namespace: '' }));
  return kinds
    .filter(({ namespaced }) => namespaced)
    .flatMap((watched) => [...new Set(namespaces)].map((namespace) => ({ watched, namespace })));
}

export function pathOf({ watched: { apiVersion, plural }, namespace }: Scope): string {
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespace === '' ? `${group}/${plural}` : `${group}/namespaces/${namespace}/${plural}`;
}
