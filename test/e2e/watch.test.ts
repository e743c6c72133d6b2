/** On a real control plane: what kubectl applies is served, and followed as it changes. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request, type IncomingHttpHeaders, type IncomingMessage, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CLUSTER_DIR } from './support/control-plane.ts';
import { api, apply, eventually, kubectl, ROOT, run as runProgram } from './support/kube.ts';

/** The network namespace of the control plane delivers all pod addresses to itself: one server is every pod. */
const POD_PORT = 8080;
const HTTP = { host: '10.0.0.1', port: 18_080 };
const ADMIN = { host: '127.0.0.1', port: 19_090 };
const HOST = 'watch.test';

const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: {name: watch}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: watch}
spec: {controller: holdfast.dev/watch}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: watch}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 3
      containers: [{name: web, image: web}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: watch}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: ${POD_PORT}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: watch, annotations: {holdfast.dev/affinity: cookie}}
spec:
  ingressClassName: watch
  rules:
  - host: ${HOST}
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}]}
`;

const CRD = 'stickypolicies.holdfast.dev';

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let pods: Server;
let controller: ChildProcess;
let dir: string;
let log = '';
/** Of StickyPolicy, as it was before. */
let definition = '';

async function get(
  at: { host: string; port: number },
  path: string,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const sent = request({ ...at, path, headers, agent: false });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() };
}

async function visit(cookie?: string): Promise<{ pod: string; cookie: string }> {
  const reply = await get(HTTP, '/', { host: HOST, ...(cookie === undefined ? {} : { cookie }) });
  expect(reply.status, reply.body).toBe(200);
  return { pod: reply.body, cookie: reply.headers['set-cookie']?.[0]?.split(';')[0] ?? cookie ?? '' };
}

async function podsSeen(): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let i = 0; i < 40; i++) seen.add((await visit()).pod);
  return seen;
}

async function podNames(): Promise<Map<string, string>> {
  const jsonpath = '{range .items[*]}{.status.podIP} {.metadata.name}{"\\n"}{end}';
  const text = await kubectl(['-n', 'watch', 'get', 'pods', '-o', `jsonpath=${jsonpath}`]);
  const lines = text.trim().split('\n');
  return new Map(lines.map((line) => line.split(' ') as [string, string]));
}

function startController(extra: readonly string[] = []): ChildProcess {
  const args = ['run', '--kubeconfig', process.env['KUBECONFIG'] ?? '', '--bind-address', HTTP.host];
  const more = [
    '--http-port',
    String(HTTP.port),
    '--admin-address',
    `${ADMIN.host}:${ADMIN.port}`,
    '--workers',
    '2',
    '--https-port',
    'off',
  ];
  const ours = ['--state-dir', dir, '--session-keys-file', join(dir, 'keys.json'), '--shutdown-delay', '0s'];
  const own = ['--controller-name', 'holdfast.dev/watch', '--ingress-class', 'watch', ...extra];
  const child = spawn(process.execPath, [join(ROOT, 'src', 'main.ts'), ...args, ...more, ...ours, ...own], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  return child;
}

async function stop(child: ChildProcess): Promise<number | null> {
  const exited = once(child, 'exit') as Promise<[number | null]>;
  child.kill('SIGTERM');
  return (await exited)[0];
}

async function ready(): Promise<void> {
  await eventually(async () => {
    const { status, body } = await get(ADMIN, '/readyz');
    expect(`${status} ${body}`, log).toBe('200 ok\n');
  });
}

/** The chart's, if other tests have installed it: it stays that. */
async function definitionInForce(): Promise<string> {
  const { code, stdout } = await runProgram('kubectl', ['get', 'crd', CRD, '-o', 'json']);
  if (code !== 0) return readFileSync(join(ROOT, 'manifests', 'crds', 'holdfast.dev_stickypolicies.yaml'), 'utf8');
  const { metadata, ...rest } = JSON.parse(stdout) as { metadata: Record<string, unknown>; status: unknown };
  const { name, labels, annotations } = metadata;
  return JSON.stringify({ ...rest, status: undefined, metadata: { name, labels, annotations } });
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-e2e-'));
  pods = createServer((incoming, response) => response.end(incoming.socket.localAddress));
  pods.listen(POD_PORT, '0.0.0.0');
  await once(pods, 'listening');
  definition = await definitionInForce();
  await runProgram('kubectl', ['delete', '--ignore-not-found', 'crd', CRD]);
  await apply(OBJECTS);
  controller = startController();
}, 60_000);

afterAll(async () => {
  controller.kill('SIGKILL');
  pods.closeAllConnections();
  pods.close();
  rmSync(dir, { recursive: true, force: true });
});

test('/readyz names the kind whose definition is missing, and it is ready once that is there', async () => {
  await eventually(async () => {
    const { status, body } = await get(ADMIN, '/readyz');
    expect(status).toBe(503);
    expect(body).toContain('not synced: StickyPolicy\n');
  });
  await apply(definition);
  await ready();
}, 60_000);

test('the pods of a Deployment are served, sessions stay, and a scale-up is seen', async () => {
  await kubectl(['-n', 'watch', 'rollout', 'status', 'deployment/web', '--timeout=30s']);
  await eventually(async () => {
    expect([...(await podsSeen())].sort()).toEqual([...(await podNames()).keys()].sort());
  });
  const { pod, cookie } = await visit();
  for (let i = 0; i < 10; i++) expect((await visit(cookie)).pod).toBe(pod);
  await kubectl(['-n', 'watch', 'scale', 'deployment/web', '--replicas=5']);
  await kubectl(['-n', 'watch', 'rollout', 'status', 'deployment/web', '--timeout=30s']);
  await eventually(async () => expect(await podsSeen()).toHaveProperty('size', 5));
  expect((await visit(cookie)).pod).toBe(pod);
}, 60_000);

test('a pod drained by hand keeps its sessions and gets no new ones, until the mark is taken away', async () => {
  const { pod, cookie } = await visit();
  const name = (await podNames()).get(pod) ?? '';
  await kubectl(['-n', 'watch', 'annotate', 'pod', name, 'holdfast.dev/drain=true']);
  await eventually(async () => expect((await podsSeen()).has(pod)).toBe(false));
  expect((await visit(cookie)).pod).toBe(pod);
  await kubectl(['-n', 'watch', 'annotate', 'pod', name, 'holdfast.dev/drain-']);
  await eventually(async () => expect((await podsSeen()).has(pod)).toBe(true));
}, 60_000);

test('a deleted pod keeps its session while it serves; then the session moves once', async () => {
  const { pod, cookie } = await visit();
  const name = (await podNames()).get(pod) ?? '';
  await kubectl(['-n', 'watch', 'delete', 'pod', name, '--wait=false']);
  await eventually(async () => expect((await podsSeen()).has(pod)).toBe(false));
  expect((await visit(cookie)).pod).toBe(pod);
  const moved = await eventually(async () => {
    const now = await visit(cookie);
    expect(now.pod).not.toBe(pod);
    return now;
  });
  expect(moved.cookie).not.toBe(cookie);
  expect((await visit(moved.cookie)).pod).toBe(moved.pod);
}, 60_000);

test('every watch runs, as the metrics say', async () => {
  const { body } = await get(ADMIN, '/metrics');
  for (const kind of ['Ingress', 'IngressClass', 'Service', 'EndpointSlice', 'StickyPolicy', 'Pod']) {
    expect(body).toContain(`holdfast_watch_connected{kind="${kind}"} 1\n`);
    expect(body).toMatch(new RegExp(`holdfast_watch_last_event_age_seconds\\{kind="${kind}"\\} [\\d.e-]+\\n`));
    expect(body).toContain(`holdfast_watch_relists_total{kind="${kind}"} 0\n`);
  }
});

async function figures(metric: string): Promise<Map<string, number>> {
  const { body } = await get(ADMIN, '/metrics');
  const matches = body.matchAll(new RegExp(`^holdfast_watch_${metric}\\{kind="(\\w+)"\\} (\\S+)$`, 'gm'));
  return new Map([...matches].map(([, kind = '', value]) => [kind, Number(value)]));
}

/** The process of the API server and how it was started. */
function apiServer(): { pid: number; args: string[] } {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    if (args[0]?.endsWith('kube-apiserver')) return { pid: Number(pid), args };
  }
  throw new Error('there is no kube-apiserver here');
}

test('while the API server is away all goes on, and what it says afterwards is live within two seconds', async () => {
  const { pid, args } = await eventually(apiServer);
  const relists = await figures('relists_total');
  const serverLog = openSync(join(CLUSTER_DIR, 'kube-apiserver.log'), 'a');
  process.kill(pid, 'SIGKILL');
  await eventually(async () => expect([...new Set((await figures('connected')).values())]).toEqual([0]));
  const deadline = performance.now() + 5000;
  while (performance.now() < deadline) await visit();
  expect((await get(ADMIN, '/readyz')).status).toBe(200);
  expect(Math.min(...(await figures('last_event_age_seconds')).values())).toBeGreaterThan(4);

  const stdio = ['ignore', serverLog, serverLog] as const;
  spawn(args[0] ?? '', args.slice(1), { cwd: CLUSTER_DIR, stdio: [...stdio], detached: true }).unref();
  await eventually(async () => expect((await api('GET', '/readyz')).status).toBe(200));
  const back = performance.now();
  await kubectl(['-n', 'watch', 'annotate', 'ingress', 'web', 'holdfast.dev/affinity-']);
  await eventually(async () => expect((await visit()).cookie).toBe(''));
  await eventually(async () => expect([...new Set((await figures('connected')).values())]).toEqual([1]));
  expect(performance.now() - back, log).toBeLessThan(2000);
  // Its history begins anew with it, so one list a kind is what it may take; a storm would be more.
  for (const [kind, count] of await figures('relists_total')) {
    expect(count - (relists.get(kind) ?? 0), kind).toBeLessThanOrEqual(1);
  }
  await kubectl(['-n', 'watch', 'annotate', 'ingress', 'web', 'holdfast.dev/affinity=cookie']);
  await eventually(async () => expect((await visit()).cookie).not.toBe(''));
}, 90_000);

test('limited to namespaces and without pods it serves the same', async () => {
  const { pod, cookie } = await visit();
  expect(await stop(controller)).toBe(0);
  controller = startController(['--watch-namespaces', 'watch', '--no-pod-watch']);
  await ready();
  // A restart loses no session either.
  expect((await visit(cookie)).pod).toBe(pod);
  const { body } = await get(ADMIN, '/metrics');
  expect(body).not.toContain('kind="IngressClass"} 1');
  expect(body).not.toContain('holdfast_watch_connected{kind="Pod"}');
}, 60_000);
