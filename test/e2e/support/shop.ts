/** A release of the chart with its controllers running, and a namespace whose pods they lead to. */
import { expect } from 'vitest';
import { Controller, type Way } from './controller.ts';
import { apply, CHART, established, eventually, helm, kubectl, namespace, run } from './kube.ts';
import { APP_PORT, Pods, READY_WHEN_LISTENING } from './pods.ts';

export interface App {
  /** Of workload, Service, Ingress and policy; the policy's cookie is this in capitals. */
  readonly name: string;
  readonly kind: 'Deployment' | 'StatefulSet';
  readonly replicas: number;
  /** Of the StickyPolicy's `session`, as YAML; default: nothing. */
  readonly session?: string;
  /** Of its `onEndpointLost`, likewise. */
  readonly lost?: string;
}

export function hostOf(app: string): string {
  return `${app}.example`;
}

function objectsOf({ name, kind, replicas, session = '{}', lost = '{}' }: App): string {
  return `
apiVersion: apps/v1
kind: ${kind}
metadata: { name: ${name}, namespace: shop }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: ${name} } }
  ${kind === 'StatefulSet' ? `serviceName: ${name}` : ''}
  template:
    metadata: { labels: { app: ${name} }, annotations: ${JSON.stringify(READY_WHEN_LISTENING)} }
    spec:
      terminationGracePeriodSeconds: 2
      containers: [{ name: app, image: app, ports: [{ name: http, containerPort: ${APP_PORT} }] }]
---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec:
  selector: { app: ${name} }
  ports: [{ name: http, port: 80, targetPort: http }]
---
${ingressOf(name, hostOf(name))}
---
apiVersion: holdfast.dev/v1alpha1
kind: StickyPolicy
metadata: { name: ${name}, namespace: shop }
spec:
  targetRefs: [{ group: networking.k8s.io, kind: Ingress, name: ${name} }]
  session: ${session}
  onEndpointLost: ${lost}
  rules: [{ name: browser, cookie: { name: ${name.toUpperCase()} } }]
`;
}

/** An Ingress of that name for a host, to the Service of an app. */
export function ingressOf(name: string, host: string, app = name): string {
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: ${name}, namespace: shop }
spec:
  ingressClassName: holdfast
  rules:
    - host: ${host}
      http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: ${app}, port: { name: http } } } }] }
`;
}

export class Shop {
  readonly pods: Pods;
  /** Two replicas, as the chart has it. */
  readonly controllers: Controller[];

  private constructor(pods: Pods, controllers: Controller[]) {
    this.pods = pods;
    this.controllers = controllers;
  }

  /** Resolves when all pods of the apps run and each host is answered by both replicas. */
  static async open(apps: readonly App[], way?: Way): Promise<Shop> {
    const published = ['--set', 'publish.addresses={192.0.2.10}'];
    await helm(['install', 'holdfast', CHART, '-n', 'holdfast', '--create-namespace', ...published]);
    await kubectl(['-n', 'holdfast', 'rollout', 'status', 'deployment/holdfast', '--timeout=60s']);
    await namespace('shop');
    await established('stickypolicies.holdfast.dev');
    const pods = await Pods.serve('shop');
    const shop = new Shop(pods, await Controller.startAll('holdfast', way));
    await apply(apps.map(objectsOf).join('---'));
    for (const { kind, name } of apps) await shop.rolledOut(`${kind}/${name}`);
    await shop.settled(apps.reduce((sum, { replicas }) => sum + replicas, 0));
    return shop;
  }

  get addresses(): string[] {
    return this.controllers.map(({ address }) => address);
  }

  /** @param workload such as `deployment/web` */
  async rolledOut(workload: string): Promise<void> {
    await kubectl(['-n', 'shop', 'rollout', 'status', workload, '--timeout=60s']);
  }

  /** So many pods run, and those that were before have gone. */
  async settled(count: number): Promise<void> {
    await eventually(() => {
      expect(this.pods.leaving).toEqual([]);
      expect(this.pods.running).toHaveLength(count);
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.controllers.map((controller) => controller.stop()));
    this.pods.close();
    await run('kubectl', ['delete', 'namespace', 'shop', '--wait=false']);
    await run('helm', ['uninstall', 'holdfast', '-n', 'holdfast', '--ignore-not-found']);
  }
}
