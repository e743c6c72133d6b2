/** Watches closed, expired, broken and refused, with the chart's rights: all is survived, and what is served equals a fresh list. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { ApiProxy, statusOf, type Fault } from './support/api-proxy.ts';
import { ask, Client } from './support/clients.ts';
import { audited } from './support/control-plane.ts';
import { Controller } from './support/controller.ts';
import { api, apply, CHART, established, eventually, get, helm, kubectl, namespace, pause } from './support/kube.ts';
import { APP_PORT, Pods, READY_WHEN_LISTENING } from './support/pods.ts';

/** Objects a page, so that most kinds come in several. */
const PAGE = 3;
/** What is in the cluster from the start: more Ingresses than a page holds. */
const FIRST = 8;
/** What the controller lists, where, and under which name it counts them. */
const LISTS = [
  ['Ingress', '/apis/networking.k8s.io/v1/ingresses'],
  ['IngressClass', '/apis/networking.k8s.io/v1/ingressclasses'],
  ['Service', '/api/v1/services'],
  ['EndpointSlice', '/apis/discovery.k8s.io/v1/endpointslices'],
  ['StickyPolicy', '/apis/holdfast.dev/v1alpha1/stickypolicies'],
] as const;
const KINDS = [...LISTS.map(([kind]) => kind), 'Pod'];
const INGRESSES = '/apis/networking.k8s.io/v1/namespaces/site/ingresses';

function workload(name: string, replicas: number): string {
  return `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: site }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} }, annotations: ${JSON.stringify(READY_WHEN_LISTENING)} }
    spec: { terminationGracePeriodSeconds: 1, containers: [{ name: app, image: app, ports: [{ containerPort: ${APP_PORT} }] }] }
---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: site }
spec: { selector: { app: ${name} }, ports: [{ port: 80, targetPort: ${APP_PORT} }] }
---`;
}

function ingress(name: string, service: string): object {
  const path = { path: '/', pathType: 'Prefix', backend: { service: { name: service, port: { number: 80 } } } };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name, namespace: 'site' },
    spec: { ingressClassName: 'holdfast', rules: [{ host: `${name}.example`, http: { paths: [path] } }] },
  };
}

function policy(cookie: string): string {
  return `
apiVersion: holdfast.dev/v1alpha1
kind: StickyPolicy
metadata: { name: app, namespace: site }
spec: { targetRefs: [{ group: '', kind: Service, name: app }], rules: [{ name: browser, cookie: { name: ${cookie} } }] }
---`;
}

const STEADY_POLICY = policy('STEADY')
  .replaceAll('name: app,', 'name: steady,')
  .replace('name: app }', 'name: steady }');

let directory = '';
let pods: Pods;
let proxy: ApiProxy;
let controller: Controller;
let visitors: Promise<void>;
const visitor = new Client();
const leaving = new AbortController();
/** Names of Ingresses that are gone, and must be forgotten. */
const gone = new Set<string>();
let count = 0;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-e2e-'));
  const values = 'replicas=1,publish.addresses={192.0.2.40}';
  await helm(['install', 'holdfast', CHART, '-n', 'holdfast', '--create-namespace', '--set', values]);
  await established('stickypolicies.holdfast.dev');
  await namespace('site');
  pods = await Pods.serve('site');
  await apply(workload('app', 3) + workload('steady', 2) + policy('APP') + STEADY_POLICY);
  for (let n = 0; n < FIRST; n++) await create();
  await api('POST', INGRESSES, ingress('steady', 'steady'));
  proxy = await ApiProxy.start(directory, PAGE);
  [controller] = (await Controller.startAll('holdfast', proxy.way)) as [Controller];
  await followed();
  visitors = visitor.run(() => [controller.address], 'steady.example', 50, leaving.signal);
});

// A test may have failed in the middle of its fault.
beforeEach(async () => {
  proxy.fault = undefined;
  await eventually(async () => expect(await connected()).toEqual([1]));
});

