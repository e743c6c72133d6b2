/** The objects of a large cluster, by their numbers: 5,000 Ingresses and Services, 50,000 endpoints, 1,000 policies. */
import type { EndpointSlice, Ingress, Meta, Service, StickyPolicy } from '../../src/model/resources.ts';
import { policySpecOf } from '../../test/e2e/support/scale/world.ts';

export const INGRESSES = 5_000;
export const POLICIES = 1_000;
const PODS_PER_SERVICE = 10;

function meta(name: string, i: number, annotations: Record<string, string> = {}): Meta {
  return {
    namespace: `team-${i % 100}`,
    name,
    uid: `u-${name}`,
    generation: 1,
    creationTimestamp: i,
    annotations,
    labels: {},
  };
}

export function makeIngress(i: number): Ingress {
  const annotations = i % 3 === 0 ? { 'holdfast.dev/affinity': 'cookie', 'holdfast.dev/idle-timeout': '30m' } : {};
  const paths = ['/', '/api', '/cart'].map((path, index) => ({
    path,
    pathType: 'Prefix' as const,
    backend: { service: `s${i}`, port: 80 },
    index,
  }));
  return {
    kind: 'Ingress',
    meta: meta(`i${i}`, i, annotations),
    className: 'holdfast',
    defaultBackend: undefined,
    hasDefaultBackend: false,
    hasRules: true,
    rules: [{ host: `h${i}.example`, paths, index: 0 }],
    tls: [],
  };
}

export function makeService(i: number): Service {
  const ports = [{ name: 'http', port: 80, protocol: 'TCP', appProtocol: undefined }];
  const shape = {
    type: 'ClusterIP',
    externalName: undefined,
    publishNotReadyAddresses: false,
    clientIPTimeout: undefined,
    ipFamilies: ['IPv4'],
  } as const;
  return { kind: 'Service', meta: meta(`s${i}`, i), ports, ...shape };
}

/** `rollout`: how often its pods have been replaced. */
export function makeSlice(i: number, rollout = 0): EndpointSlice {
  const namespace = `team-${i % 100}`;
  const endpoints = Array.from({ length: PODS_PER_SERVICE }, (_, pod) => ({
    address: `10.${Math.floor(i / 250)}.${i % 250}.${pod + 1}`,
    ready: true,
    serving: true,
    terminating: false,
    targetRef: { kind: 'Pod', namespace, name: `s${i}-${pod}-${rollout}`, uid: `pod-${i}-${pod}-${rollout}` },
    index: pod,
  }));
  const ports = [{ name: 'http', port: 8080, protocol: 'TCP', index: 0 }];
  return { kind: 'EndpointSlice', meta: meta(`s${i}-x`, i), service: `s${i}`, addressType: 'IPv4', ports, endpoints };
}

export function makePolicy(i: number): StickyPolicy {
  return { kind: 'StickyPolicy', meta: meta(`p${i}`, i), spec: policySpecOf(i) };
}
