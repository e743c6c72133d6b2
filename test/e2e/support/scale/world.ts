/** A large cluster as API objects: Ingresses with a host and a Service each, EndpointSlices written by hand, StickyPolicies on some. */
import type { StickyPolicySpec } from '../../../../src/model/sticky-policy.ts';

export interface Size {
  readonly namespaces: number;
  /** As many Ingresses, Services and EndpointSlices. */
  readonly services: number;
  readonly endpointsPerService: number;
  readonly policies: number;
}

export interface ApiObject {
  /** Of its collection. */
  readonly path: string;
  readonly body: { readonly metadata: { readonly name: string; readonly namespace?: string } };
}

interface Endpoint {
  readonly addresses: readonly [string];
  readonly conditions: { readonly ready: boolean };
  readonly targetRef: { readonly kind: 'Pod'; readonly namespace: string; readonly name: string; readonly uid: string };
}

/** Where the pods' server listens; it answers with the address it was asked at. */
export const POD_PORT = 9000;
/** Addresses below are for real pods, those from `SPARE` on for pods that come later; all lead to this machine. */
const FIRST = 1024;
const SPARE = 52_000;
const SPARES = 12_000;

export function addressOf(index: number): string {
  return `10.244.${index >> 8}.${index & 255}`;
}

export function hostOf(i: number): string {
  return `h${i}.scale.example`;
}

function namespaceOf(i: number, { namespaces }: Size): string {
  return `scale-${i % namespaces}`;
}

/** Namespaces must be there before the rest. */
export function namespacesOf({ namespaces }: Size): ApiObject[] {
  return Array.from({ length: namespaces }, (_, i) => ({
    path: '/api/v1/namespaces',
    body: { metadata: { name: `scale-${i}` } },
  }));
}

export function* objectsOf(size: Size): Generator<ApiObject> {
  for (let i = 0; i < size.services; i++) {
    yield serviceOf(i, size);
    yield sliceOf(i, size);
    yield ingressOf(i, i, size);
  }
  for (let i = 0; i < size.policies; i++) yield policyOf(i, size);
}

/** `i`-th Ingress, in the namespace of the Service it leads to. Every third one is sticky by its annotations. */
export function ingressOf(i: number, service: number, size: Size): ApiObject {
  const namespace = namespaceOf(service, size);
  const annotations = i % 3 === 0 ? { 'holdfast.dev/affinity': 'cookie', 'holdfast.dev/idle-timeout': '30m' } : {};
  const backend = { service: { name: `s${service}`, port: { number: 80 } } };
  const paths = ['/', '/api', '/cart'].map((path) => ({ path, pathType: 'Prefix', backend }));
  const spec = { ingressClassName: 'holdfast', rules: [{ host: hostOf(i), http: { paths } }] };
  return {
    path: `/apis/networking.k8s.io/v1/namespaces/${namespace}/ingresses`,
    body: object('networking.k8s.io/v1', 'Ingress', { name: `i${i}`, namespace, annotations }, { spec }),
  };
}

function serviceOf(i: number, size: Size): ApiObject {
  const namespace = namespaceOf(i, size);
  const spec = { clusterIP: 'None', ports: [{ name: 'http', port: 80, targetPort: POD_PORT }] };
  return {
    path: `/api/v1/namespaces/${namespace}/services`,
    body: object('v1', 'Service', { name: `s${i}`, namespace }, { spec }),
  };
}

function sliceOf(i: number, size: Size): ApiObject {
  const namespace = namespaceOf(i, size);
  const metadata = { name: `s${i}-x`, namespace, labels: { 'kubernetes.io/service-name': `s${i}` } };
  const ports = [{ name: 'http', port: POD_PORT, protocol: 'TCP' }];
  const rest = { addressType: 'IPv4', ports, endpoints: endpointsOf(i, size) };
  return {
    path: `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
    body: object('discovery.k8s.io/v1', 'EndpointSlice', metadata, rest),
  };
}

function endpointsOf(i: number, size: Size): Endpoint[] {
  return Array.from({ length: size.endpointsPerService }, (_, pod) => {
    const index = i * size.endpointsPerService + pod;
    return endpoint(namespaceOf(i, size), `s${i}-${pod}`, FIRST + index, true);
  });
}

function endpoint(namespace: string, name: string, index: number, ready: boolean): Endpoint {
  const uid = `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;
  return { addresses: [addressOf(index)], conditions: { ready }, targetRef: { kind: 'Pod', namespace, name, uid } };
}

/** A new pod takes the place of one of the Service's, and the others are not ready: who answers is the new one. */
export function changeOf(
  i: number,
  change: number,
  size: Size,
): { path: string; endpoints: Endpoint[]; address: string } {
  const index = SPARE + (change % SPARES);
  const [, ...others] = endpointsOf(i, size);
  const fresh = endpoint(namespaceOf(i, size), `s${i}-new-${change}`, index, true);
  const path = `/apis/discovery.k8s.io/v1/namespaces/${namespaceOf(i, size)}/endpointslices/s${i}-x`;
  const endpoints = [fresh, ...others.map((other) => ({ ...other, conditions: { ready: false } }))];
  return { path, endpoints, address: addressOf(index) };
}

/** Of the `i`-th policy: for a Service or for an Ingress, by turns. */
export function policySpecOf(i: number): StickyPolicySpec {
  const target =
    i % 2 === 0
      ? { group: '', kind: 'Service', name: `s${i}` }
      : { group: 'networking.k8s.io', kind: 'Ingress', name: `i${i}` };
  const rules = [
    { name: 'assets', when: { pathSuffixes: ['.css', '.js'] }, none: {} },
    { name: 'browsers', cookie: { name: 'SID' } },
  ];
  return { targetRefs: [target], rules };
}

function policyOf(i: number, size: Size): ApiObject {
  const namespace = namespaceOf(i, size);
  const metadata = { name: `p${i}`, namespace };
  return {
    path: `/apis/holdfast.dev/v1alpha1/namespaces/${namespace}/stickypolicies`,
    body: object('holdfast.dev/v1alpha1', 'StickyPolicy', metadata, { spec: policySpecOf(i) }),
  };
}

function object(
  apiVersion: string,
  kind: string,
  metadata: ApiObject['body']['metadata'] & { readonly annotations?: object; readonly labels?: object },
  rest: object,
): ApiObject['body'] {
  return { ...{ apiVersion, kind }, metadata, ...rest };
}
