/** The chart is taken away and installed again: the keys are the same ones, so every session is where it was. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, cookieOf } from './support/clients.ts';
import { Controller } from './support/controller.ts';
import { apply, CHART, established, eventually, get, helm, kubectl, namespace, run } from './support/kube.ts';
import { APP_PORT, Pods, READY_WHEN_LISTENING } from './support/pods.ts';

const HOST = 'shop.example';
const SHOP = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  replicas: 5
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web }, annotations: ${JSON.stringify(READY_WHEN_LISTENING)} }
    spec: { containers: [{ name: web, image: web, ports: [{ containerPort: ${APP_PORT} }] }] }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: ${APP_PORT} }] }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: shop, namespace: shop }
spec:
  ingressClassName: holdfast
  rules: [{ host: ${HOST}, http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: web, port: { number: 80 } } } }] } }]
---
apiVersion: holdfast.dev/v1alpha1
kind: StickyPolicy
metadata: { name: shop, namespace: shop }
spec: { targetRefs: [{ group: '', kind: Service, name: web }], rules: [{ name: browser, cookie: { name: SHOP } }] }
`;

let pods: Pods;
let controllers: Controller[] = [];

async function install(): Promise<void> {
  await helm(['install', 'holdfast', CHART, '-n', 'holdfast', '--create-namespace']);
  await established('stickypolicies.holdfast.dev');
  controllers = await Controller.startAll('holdfast');
}

async function stop(): Promise<void> {
  expect(await Promise.all(controllers.splice(0).map((controller) => controller.stop()))).toEqual([0, 0]);
}

async function keys(): Promise<string> {
  const { data } = await get<{ data?: Record<string, string> }>('secret', 'holdfast-session-keys', '-n', 'holdfast');
  return Buffer.from(data?.['keys.json'] ?? '', 'base64').toString();
}

beforeAll(async () => {
  await install();
  await namespace('shop');
  pods = await Pods.serve('shop');
  await apply(SHOP);
  await kubectl(['-n', 'shop', 'rollout', 'status', 'deployment/web', '--timeout=60s']);
});

afterAll(async () => {
  await Promise.all(controllers.map((controller) => controller.stop()));
  pods?.close();
});

test('helm uninstall and helm install: the same keys, policies and sessions', async () => {
  const before = await eventually(async () => {
    const made = await keys();
    expect(JSON.parse(made)).toHaveLength(1);
    return made;
  });
  const sessions = await eventually(async () => {
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, i) => ask(controllers[i % 2]?.address ?? '', HOST)),
    );
    expect(new Set(answers.map(({ pod }) => pod)).size).toBe(5);
    return answers.map((answer) => ({ pod: answer.pod, cookie: cookieOf(answer) ?? '' }));
  });

  await helm(['uninstall', 'holdfast', '-n', 'holdfast', '--wait']);
  await stop();
  expect((await run('kubectl', ['get', 'ingressclass', 'holdfast'])).code).not.toBe(0);
  expect(await keys()).toBe(before);

  await install();
  for (const { address } of controllers) {
    for (const { pod, cookie } of sessions) {
      expect(await ask(address, HOST, cookie)).toMatchObject({ status: 200, pod, setCookie: [] });
    }
  }
  expect(await keys()).toBe(before);
  await stop();
}, 120_000);
