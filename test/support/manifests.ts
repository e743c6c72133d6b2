/** Builders of manifests, so that a test says only what it is about; each gives the text of one YAML document. */
import { stringify } from 'yaml';
import type { StickyPolicySpec } from '../../src/model/sticky-policy.ts';

export const NAMESPACE = 'test';

interface Named {
  readonly name?: string;
  readonly namespace?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface PathOptions {
  readonly path: string;
  readonly type?: 'Exact' | 'Prefix' | 'ImplementationSpecific';
  readonly service: string;
}

export interface IngressOptions extends Named {
  /** undefined = every host. */
  readonly host?: string;
  /** Default: everything under `/` goes to `service`. */
  readonly paths?: readonly PathOptions[];
  readonly service?: string;
  readonly defaultBackend?: string;
  readonly tls?: readonly { readonly hosts?: readonly string[]; readonly secretName?: string }[];
}

/** One end of a pod; everything but `pod` and `port` has the values of a pod that serves. */
export interface EndpointOptions {
  readonly pod: string;
  readonly port: number;
  readonly address?: string;
  /** Default: made from the pod's name. */
  readonly uid?: string;
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}

export interface SliceOptions extends Named {
  readonly service: string;
  readonly endpoints: readonly EndpointOptions[];
}

/** Several documents in one file. */
export function file(...documents: readonly string[]): string {
  return documents.join('---\n');
}

export function ingress(options: IngressOptions = {}): string {
  const { name = 'web', host, service: only = 'web', paths, defaultBackend, tls } = options;
  const all = paths ?? [{ path: '/', service: only }];
  const backend = (to: string) => ({ service: { name: to, port: { number: 80 } } });
  const rule = {
    ...(host === undefined ? {} : { host }),
    http: {
      paths: all.map(({ path, type = 'Prefix', service: to }) => ({ path, pathType: type, backend: backend(to) })),
    },
  };
  return stringify({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: metadata({ ...options, name }),
    spec: {
      ingressClassName: 'holdfast',
      ...(tls === undefined ? {} : { tls }),
      ...(defaultBackend === undefined ? {} : { defaultBackend: backend(defaultBackend) }),
      ...(all.length === 0 ? {} : { rules: [rule] }),
    },
  });
}

interface ServiceOptions extends Named {
  readonly appProtocol?: string;
}

export function service(name = 'web', { appProtocol, ...options }: ServiceOptions = {}): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata({ ...options, name }),
    spec: {
      selector: { app: name },
      ports: [{ name: 'http', port: 80, targetPort: 'http', ...(appProtocol && { appProtocol }) }],
    },
  });
}

/** A Secret with a certificate, or with what passes for one. */
export function tlsSecret(
  name: string,
  pair: { readonly chain: string; readonly key: string },
  type = 'kubernetes.io/tls',
  namespace = NAMESPACE,
): string {
  const data = { 'tls.crt': encoded(pair.chain), 'tls.key': encoded(pair.key) };
  return stringify({ apiVersion: 'v1', kind: 'Secret', metadata: metadata({ name, namespace }), type, data });
}

/** A Secret of type Opaque. */
export function secret(name: string, stringData: Readonly<Record<string, string>>): string {
  return stringify({ apiVersion: 'v1', kind: 'Secret', metadata: metadata({ name }), type: 'Opaque', stringData });
}

/** A Secret with the certificates of authorities. */
/** @param revocations lists in PEM */
export function authoritiesSecret(name: string, certificates: string, revocations?: string): string {
  const data = {
    'ca.crt': encoded(certificates),
    ...(revocations !== undefined && { 'ca.crl': encoded(revocations) }),
  };
  return stringify({ apiVersion: 'v1', kind: 'Secret', metadata: metadata({ name }), type: 'Opaque', data });
}

/** One EndpointSlice; its endpoints share the port of the first. */
export function slice(options: SliceOptions): string {
  const { endpoints, service: of, name = of } = options;
  const [first] = endpoints;
  return stringify({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...metadata({ ...options, name }), labels: { 'kubernetes.io/service-name': of } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: first?.port ?? 80, protocol: 'TCP' }],
    endpoints: endpoints.map((endpoint) => ({
      addresses: [endpoint.address ?? '127.0.0.1'],
      targetRef: {
        kind: 'Pod',
        namespace: options.namespace ?? NAMESPACE,
        name: endpoint.pod,
        uid: endpoint.uid ?? `uid-of-${endpoint.pod}`,
      },
      conditions: {
        ready: endpoint.ready ?? true,
        serving: endpoint.serving ?? endpoint.ready ?? true,
        terminating: endpoint.terminating ?? false,
      },
    })),
  });
}

/** One slice for each endpoint, since every sample backend has a port of its own. */
export function slices(of: string, endpoints: readonly EndpointOptions[], options: Named = {}): string {
  return file(
    ...endpoints.map((endpoint) =>
      slice({ ...options, service: of, name: `${of}-${endpoint.pod}`, endpoints: [endpoint] }),
    ),
  );
}

export interface PolicyOptions extends Named, StickyPolicySpec {
  /** Default: the Ingress `web`. */
  readonly ingress?: string;
}

/** A StickyPolicy for an Ingress; what else is given is its spec. */
export function policy({
  name = 'web',
  namespace,
  annotations,
  ingress: target = 'web',
  ...spec
}: PolicyOptions = {}): string {
  const targetRefs = [{ group: 'networking.k8s.io', kind: 'Ingress', name: target }];
  return stringify({
    apiVersion: 'holdfast.dev/v1alpha1',
    kind: 'StickyPolicy',
    metadata: metadata({ name, ...(namespace && { namespace }), ...(annotations && { annotations }) }),
    spec: { targetRefs, ...spec },
  });
}

export interface SiteOptions extends StickyPolicySpec {
  readonly endpoints: readonly EndpointOptions[];
}

/** Host `NAME.test` with an Ingress, a Service and a policy called NAME; its cookie is `HF` unless there are `rules`. */
export function site(name: string, { endpoints, ...spec }: SiteOptions): string {
  return file(
    ingress({ name, host: `${name}.test`, service: name }),
    service(name),
    policy({ name, ingress: name, rules: [{ name: 'browsers', cookie: { name: 'HF', mode: 'Insert' } }], ...spec }),
    slices(name, endpoints),
  );
}

function encoded(text: string): string {
  return Buffer.from(text).toString('base64');
}

function metadata({ name, namespace = NAMESPACE, annotations }: Named): Record<string, unknown> {
  return { name, namespace, ...(annotations === undefined ? {} : { annotations }) };
}
