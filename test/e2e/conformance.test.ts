/** The conformance scenarios of Ingress v1 with the chart installed, asked of every replica; none is skipped. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FEATURES, USER_AGENT } from './conformance.scenarios.ts';
import type { Expectation, Feature, IngressSpec, Question, ScaledScenario, Scenario } from './conformance.scenarios.ts';
import { Controller } from './support/controller.ts';
import { apply, CHART, eventually, get, helm, kubectl, namespace, run } from './support/kube.ts';
import { APP_PORT, Pods, READY_WHEN_LISTENING, type Program } from './support/pods.ts';

const RELEASE = 'conformance';
const PUBLISHED = '192.0.2.30';
const HTTP_PORT = 8080;

interface Answer {
  readonly status: number;
  readonly proto: string;
  readonly headers: IncomingHttpHeaders;
  /** What the backend says, or our own text of an error. */
  readonly body: string;
}

interface Echo {
  readonly pod: string;
  readonly service: string;
  readonly address: string | undefined;
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly proto: string;
  readonly host: string | undefined;
  readonly userAgent: string | undefined;
}

/** Each Deployment has the name of its Service, and a pod that of its Deployment with two hashes behind it. */
const echo: Program = (pod, request): Echo => ({
  pod,
  service: pod.split('-').slice(0, -2).join('-'),
  address: request.socket.localAddress,
  method: request.method,
  path: request.url,
  proto: `HTTP/${request.httpVersion}`,
  host: request.headers.host,
  userAgent: request.headers['user-agent'],
});

let controllers: Controller[] = [];
let certificateDirectory = '';
const played: string[] = [];

beforeAll(async () => {
  certificateDirectory = mkdtempSync(join(tmpdir(), 'holdfast-e2e-'));
  // The scenarios name no class, so this one is the cluster's default.
  const values = `ingressClass.name=${RELEASE},ingressClass.default=true,publish.addresses={${PUBLISHED}}`;
  await helm(['install', RELEASE, CHART, '-n', RELEASE, '--create-namespace', '--set', values]);
  controllers = await Controller.startAll(RELEASE);
});

afterAll(async () => {
  await Promise.all(controllers.map((controller) => controller.stop()));
  await run('helm', ['uninstall', RELEASE, '-n', RELEASE]);
  await run('kubectl', ['delete', 'namespace', RELEASE, '--wait=false']);
  rmSync(certificateDirectory, { recursive: true, force: true });
  process.stderr.write(`Ingress conformance: ${played.length} of 30 scenarios pass\n`);
});

async function ask(address: string, { method, scheme, host, path }: Question): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers = { 'user-agent': USER_AGENT, ...(host === undefined ? {} : { host }) };
  const common = { host: address, method, path, headers, agent: false, timeout: 15_000 };
  const sent =
    scheme === 'http'
      ? httpRequest({ ...common, port: HTTP_PORT }, resolve)
      : httpsRequest({ ...common, port: await httpsPort(), servername: host, ca: certificate() }, resolve);
  sent.on('timeout', () => sent.destroy(new Error('no answer within 15 s')));
  sent.on('error', reject);
  sent.end();
  const response = await promise;
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const { statusCode: status = 0, httpVersion } = response;
  return { status, proto: `HTTP/${httpVersion}`, headers: response.headers, body: Buffer.concat(chunks).toString() };
}

function certificate(): Buffer {
  return readFileSync(join(certificateDirectory, 'tls.crt'));
}

interface ChartPod {
  readonly spec: {
    readonly containers: readonly [{ readonly ports: readonly { name: string; containerPort: number }[] }];
  };
}

/** @throws when the chart offers none */
async function httpsPort(): Promise<number> {
  const pod = await get<ChartPod>('pod', controllers[0]?.pod ?? '', '-n', RELEASE);
  const port = pod.spec.containers[0].ports.find(({ name }) => name === 'https');
  if (port === undefined) throw new Error('the controller has no port named https');
  return port.containerPort;
}

function echoOf({ body }: Answer): Echo {
  return JSON.parse(body) as Echo;
}

