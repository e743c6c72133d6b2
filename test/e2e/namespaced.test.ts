/** An installation with Roles only, beside another one: it serves its namespace, asks for nothing it may not have, writes only what is its own. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask } from './support/clients.ts';
import { audited } from './support/control-plane.ts';
import { Controller } from './support/controller.ts';
import {
  apply,
  CHART,
  established,
  eventually,
  get,
  helm,
  kubectl,
  namespace,
  pause,
  ROOT,
  run,
} from './support/kube.ts';
import { APP_PORT, Pods, READY_WHEN_LISTENING } from './support/pods.ts';

const RELEASES = [
  {
    release: 'inner',
    values:
      'watchNamespaces={team},rbac.secretNames={shop-tls,api-tls},crds.install=false,ingressClass.name=inner,controllerName=team.example/inner,publish.addresses={192.0.2.1}',
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
    metadata: { labels: { app: app }, annotations: ${JSON.stringify(READY_WHEN_LISTENING)} }
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
---${ingress('inner')}---${ingress('outer')}---${ingress('outer').replace('name: outer,', 'name: lonely,').replace('name: app,', 'name: nowhere,').replace('outer.example', 'lonely.example')}`;

/** Every kind of object that a controller writes or could be thought to write. */
const KINDS = [
  'ingresses.networking.k8s.io',
  'ingressclasses.networking.k8s.io',
  'stickypolicies.holdfast.dev',
  'services',
  'endpointslices.discovery.k8s.io',
  'pods',
  'secrets',
  'configmaps',
  'events.events.k8s.io',
  'customresourcedefinitions.apiextensions.k8s.io',
].join(',');
const WRITING = ['create', 'update', 'patch', 'delete', 'deletecollection'];
/** How long nothing changes: ms. */
const QUIET = 60_000;

let pods: Pods | undefined;
const controllers = new Map<string, Controller[]>();

