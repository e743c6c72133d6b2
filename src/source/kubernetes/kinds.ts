/** The kinds that are watched, and where the API has them. */
import type { SecretName } from '../../api/annotations/secrets.ts';
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

const TLS = 'kubernetes.io/tls';

const SECRET: WatchedKind = {
  kind: 'Secret',
  apiVersion: 'v1',
  plural: 'secrets',
  namespaced: true,
  accept: JSON_ONLY,
};

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
  /** Limits list and watch; a right on one name is enough for `metadata.name=…`. */
  readonly fieldSelector?: string;
}

/** Which Secrets to watch. */
export interface SecretsWanted {
  /** In the namespaces watched; empty = those that are referred to. */
  readonly names: readonly string[];
  /** One more, wherever it is; given only with `certificates`. */
  readonly also: SecretName | undefined;
  /** Without `names`: all of type kubernetes.io/tls, for `spec.tls` may name any of them. */
  readonly certificates: boolean;
  /** Annotations may name those of other namespaces. */
  readonly crossNamespace: boolean;
}

/**
 * With namespaces given, nothing is asked for that a Role cannot grant: the IngressClass then goes by its name.
 *
 * @param secrets undefined = none
 */
export function scopesOf(namespaces: readonly string[], withPods: boolean, secrets?: SecretsWanted): Scope[] {
  const kinds = withPods ? [...KINDS, POD] : KINDS;
  const everywhere = namespaces.length === 0 ? [''] : [...new Set(namespaces)];
  const scopes = kinds
    .filter(({ namespaced }) => namespaced || namespaces.length === 0)
    .flatMap((watched) => everywhere.map((namespace): Scope => ({ watched, namespace })));
  return secrets === undefined ? scopes : [...scopes, ...secretScopes(everywhere, secrets)];
}

/** Nothing is asked for but what is referred to, or could be: other Secrets are nobody's business. */
function secretScopes(namespaces: readonly string[], { names, also, certificates }: SecretsWanted): Scope[] {
  const ofType = certificates ? [`type=${TLS}`] : [];
  const selectors = names.length === 0 ? ofType : [...new Set(names)].map(byName);
  const scopes = namespaces.flatMap((namespace) =>
    selectors.map((fieldSelector): Scope => ({ watched: SECRET, namespace, fieldSelector })),
  );
  if (also === undefined) return scopes;
  const { namespace, name } = also;
  const watched = namespaces.some((known) => known === '' || known === namespace);
  if (watched && (names.length === 0 || names.includes(name))) return scopes;
  return [...scopes, { watched: SECRET, namespace, fieldSelector: byName(name) }];
}

/** The watch of a Secret that an annotation names; undefined = another watch brings it, or it may not be read. */
export function referredScope(
  { namespace, name }: SecretName,
  namespaces: readonly string[],
  { names, certificates }: SecretsWanted,
): Scope | undefined {
  if (names.length > 0 || (namespaces.length > 0 && !namespaces.includes(namespace))) return undefined;
  // No Secret is in both watches, so what ends one takes nothing from the other.
  const fieldSelector = certificates ? `${byName(name)},type!=${TLS}` : byName(name);
  return { watched: SECRET, namespace, fieldSelector };
}

function byName(name: string): string {
  return `metadata.name=${name}`;
}

export function pathOf({ watched: { apiVersion, plural }, namespace }: Scope): string {
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespace === '' ? `${group}/${plural}` : `${group}/namespaces/${namespace}/${plural}`;
}
