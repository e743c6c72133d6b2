/** An installation with Roles only, beside another one: it serves its namespace, asks for nothing it may not have, writes only what is its own. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask } from './support/clients.ts';
import { Controller } from './support/controller.ts';
import { apply, CHART, eventually, get, helm, kubectl, namespace, pause, ROOT, run } from './support/kube.ts';
import { APP_PORT, Pods } from './support/pods.ts';

const RELEASES = [
  {
    release: 'inner',
    values:
      'watchNamespaces={team},crds.install=false,ingressClass.name=inner,controllerName=team.example/inner,publish.addresses={192.0.2.1}',
  },
  {
    release: 'outer',
    values:
      'crds.install=false,ingressClass.name=outer,controllerName=team.example/outer,publish.addresses={192.0.2.2}',
  },
];

const ingress = (name: string): string => `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: ${name}, namespace: team }
spec:
  ingressClassName: ${name}
  rules: [{ host: ${name}.example, http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: app, port: { number: 80 } } } }] } }]
`;

const TEAM = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: app, namespace: team }
spec:
  replicas: 2
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec: { containers: [{ name: app, image: app, ports: [{ containerPort: ${APP_PORT} }] }] }
---
apiVersion: v1
kind: Service
metadata: { name: app, namespace: team }
spec: { selector: { app: app }, ports: [{ port: 80, targetPort: ${APP_PORT} }] }
---
apiVersion: holdfast.dev/v1alpha1
kind: StickyPolicy
metadata: { name: app, namespace: team }
spec:
  targetRefs: [{ group: '', kind: Service, name: app }]
  rules: [{ name: browser, cookie: { name: APP } }]
---${ingress('inner')}---${ingress('outer')}`;

interface Written {
  readonly metadata: { readonly resourceVersion: string };
  readonly status: unknown;
}

let pods: Pods | undefined;
const controllers = new Map<string, Controller[]>();

beforeAll(async () => {
  await kubectl(['apply', '--server-side', '-f', join(ROOT, 'manifests/crds/holdfast.dev_stickypolicies.yaml')]);
  await kubectl(['wait', '--for=condition=Established', 'crd/stickypolicies.holdfast.dev']);
  await namespace('team');
  pods = await Pods.serve('team');
  await apply(TEAM);
  for (const { release, values } of RELEASES) {
    await helm([
      'install',
      release,
      CHART,
      '-n',
      release,
      '--create-namespace',
      '--set',
      `fullnameOverride=holdfast,replicas=1,${values}`,
    ]);
    controllers.set(release, await Controller.startAll(release));
  }
});

afterAll(async () => {
  await Promise.all([...controllers.values()].flat().map((controller) => controller.stop()));
  pods?.close();
  for (const { release } of RELEASES) await run('helm', ['uninstall', release, '-n', release]);
  await run('kubectl', ['delete', 'namespace', 'team', '--wait=false']);
});

test.each([
  ['inner', 'outer'],
  ['outer', 'inner'],
])('%s serves its own class and not that of %s', async (own, other) => {
  const [controller] = controllers.get(own) ?? [];
  const address = controller?.address ?? '';
  await eventually(async () => {
    const answer = await ask(address, `${own}.example`);
    expect(answer.status).toBe(200);
    expect(answer.setCookie[0]).toMatch(/^APP=/);
  });
  expect((await ask(address, `${other}.example`)).status).toBe(404);
});

test('each writes its own status only, and nothing is written again while nothing changes', async () => {
  const read = async (): Promise<[Written, Written, Written]> => [
    await get<Written>('ingress', 'inner', '-n', 'team'),
    await get<Written>('ingress', 'outer', '-n', 'team'),
    await get<Written>('stickypolicy', 'app', '-n', 'team'),
  ];
  const written = await eventually(async () => {
    const [inner, outer, policy] = await read();
    expect(inner.status).toMatchObject({ loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } });
    expect(outer.status).toMatchObject({ loadBalancer: { ingress: [{ ip: '192.0.2.2' }] } });
    const { ancestors } = policy.status as { ancestors: { controllerName: string }[] };
    const names = new Set(ancestors.map(({ controllerName }) => controllerName));
    expect(names).toEqual(new Set(['team.example/inner', 'team.example/outer']));
    return [inner, outer, policy];
  });
  await pause(10_000);
  expect(await read()).toEqual(written);
});

test('neither was refused anything', () => {
  for (const { log } of [...controllers.values()].flat()) {
    expect(log).toContain('"serving"');
    expect(log).not.toMatch(/forbidden|\b403\b/i);
  }
});

test.each([
  ['no', 'list', 'ingresses', '-A'],
  ['no', 'list', 'ingressclasses'],
  ['no', 'list', 'secrets', '-n', 'team'],
  ['no', 'get', 'secrets', '-n', 'inner'],
  ['yes', 'list', 'ingresses', '-n', 'team'],
  ['yes', 'get', 'secrets/holdfast-session-keys', '-n', 'inner'],
])('with Roles only, %s: may it %s %s', async (answer, ...what) => {
  const asked = await run('kubectl', ['auth', 'can-i', ...what, '--as=system:serviceaccount:inner:holdfast']);
  expect(asked.stdout.trim()).toBe(answer);
});
