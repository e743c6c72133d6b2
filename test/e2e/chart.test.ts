/** The chart in the hands of the real helm and the real API server. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { apply, CHART, established, eventually, get, helm, kubectl, namespace, ROOT, run } from './support/kube.ts';

const PRESETS = readdirSync(join(CHART, 'ci')).map((file) => file.replace('-values.yaml', ''));
const valuesOf = (preset: string): string => join(CHART, 'ci', `${preset}-values.yaml`);
const ACCOUNT = '--as=system:serviceaccount:holdfast:holdfast';

/** Objects of the Prometheus operator are accepted as they are: its CRDs are not ours to test. */
function operatorCrd(kind: string, plural: string): string {
  return JSON.stringify({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.monitoring.coreos.com` },
    spec: {
      group: 'monitoring.coreos.com',
      scope: 'Namespaced',
      names: { kind, plural, singular: kind.toLowerCase() },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  });
}

beforeAll(async () => {
  for (const name of ['holdfast', 'shop', 'api']) await namespace(name);
  await apply(
    `${operatorCrd('ServiceMonitor', 'servicemonitors')}\n---\n${operatorCrd('PrometheusRule', 'prometheusrules')}`,
  );
  await established('servicemonitors.monitoring.coreos.com', 'prometheusrules.monitoring.coreos.com');
});

describe.each(PRESETS)('preset %s', (preset) => {
  test('lints', async () => {
    expect(await helm(['lint', '--strict', CHART, '-f', valuesOf(preset)])).toContain('0 chart(s) failed');
  });

  test('renders objects that the API server takes', async () => {
    const rendered = await helm(['template', 'holdfast', CHART, '-n', 'holdfast', '-f', valuesOf(preset)]);
    const kinds = parseAllDocuments(rendered).map((document) => (document.toJS() as { kind?: string } | null)?.kind);
    expect(kinds).toContain(preset === 'daemonset' ? 'DaemonSet' : 'Deployment');
    const dryRun = ['apply', '--server-side', '--dry-run=server', '--validate=strict', '-f', '-'];
    const said = await kubectl(dryRun, rendered);
    expect(said.trim().split('\n')).toHaveLength(kinds.filter((kind) => kind !== undefined).length);
  });
});

test('what is asked for reaches the program; a variable of the user takes the place of ours', async () => {
  const rendered = await helm(['template', 'holdfast', CHART, '-n', 'holdfast', '-f', valuesOf('full')]);
  expect(rendered).toContain('- --remove-status-on-shutdown\n');
  expect(rendered.match(/name: NODE_OPTIONS\n +value: .*/g)?.map((text) => text.split('value: ')[1])).toEqual([
    '--max-old-space-size=900',
  ]);
  const plain = await helm(['template', 'holdfast', CHART, '-n', 'holdfast', '-f', valuesOf('default')]);
  expect(plain).not.toContain('--remove-status-on-shutdown');
  expect(plain.match(/name: NODE_OPTIONS\n +value: .*/g)).toHaveLength(1);
});

test('with namespaces given, nothing cluster-wide is made', async () => {
  const rendered = await helm(['template', 'holdfast', CHART, '-n', 'holdfast', '-f', valuesOf('namespaced')]);
  expect(rendered).not.toMatch(/^kind: (Cluster|IngressClass|CustomResourceDefinition)/m);
});

test('manifests/holdfast.yaml is the rendered chart, and the API server takes it', async () => {
  const checked = await run('node', ['scripts/render-manifests.ts', '--check', '--require-helm']);
  expect(checked).toEqual({ code: 0, stdout: '', stderr: '' });
  const file = join(ROOT, 'manifests/holdfast.yaml');
  await kubectl(['apply', '--server-side', '--dry-run=server', '--validate=strict', '-f', file]);
  const crd = readFileSync(join(ROOT, 'manifests/crds/holdfast.dev_stickypolicies.yaml'), 'utf8');
  expect(readFileSync(file, 'utf8')).toContain(crd.slice(crd.indexOf('\nspec:\n')));
});

test.each([
  ['replicas=two', /'\/replicas': got string, want integer/],
  ['replicaCount=3', /additional properties 'replicaCount' not allowed/],
  ['kind=Pod', /'\/kind': value must be one of 'Deployment', 'DaemonSet'/],
  ['workers=0', /'\/workers': minimum: got 0, want 1/],
  ['service.type=External', /'\/service\/type': value must be one of 'LoadBalancer', 'NodePort', 'ClusterIP'/],
  ['accessLog=on', /'\/accessLog': value must be one of 'off', 'sampled', 'full'/],
  ['kind=DaemonSet,autoscaling.enabled=true', /a DaemonSet has one pod on every node and cannot be scaled/],
  ['watchNamespaces={a_b}', /watchNamespaces: "a_b" is no name of a namespace/],
  ['controllerName=holdfast', /controllerName: "holdfast" has no domain; write one such as/],
  ['defaultBackend=web', /defaultBackend: "web" is not NAMESPACE\/NAME:PORT, such as/],
  ['proxyProtocol=true', /proxyProtocol: only trusted proxies may send the header; set trustedProxies to/],
  ['rbac.secretNames={shop/tls}', /rbac\.secretNames: "shop\/tls" is no name of a Secret; write the name alone/],
  ['rbac.secretNames=tls', /'\/rbac\/secretNames': got string, want array/],
  ['hostPort.http=80', /two pods on one node cannot have the same port; set kind: DaemonSet/],
])('%s is refused with a sentence', async (values, says) => {
  const { code, stderr } = await run('helm', ['template', 'holdfast', CHART, '--set', values]);
  expect(code).not.toBe(0);
  expect(stderr).toMatch(says);
});

describe('installed', () => {
  const POLICY =
    '{apiVersion: holdfast.dev/v1alpha1, kind: StickyPolicy, metadata: {name: kept, namespace: shop}, spec: {}}';

  const mayI = async (...what: string[]): Promise<string> =>
    (await run('kubectl', ['auth', 'can-i', ...what, ACCOUNT])).stdout.trim();

  beforeAll(async () => {
    // Another file's installation may have left its keys, as it should.
    await kubectl(['-n', 'holdfast', 'delete', 'secret', 'holdfast-session-keys', '--ignore-not-found']);
    await helm(['install', 'holdfast', CHART, '-n', 'holdfast']);
    await established('stickypolicies.holdfast.dev');
  });

  afterAll(async () => {
    await run('helm', ['uninstall', 'holdfast', '-n', 'holdfast', '--ignore-not-found']);
  });

  test.each([
    ['yes', 'list', 'ingresses.networking.k8s.io', '-A'],
    ['yes', 'watch', 'stickypolicies.holdfast.dev', '-A'],
    ['yes', 'patch', 'ingresses.networking.k8s.io', '--subresource=status', '-n', 'shop'],
    ['yes', 'patch', 'stickypolicies.holdfast.dev', '--subresource=status', '-n', 'shop'],
    ['yes', 'update', 'secrets/holdfast-session-keys', '-n', 'holdfast'],
    ['yes', 'update', 'leases.coordination.k8s.io/holdfast-leader', '-n', 'holdfast'],
    ['no', 'get', 'secrets/any', '-n', 'holdfast'],
    ['no', 'create', 'secrets', '-n', 'holdfast'],
    ['no', 'get', 'secrets/other', '-n', 'holdfast'],
    // Certificates; without rbac.secretNames a right to list cannot be limited.
    ['yes', 'list', 'secrets', '-n', 'shop'],
    ['no', 'get', 'secrets', '-n', 'shop'],
    ['no', 'update', 'ingresses.networking.k8s.io', '-n', 'shop'],
    ['no', 'patch', 'ingresses.networking.k8s.io', '-n', 'shop'],
    ['no', 'delete', 'stickypolicies.holdfast.dev', '-n', 'shop'],
    ['no', 'patch', 'pods', '-n', 'shop'],
    ['no', 'get', 'configmaps', '-n', 'shop'],
    ['no', 'list', 'nodes'],
  ])('%s: may it %s %s', async (answer, ...what) => {
    expect(await mayI(...what)).toBe(answer);
  });

  test('upgrade keeps the keys, uninstall keeps keys, CRD and policies, and a new installation takes them up', async () => {
    const keys = async (): Promise<unknown> =>
      (await get<{ data?: unknown }>('secret', 'holdfast-session-keys', '-n', 'holdfast')).data;
    expect(await keys()).toBeUndefined();
    const data = { 'keys.json': Buffer.from('[]').toString('base64') };
    const patch = JSON.stringify({ data });
    await kubectl(['-n', 'holdfast', 'patch', 'secret', 'holdfast-session-keys', '--type=merge', '-p', patch]);
    await apply(POLICY);

    await helm(['upgrade', 'holdfast', CHART, '-n', 'holdfast', '--set', 'replicas=3']);
    expect((await get<{ spec: { replicas: number } }>('deployment', 'holdfast', '-n', 'holdfast')).spec.replicas).toBe(
      3,
    );
    expect(await keys()).toEqual(data);

    await helm(['uninstall', 'holdfast', '-n', 'holdfast']);
    await eventually(async () => {
      expect((await run('kubectl', ['-n', 'holdfast', 'get', 'deployment', 'holdfast'])).code).not.toBe(0);
    });
    expect(await keys()).toEqual(data);
    await kubectl(['-n', 'shop', 'get', 'stickypolicy', 'kept']);

    await helm(['install', 'holdfast', CHART, '-n', 'holdfast']);
    expect(await keys()).toEqual(data);
    await kubectl(['-n', 'shop', 'delete', 'stickypolicy', 'kept']);
    await kubectl([
      '-n',
      'holdfast',
      'patch',
      'secret',
      'holdfast-session-keys',
      '--type=json',
      '-p',
      '[{"op":"remove","path":"/data"}]',
    ]);
  });
});