function check(answer: Answer, { status, service, proto, fields = [], seen = {} }: Expectation): void {
  expect(answer.status, answer.body).toBe(status);
  if (proto !== undefined) expect(answer.proto).toBe(proto);
  for (const field of fields) expect(answer.headers).toHaveProperty(field);
  if (service !== undefined) expect(echoOf(answer)).toMatchObject({ service, ...seen });
}

/** Name and port of every Service that the Ingress names. */
function servicesOf({ defaultBackend, rules = [] }: IngressSpec): Map<string, { name: string; number: number }> {
  const paths = rules.flatMap(({ http }) => http.paths.map(({ backend }) => backend));
  const backends = defaultBackend === undefined ? paths : [defaultBackend, ...paths];
  return new Map(
    backends.map(({ service: { name, port } }) => [name, { name: port.name ?? 'echo', number: port.number ?? 8080 }]),
  );
}

function manifests(ns: string, { ingress, spec }: Feature): string {
  const objects: unknown[] = [];
  for (const [name, port] of servicesOf(spec)) {
    const labels = { app: name };
    const container = { name: 'echo', image: 'echo', ports: [{ containerPort: APP_PORT }] };
    const metadata = { labels, annotations: READY_WHEN_LISTENING };
    const template = { metadata, spec: { terminationGracePeriodSeconds: 1, containers: [container] } };
    objects.push(
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name, namespace: ns },
        spec: { replicas: 1, selector: { matchLabels: labels }, template },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name, namespace: ns },
        spec: { selector: labels, ports: [{ name: port.name, port: port.number, targetPort: APP_PORT }] },
      },
    );
  }
  objects.push(ingressObject(ns, ingress, spec));
  return objects.map((object) => JSON.stringify(object)).join('\n---\n');
}

function ingressObject(ns: string, name: string, spec: IngressSpec): unknown {
  // A host with a certificate is asked over plain HTTP as well, and must answer there.
  const annotations = spec.tls === undefined ? {} : { 'holdfast.dev/ssl-redirect': 'false' };
  return { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: { name, namespace: ns, annotations }, spec };
}

async function makeCertificate(ns: string, host: string, secret: string): Promise<void> {
  const [key, crt] = [join(certificateDirectory, 'tls.key'), join(certificateDirectory, 'tls.crt')];
  const subject = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const made = await run('openssl', ['req', '-x509', '-nodes', ...curve, '-keyout', key, '-out', crt, ...subject]);
  expect(made.code, made.stderr).toBe(0);
  await kubectl(['-n', ns, 'create', 'secret', 'tls', secret, `--cert=${crt}`, `--key=${key}`]);
}

async function publishedBy(ns: string, name: string): Promise<unknown> {
  const { status } = await get<{ status: { loadBalancer?: { ingress?: unknown } } }>('ingress', name, '-n', ns);
  return status.loadBalancer?.ingress;
}

/** One question for each backend of the feature, over plain HTTP. */
function probesOf({ scenarios }: Feature): Question[] {
  return scenarios.flatMap((scenario) => {
    if ('notPublished' in scenario || scenario.ask.scheme === 'https') return [];
    return 'pods' in scenario || scenario.expected.status === 200 ? [scenario.ask] : [];
  });
}

async function everyReplica(what: (address: string) => Promise<void>): Promise<void> {
  expect(controllers.length).toBeGreaterThan(1);
  await Promise.all(controllers.map(({ address }) => what(address)));
}

/** Until each replica answers the probes so: from then on every scenario is asked once and must hold. */
async function untilAnswered(feature: Feature, status: number): Promise<void> {
  await everyReplica(async (address) => {
    for (const probe of probesOf(feature)) {
      await eventually(async () => expect((await ask(address, probe)).status).toBe(status));
    }
  });
}