beforeAll(async () => {
  await kubectl(['apply', '--server-side', '-f', join(ROOT, 'manifests/crds/holdfast.dev_stickypolicies.yaml')]);
  await established('stickypolicies.holdfast.dev');
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

test('on one Service with one policy, each writes its own status', async () => {
  await eventually(async () => {
    for (const [name, ip] of [
      ['inner', '192.0.2.1'],
      ['outer', '192.0.2.2'],
    ] as const) {
      const { status } = await get<{ status: unknown }>('ingress', name, '-n', 'team');
      expect(status).toEqual({ loadBalancer: { ingress: [{ ip }] } });
    }
    interface Policy {
      readonly status: {
        readonly ancestors: { controllerName: string; conditions: { type: string; status: string }[] }[];
      };
    }
    const { ancestors } = (await get<Policy>('stickypolicy', 'app', '-n', 'team')).status;
    const accepted = ancestors.map(({ controllerName, conditions }) => [
      controllerName,
      conditions.find(({ type }) => type === 'Accepted')?.status,
    ]);
    expect(accepted.sort()).toEqual([
      ['team.example/inner', 'True'],
      ['team.example/outer', 'True'],
    ]);
  });
  // An Ingress that cannot be served has an Event, once, of the one whose class it is.
  await eventually(async () => expect(await eventsOf('lonely')).toHaveLength(1));
});

test('while nothing changes for a minute, each renews its Lease and writes nothing else', async () => {
  const before = await versions();
  expect(before).toContain('StickyPolicy team/app ');
  const writes = RELEASES.map(({ release }) => ({ release, before: writesOf(release).length }));
  await pause(QUIET);
  expect(await versions()).toEqual(before);
  for (const { release, before: written } of writes) {
    const lease = `update /apis/coordination.k8s.io/v1/namespaces/${release}/leases/holdfast-leader`;
    expect([...new Set(writesOf(release).slice(written))]).toEqual([lease]);
  }
}, 120_000);

test('neither was refused anything, by its log and by that of the API server', () => {
  for (const { release } of RELEASES) {
    for (const { log } of controllers.get(release) ?? []) {
      expect(log).toContain('"serving"');
      expect(log).not.toMatch(/forbidden|\b403\b/i);
    }
    const requests = audited(release, 'holdfast');
    expect(requests.length).toBeGreaterThan(10);
    expect(requests.filter(({ responseStatus }) => responseStatus.code === 403)).toEqual([]);
  }
});

test('with Roles only, nothing is even asked for beyond the namespace that is watched and its own', () => {
  const asked = new Set(audited('inner', 'holdfast').map(({ objectRef }) => objectRef?.namespace));
  expect(asked).toEqual(new Set(['team', 'inner']));
});

test.each([
  ['no', 'list', 'ingresses', '-A'],
  ['no', 'list', 'ingressclasses'],
  ['no', 'list', 'nodes'],
  ['no', 'create', 'tokenreviews.authentication.k8s.io'],
  ['yes', 'list', 'ingresses', '-n', 'team'],
  ['yes', 'patch', 'ingresses', '--subresource=status', '-n', 'team'],
  ['no', 'patch', 'ingresses', '--subresource=status', '-n', 'inner'],
  // Secrets: those that `rbac.secretNames` lists, and the session keys, and no other.
  ['yes', 'get', 'secrets/shop-tls', '-n', 'team'],
  ['yes', 'watch', 'secrets/api-tls', '-n', 'team'],
  ['no', 'get', 'secrets/other', '-n', 'team'],
  ['no', 'update', 'secrets/shop-tls', '-n', 'team'],
  ['no', 'list', 'secrets', '-n', 'team'],
  ['no', 'get', 'secrets', '-n', 'team'],
  ['no', 'get', 'secrets/shop-tls', '-n', 'outer'],
  ['no', 'get', 'secrets/shop-tls', '-n', 'inner'],
  ['yes', 'get', 'secrets/holdfast-session-keys', '-n', 'inner'],
  ['yes', 'update', 'secrets/holdfast-session-keys', '-n', 'inner'],
  ['no', 'get', 'secrets/holdfast-session-keys', '-n', 'outer'],
  ['no', 'get', 'secrets/holdfast-session-keys', '-n', 'team'],
  ['no', 'get', 'secrets', '-n', 'inner'],
  ['no', 'list', 'secrets', '-n', 'inner'],
])('with Roles only and Secrets by name, %s: may it %s %s', async (answer, ...what) => {
  expect(await mayI('inner', ...what)).toBe(answer);
});

test.each([
  ['no', 'get', 'secrets/shop-tls', '-n', 'team'],
  ['yes', 'list', 'secrets', '-A'],
  ['yes', 'watch', 'secrets', '-A'],
  ['no', 'update', 'secrets', '-n', 'team'],
  ['yes', 'get', 'secrets/holdfast-session-keys', '-n', 'outer'],
])('with none named, %s: may it %s %s', async (answer, ...what) => {
  expect(await mayI('outer', ...what)).toBe(answer);
});

async function mayI(release: string, ...what: readonly string[]): Promise<string> {
  const asked = await run('kubectl', ['auth', 'can-i', ...what, `--as=system:serviceaccount:${release}:holdfast`]);
  return asked.stdout.trim();
}

async function eventsOf(ingressName: string): Promise<unknown[]> {
  const selector = `--field-selector=involvedObject.name=${ingressName}`;
  return (await get<{ items: unknown[] }>('events', '-n', 'team', selector)).items;
}

/** Requests that write, in order, without their queries. */
function writesOf(release: string): string[] {
  const written = audited(release, 'holdfast').filter(({ verb }) => WRITING.includes(verb));
  return written.map(({ verb, requestURI }) => `${verb} ${requestURI.replace(/\?.*/, '')}`);
}

/** Every object of these kinds in the cluster with its version, one a line. */
async function versions(): Promise<string> {
  const line = '{.kind} {.metadata.namespace}/{.metadata.name} {.metadata.resourceVersion}{"\\n"}';
  return await kubectl(['get', KINDS, '-A', '-o', `jsonpath={range .items[*]}${line}{end}`]);
}