afterAll(async () => {
  leaving.abort();
  await visitors;
  await controller?.stop();
  proxy?.close();
  pods?.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Another Ingress; its name. */
async function create(): Promise<string> {
  const name = `host-${count++}`;
  const { status, text } = await api('POST', INGRESSES, ingress(name, 'app'));
  expect(status, text).toBe(201);
  return name;
}

async function remove(name: string): Promise<void> {
  const { status, text } = await api('DELETE', `${INGRESSES}/${name}`);
  expect(status, text).toBe(200);
  gone.add(name);
}

async function scale(replicas: number): Promise<void> {
  await kubectl(['-n', 'site', 'scale', 'deployment/app', `--replicas=${replicas}`]);
}

/** One more of what there is, one less, and something that is another than before. */
async function change(cookie: string, replicas: number): Promise<void> {
  const [oldest] = await namesInCluster();
  await create();
  await remove(oldest ?? '');
  await apply(policy(cookie));
  await scale(replicas);
}

async function fresh(path: string): Promise<{ metadata: { name: string } }[]> {
  return (JSON.parse((await api('GET', path)).text) as { items: { metadata: { name: string } }[] }).items;
}

async function namesInCluster(): Promise<string[]> {
  return (await fresh(INGRESSES)).map(({ metadata }) => metadata.name).filter((name) => name.startsWith('host-'));
}

async function figures(metric: string): Promise<Map<string, number>> {
  const text = await (await fetch(controller.admin('/metrics'))).text();
  const matches = text.matchAll(new RegExp(`^holdfast_${metric}\\{kind="(\\w+)"\\} (\\S+)$`, 'gm'));
  return new Map([...matches].map(([, kind = '', value]) => [kind, Number(value)]));
}

/** The values of `watch_connected`, each once. */
async function connected(): Promise<number[]> {
  return [...new Set((await figures('watch_connected')).values())];
}

async function problems(): Promise<string> {
  return await (await fetch(controller.admin('/api/v1/problems'))).text();
}

/** What is served equals what a fresh list says: the objects, the hosts, the pods, the policy. */
async function followed(ms = 30_000): Promise<void> {
  await eventually(async () => {
    const objects = await figures('config_objects');
    for (const [kind, path] of LISTS) expect([kind, objects.get(kind)]).toEqual([kind, (await fresh(path)).length]);
    const names = await namesInCluster();
    expect(names.length).toBeGreaterThan(PAGE);
    await expectServed(names);
    for (const name of gone)
      expect([name, (await ask(controller.address, `${name}.example`)).status]).toEqual([name, 404]);
    await expectPodsAndPolicy(names[0] ?? '');
  }, ms);
}

async function expectServed(names: readonly string[]): Promise<void> {
  for (const name of names) {
    const { status, error } = await ask(controller.address, `${name}.example`);
    expect([name, status, error]).toEqual([name, 200, '']);
  }
}

async function expectPodsAndPolicy(name: string): Promise<void> {
  const { spec } = await get<{ spec: { rules: { cookie: { name: string } }[] } }>('stickypolicy', 'app', '-n', 'site');
  const reached = new Set<string>();
  const expected = pods.running.map((life) => life.name).filter((pod) => pod.startsWith('app-'));
  for (let n = 0; n < 60 && reached.size < expected.length; n++) {
    const { pod, setCookie } = await ask(controller.address, `${name}.example`);
    reached.add(pod);
    expect(setCookie[0]?.split('=')[0]).toBe(spec.rules[0]?.cookie.name);
  }
  expect([...reached].sort()).toEqual(expected.sort());
}

/** Every watch of the moment loses what happens from here on, and then ends as an expired one. */
function expire(): void {
  proxy.say(`{"type":"ERROR","object":${statusOf(410)}}`);
  proxy.closeWatches();
}

test('watches closed every second for a minute: everything is followed, and nothing is listed again', async () => {
  const before = await figures('watch_relists_total');
  let closed = 0;
  const closing = setInterval(() => (closed += proxy.closeWatches()), 1000);
  const end = performance.now() + 60_000;
  try {
    for (let round = 0; performance.now() < end; round++) {
      await change(`APP${round}`, 2 + (round % 3));
      const name = await create();
      await eventually(async () => expect((await ask(controller.address, `${name}.example`)).status).toBe(200), 10_000);
      await pause(500);
    }
  } finally {
    clearInterval(closing);
  }
  expect(closed).toBeGreaterThan(60);
  await followed();
  expect(await figures('watch_relists_total')).toEqual(before);
}, 150_000);

test('410 in the middle of a stream: what was lost with it is found by one list', async () => {
  const before = await figures('watch_relists_total');
  proxy.holdWatches();
  await change('LOST', 4);
  expire();
  await followed();
  for (const [kind, relists] of await figures('watch_relists_total')) {
    expect([kind, relists]).toEqual([kind, (before.get(kind) ?? 0) + 1]);
  }
});

test('410 as the answer to a watch: the same', async () => {
  const refused = new Set<string>();
  proxy.holdWatches();
  await change('REFUSED', 3);
  proxy.fault = ({ query, path }) => {
    if (query.get('watch') !== 'true' || refused.has(path)) return undefined;
    refused.add(path);
    return { status: 410 };
  };
  proxy.closeWatches();
  await followed();
  expect(refused.size).toBeGreaterThanOrEqual(KINDS.length);
});

test.each<[string, Fault]>([
  ['answered 500', { status: 500 }],
  ['answered 410', { status: 410 }],
  ['cut off', 'cut'],
  ['broken off in the middle', 'half'],
])('a list whose second page is %s: nothing is lost meanwhile, and the next list is taken', async (_, fault) => {
  const names = await namesInCluster();
  const began = proxy.seen.length;
  let failures = 0;
  proxy.fault = ({ query, path }) => {
    if (!query.has('continue') || !path.endsWith('/ingresses')) return undefined;
    failures++;
    return fault;
  };
  proxy.holdWatches();
  await change(`CUT${count}`, 2 + (count % 3));
  expire();
  // After 410 it is asked for in one piece, which works; otherwise the list begins anew and fails again. (A connection
  // that was cut may have been an old one, so the same is asked once more.)
  const expired = typeof fault === 'object' && fault.status === 410;
  await eventually(() => expect(failures).toBeGreaterThanOrEqual(expired ? 1 : 4));
  await expectServed(names.filter((name) => !gone.has(name)));
  proxy.fault = undefined;
  await followed();
  const whole = proxy.seen.slice(began).filter(({ query, path }) => path.endsWith('/ingresses') && query.size === 0);
  expect(whole).toHaveLength(expired ? 1 : 0);
});

test('what cannot be read among good objects is passed over, told where it has a name, and gone with the next list', async () => {
  for (const object of [
    'null',
    '{}',
    '[]',
    '{"kind":"Ingress","metadata":{"name":7},"spec":"x"}',
    '{"metadata":null}',
  ]) {
    proxy.say(`{"type":"ADDED","object":${object}}`);
    proxy.say(`{"type":"DELETED","object":${object}}`);
  }
  proxy.say(
    '{"type":"ADDED","object":{"metadata":{"name":"odd","namespace":"site"},"spec":"x","endpoints":7,"ports":{}}}',
  );
  const name = await create();
  await expectEventually(`${name}.example`, 200);
  expect(await problems()).toContain('"odd"');
  proxy.say('this is no JSON');
  await followed();
  expect(await problems()).not.toContain('"odd"');
});

test('a StickyPolicy that was stored before there was a schema breaks no other', async () => {
  const crd = 'stickypolicies.holdfast.dev';
  interface Definition {
    spec: { versions: { schema: unknown }[] };
  }
  const strict = await get<Definition>('crd', crd);
  const schema = JSON.stringify(strict.spec.versions[0]?.schema);
  const lax = '{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}';
  const patch = (value: string): Promise<string> =>
    kubectl([
      'patch',
      'crd',
      crd,
      '--type=json',
      '-p',
      `[{"op":"replace","path":"/spec/versions/0/schema","value":${value}}]`,
    ]);
  await patch(lax);
  const broken = {
    apiVersion: 'holdfast.dev/v1alpha1',
    kind: 'StickyPolicy',
    metadata: { name: 'broken', namespace: 'site' },
  };
  const path = '/apis/holdfast.dev/v1alpha1/namespaces/site/stickypolicies';
  await eventually(async () => {
    const { status, text } = await api('POST', path, { ...broken, spec: { targetRefs: 'all', rules: [7, null] } });
    expect(status, text).toBe(201);
  });
  await patch(schema);
  await eventually(async () => expect(await problems()).toContain('"broken"'));
  await apply(policy('UNBROKEN'));
  await followed();
  // The same in a list.
  proxy.holdWatches();
  await apply(policy('STILL'));
  expire();
  await followed();
  expect(await problems()).toContain('"broken"');
  await api('DELETE', `${path}/broken`);
  await eventually(async () => expect(await problems()).not.toContain('"broken"'));
}, 60_000);

test('a token that expires: the new one is read where kubelet puts it, and until it is there all is served', async () => {
  const bound = async (name: string): Promise<string> => {
    await apply(`{apiVersion: v1, kind: Secret, metadata: {name: ${name}, namespace: holdfast}}`);
    const binding = ['--bound-object-kind=Secret', `--bound-object-name=${name}`];
    return (await kubectl(['create', 'token', '-n', 'holdfast', 'holdfast', ...binding])).trim();
  };
  const [first, second] = [await bound('first'), await bound('second')];
  const old = proxy.seen.at(-1)?.token;
  expect(old).toMatch(/^ey/);

  // In time: the old one is refused when the new one is there already.
  controller.giveToken(first);
  proxy.fault = ({ token }) => (token === old ? { status: 401 } : undefined);
  proxy.closeWatches();
  await eventually(async () => expect(await connected()).toEqual([1]));
  await followed();
  expect(proxy.seen.at(-1)?.token).toBe(first);
  proxy.fault = undefined;

  // Too late: the API server itself refuses it, because what it was bound to is gone.
  await kubectl(['-n', 'holdfast', 'delete', 'secret', 'first']);
  await eventually(
    () => expect(proxy.seen.some(({ token, status }) => token === first && status === 401)).toBe(true),
    60_000,
  );
  proxy.closeWatches();
  await eventually(async () => expect(await connected()).toEqual([0]));
  await eventually(async () => expect(await problems()).toContain('refuses our credentials'));
  const names = await namesInCluster();
  await change('RENEWED', 3);
  expect((await fetch(controller.admin('/readyz'))).status).toBe(200);
  await expectServed(names.filter((name) => !gone.has(name)));
  controller.giveToken(second);
  await followed();
  // Each watch tries again when its own pause is over; those that were followed are only some of them.
  await eventually(async () => expect(await problems()).not.toContain('refuses our credentials'));
  await eventually(async () =>
    expect(await (await fetch(controller.admin('/metrics'))).text()).toContain('\nholdfast_leader 1\n'),
  );
}, 180_000);

test('nothing of all this was noticed by who kept coming back', async () => {
  expect(visitor.requests).toBeGreaterThan(600);
  expect(visitor.failures).toEqual([]);
  expect(visitor.moves).toEqual([]);
});

test('nothing was asked for that the chart does not grant, as the API server has it', () => {
  const requests = audited('holdfast', 'holdfast');
  expect(requests.length).toBeGreaterThan(100);
  expect(requests.filter(({ responseStatus }) => responseStatus.code === 403)).toEqual([]);
});

async function expectEventually(host: string, status: number): Promise<void> {
  await eventually(async () => expect((await ask(controller.address, host)).status).toBe(status));
}