async function playNotPublished(ns: string, { ingress, spec }: Feature): Promise<void> {
  // Objects come in order: when a later one of our class has its status, this one could have had it.
  const { ingressClassName: _, ...later } = spec;
  const rules = later.rules?.map((rule) => ({ ...rule, host: 'later' })) ?? [];
  await apply(JSON.stringify(ingressObject(ns, 'later', { ...later, rules })));
  await eventually(async () => expect(await publishedBy(ns, 'later')).toEqual([{ ip: PUBLISHED }]));
  const probe = { method: 'GET', scheme: 'http', path: '/' } as const;
  await everyReplica(async (address) => {
    await eventually(async () => expect((await ask(address, { ...probe, host: 'later' })).status).toBe(200));
    for (const { host } of spec.rules ?? []) expect((await ask(address, { ...probe, host })).status).toBe(404);
  });
  expect(await publishedBy(ns, ingress)).toBeUndefined();
}

/** Each replica answers every request, and comes to use all pods; the slices come a moment after the pods. */
async function playScaled(ns: string, pods: Pods, { spec }: Feature, scenario: ScaledScenario): Promise<void> {
  for (const name of servicesOf(spec).keys()) {
    await kubectl(['-n', ns, 'scale', `deployment/${name}`, `--replicas=${scenario.pods}`]);
  }
  await eventually(() => expect(pods.running).toHaveLength(scenario.pods));
  await everyReplica(async (address) => {
    const statuses = new Set<number>();
    await eventually(async () => {
      const reached = new Set<string | undefined>();
      for (let n = 0; n < scenario.requests; n++) {
        const answer = await ask(address, scenario.ask);
        statuses.add(answer.status);
        if (answer.status === 200) reached.add(echoOf(answer).address);
      }
      expect(reached.size).toBe(scenario.pods);
    });
    expect(statuses).toEqual(new Set([200]));
  });
}

async function play(ns: string, pods: Pods, feature: Feature, scenario: Scenario): Promise<void> {
  if ('notPublished' in scenario) {
    await playNotPublished(ns, feature);
    return;
  }
  expect(await publishedBy(ns, feature.ingress)).toEqual([{ ip: PUBLISHED }]);
  if ('pods' in scenario) await playScaled(ns, pods, feature, scenario);
  else await everyReplica(async (address) => check(await ask(address, scenario.ask), scenario.expected));
}

test('all 30 scenarios are here', () => {
  const ids = FEATURES.flatMap(({ scenarios }) => scenarios.map(({ id }) => id));
  expect(FEATURES.map(({ name, scenarios }) => [name, scenarios.length])).toEqual([
    ['default_backend', 6],
    ['host_rules', 6],
    ['ingress_class', 1],
    ['load_balancing', 1],
    ['path_rules', 16],
  ]);
  expect(new Set(ids).size).toBe(30);
});

describe.each(FEATURES.map((feature) => [feature.name, feature] as const))('%s', (_, feature) => {
  const ns = `conformance-${feature.name.replace('_', '-')}`;
  let pods: Pods;

  beforeAll(async () => {
    await namespace(ns);
    pods = await Pods.serve(ns, echo);
    for (const { secretName } of feature.spec.tls ?? []) {
      await makeCertificate(ns, feature.certificateFor ?? '', secretName);
    }
    await apply(manifests(ns, feature));
    for (const name of servicesOf(feature.spec).keys()) {
      await kubectl(['-n', ns, 'rollout', 'status', `deployment/${name}`, '--timeout=60s']);
    }
    const published = feature.scenarios.every((scenario) => !('notPublished' in scenario));
    if (published) {
      await eventually(async () => expect(await publishedBy(ns, feature.ingress)).toEqual([{ ip: PUBLISHED }]));
    }
    await untilAnswered(feature, 200);
  });

  // A default backend takes what another feature says nobody may take.
  afterAll(async () => {
    await kubectl(['-n', ns, 'delete', 'ingress', '--all']);
    await untilAnswered(feature, 404);
    await kubectl(['delete', 'namespace', ns, '--wait=false']);
    pods?.close();
  });

  for (const scenario of feature.scenarios) {
    const { id, title } = scenario;
    test(`${id}: ${title}`, async () => {
      await play(ns, pods, feature, scenario);
      played.push(id);
    });
  }
});
