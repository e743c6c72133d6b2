/** Two controllers with the chart's flags and rights, real rollouts, and cookie clients who must not notice. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, Client, cookieOf, type Move } from './support/clients.ts';
import { Controller } from './support/controller.ts';
import { apply, CHART, eventually, get, helm, kubectl, namespace, run } from './support/kube.ts';
import { APP_PORT, Pods } from './support/pods.ts';

const HOST = 'shop.example';
const CLIENTS = 100;
/** Between two requests of one client, ms. */
const PACE = 150;

const SHOP = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  replicas: 10
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 2
      containers: [{ name: web, image: web, ports: [{ name: http, containerPort: ${APP_PORT} }] }]
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec:
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: http }]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: shop, namespace: shop }
spec:
  ingressClassName: holdfast
  rules:
    - host: ${HOST}
      http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: web, port: { name: http } } } }] }
---
apiVersion: holdfast.dev/v1alpha1
kind: StickyPolicy
metadata: { name: shop, namespace: shop }
spec:
  targetRefs: [{ group: networking.k8s.io, kind: Ingress, name: shop }]
  rules: [{ name: browser, cookie: { name: SHOP } }]
`;

let pods: Pods;
let controllers: Controller[] = [];
const addresses = (): string[] => controllers.map(({ address }) => address);

beforeAll(async () => {
  await helm([
    'install',
    'holdfast',
    CHART,
    '-n',
    'holdfast',
    '--create-namespace',
    '--set',
    'publish.addresses={192.0.2.10}',
  ]);
  await kubectl(['-n', 'holdfast', 'rollout', 'status', 'deployment/holdfast', '--timeout=60s']);
  await namespace('shop');
  await kubectl(['wait', '--for=condition=Established', 'crd/stickypolicies.holdfast.dev']);
  pods = await Pods.serve('shop');
  controllers = await Controller.startAll('holdfast');
  await apply(SHOP);
  await settled(10);
});

afterAll(async () => {
  await Promise.all(controllers.map((controller) => controller.stop()));
  pods?.close();
  await run('kubectl', ['delete', 'namespace', 'shop', '--wait=false']);
  await run('helm', ['uninstall', 'holdfast', '-n', 'holdfast', '--ignore-not-found']);
});

/** All pods of the rollout run, and those that were before have gone. */
async function settled(count: number): Promise<void> {
  await kubectl(['-n', 'shop', 'rollout', 'status', 'deployment/web', '--timeout=60s']);
  await eventually(() => {
    const leaving = [...pods.lives.values()].filter(
      ({ terminating, gone }) => terminating !== undefined && gone === undefined,
    );
    expect(leaving).toEqual([]);
    expect(pods.running).toHaveLength(count);
  });
}

interface Report {
  readonly requests: number;
  readonly failures: readonly string[];
  readonly moves: readonly Move[];
  /** Of the client that moved most. */
  readonly mostMoves: number;
}

async function underLoad(what: () => Promise<void>): Promise<Report> {
  const clients = Array.from({ length: CLIENTS }, () => new Client());
  const stop = new AbortController();
  const done = Promise.all(clients.map((client) => client.run(addresses(), HOST, PACE, stop.signal)));
  try {
    await eventually(() => expect(clients.filter(({ pod }) => pod === '')).toEqual([]));
    await what();
    const before = clients.map(({ requests }) => requests);
    await eventually(() => expect(clients.every(({ requests }, i) => requests > before[i]! + 2)).toBe(true));
  } finally {
    stop.abort();
    await done;
  }
  return {
    requests: clients.reduce((sum, client) => sum + client.requests, 0),
    failures: clients.flatMap(({ failures }) => failures),
    moves: clients.flatMap(({ moves }) => moves),
    mostMoves: Math.max(...clients.map(({ moves }) => moves.length)),
  };
}

/** Moves away from a pod that was not even told to go. */
function needless(moves: readonly Move[]): Move[] {
  return moves.filter(({ from, at }) => (pods.lives.get(from)?.terminating ?? Infinity) > at);
}

test('an Ingress is served, and both replicas keep a session on its pod', async () => {
  const [first = '', second = ''] = addresses();
  const answer = await eventually(async () => {
    const got = await ask(first, HOST);
    expect(got.status).toBe(200);
    return got;
  });
  const cookie = cookieOf(answer) ?? '';
  expect(cookie).toMatch(/^SHOP=/);
  for (const address of [second, first, second]) {
    await eventually(async () =>
      expect(await ask(address, HOST, cookie)).toMatchObject({ status: 200, pod: answer.pod, setCookie: [] }),
    );
  }
});

test('rolling update: no failed request, and only sessions of replaced pods move', async () => {
  const { requests, failures, moves } = await underLoad(async () => {
    await kubectl(['-n', 'shop', 'rollout', 'restart', 'deployment/web']);
    await settled(10);
  });
  expect(failures).toEqual([]);
  expect(needless(moves)).toEqual([]);
  expect(moves.length).toBeGreaterThanOrEqual(CLIENTS);
  expect(requests).toBeGreaterThan(10 * CLIENTS);
});

test('scale 10 → 3 → 12: no failed request, sessions of lost pods move once, scaling up moves nobody', async () => {
  const { failures, moves, mostMoves } = await underLoad(async () => {
    await kubectl(['-n', 'shop', 'scale', 'deployment/web', '--replicas=3']);
    await settled(3);
    await kubectl(['-n', 'shop', 'scale', 'deployment/web', '--replicas=12']);
    await settled(12);
  });
  expect(failures).toEqual([]);
  expect(needless(moves)).toEqual([]);
  expect(mostMoves).toBe(1);
});

test('single pods deleted: no failed request, no session moved that need not', async () => {
  const { failures, moves } = await underLoad(async () => {
    for (const { name } of pods.running.slice(0, 2)) {
      await kubectl(['-n', 'shop', 'delete', 'pod', name]);
      await settled(12);
    }
  });
  expect(failures).toEqual([]);
  expect(needless(moves)).toEqual([]);
});

test('the status of Ingress and StickyPolicy says what holds', async () => {
  await eventually(async () => {
    const ingress = await get<{ status: unknown }>('ingress', 'shop', '-n', 'shop');
    expect(ingress.status).toMatchObject({ loadBalancer: { ingress: [{ ip: '192.0.2.10' }] } });
    const policy = await get<{ status: unknown }>('stickypolicy', 'shop', '-n', 'shop');
    expect(policy.status).toMatchObject({
      ancestors: [
        {
          conditions: expect.arrayContaining([
            expect.objectContaining({ type: 'Accepted', status: 'True' }),
          ]) as unknown,
        },
      ],
    });
  });
});

test('helm test passes when the controller answers', async () => {
  const test = run('helm', ['test', 'holdfast', '-n', 'holdfast', '--timeout', '60s']);
  interface TestPod {
    readonly spec: { readonly containers: readonly [{ readonly command: readonly string[] }] };
  }
  const pod = await eventually(() => get<TestPod>('pod', 'holdfast-test', '-n', 'holdfast'));
  // Nothing runs in these pods and there is no DNS: the command runs here, and its Services are one of the replicas.
  const [, ...args] = pod.spec.containers[0].command.map((arg) =>
    arg
      .replace('holdfast-replicas.holdfast.svc:9090', `${addresses()[0]}:9090`)
      .replace('holdfast.holdfast.svc:80', `${addresses()[0]}:8080`),
  );
  const ran = await run(process.execPath, args);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  const patch = JSON.stringify({ status: { phase: 'Succeeded' } });
  await kubectl([
    '-n',
    'holdfast',
    'patch',
    'pod',
    'holdfast-test',
    '--subresource=status',
    '--type=merge',
    '-p',
    patch,
  ]);
  expect((await test).code).toBe(0);
});

test('the rights of the chart are enough: nothing was forbidden', () => {
  for (const { log } of controllers) {
    expect(log).toContain('"serving"');
    expect(log).not.toMatch(/forbidden|\b403\b/i);
  }
});

test('a replica that is stopped ends cleanly', async () => {
  const [last] = controllers.splice(1, 1);
  expect(await last?.stop()).toBe(0);
  expect((await ask(addresses()[0] ?? '', HOST)).status).toBe(200);
});
