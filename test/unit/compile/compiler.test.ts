/** Compiling change by change: the same comes out as from compiling the whole, and what a change does not touch stays the same object. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { project } from '../../../src/api/project.ts';
import { compile, type Compiled, type CompileOptions } from '../../../src/compile/compile.ts';
import { Compiler } from '../../../src/compile/compiler.ts';
import { withFormerNames } from '../../../src/compile/former-names.ts';
import type { Resource } from '../../../src/model/resources.ts';
import type { Table } from '../../../src/model/table.ts';
import { Objects } from '../../../src/store/objects.ts';

const OPTIONS: CompileOptions = {
  controllerName: 'holdfast.dev/ingress-controller',
  ingressClass: 'holdfast',
  watchIngressWithoutClass: false,
  watchNamespaces: [],
  defaultBackend: { namespace: 'a', service: 's0', port: 80 },
  httpsPort: 8443,
  defaultTlsSecret: { namespace: 'a', name: 't0' },
  inCluster: true,
  podMetadata: true,
};

/** Compiles by change and as a whole, and compares. */
class Both {
  readonly objects = new Objects();
  readonly #options: CompileOptions;
  readonly #compiler: Compiler;
  #table: Table | undefined;

  constructor(options: CompileOptions) {
    this.#options = options;
    this.#compiler = new Compiler(options);
  }

  update(): Compiled {
    const snapshot = this.objects.snapshot();
    const whole = compile(snapshot, this.#options);
    this.#table = withFormerNames(whole.table, this.#table);
    const compiled = this.#compiler.update(snapshot);
    const { hosts, policies, affinities, pools, tlsHosts, certificates, upstreamTls, clientAuthorities, ...rest } =
      compiled.table;
    const maps = { hosts, policies, affinities, pools, tlsHosts, certificates, upstreamTls, clientAuthorities };
    const entries = Object.entries<ReadonlyMap<string, unknown>>(maps).map(([name, map]) => [name, new Map(map)]);
    expect({ ...rest, ...Object.fromEntries(entries) }).toEqual(this.#table);
    expect(compiled.problems).toEqual(whole.problems);
    const { status } = compiled;
    expect({ ingresses: new Map(status.ingresses), policies: new Map(status.policies) }).toEqual(whole.status);
    return compiled;
  }
}

function resource(raw: unknown): Resource {
  const projected = project(raw);
  if (projected?.resource === undefined || 'refused' in projected.resource)
    throw new Error(JSON.stringify(projected?.problems));
  return projected.resource;
}

const namespaces = fc.constantFrom('a', 'b');
const services = fc.constantFrom('s0', 's1', 's2');
const hosts = fc.constantFrom('', 'x.shop.example', 'y.shop.example', '*.shop.example', 'X.shop.example.', '10.0.0.1');
const domains = fc.constantFrom('shop.example', '.Shop.Example', 'x.shop.example');
const names = fc.nat({ max: 3 });

const metadata = (name: string, annotations: fc.Arbitrary<Record<string, string>> = fc.constant({})) =>
  fc.record({
    namespace: namespaces,
    name: names.map((i) => `${name}${i}`),
    creationTimestamp: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
    annotations,
  });

const backend = fc.record({ name: services, port: fc.constantFrom({ number: 80 }, { name: 'http' }) });

const ingressAnnotations = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  names.map((i) => ({ 'holdfast.dev/sticky-policy': `p${i}` })),
  fc.constant({ 'nginx.ingress.kubernetes.io/canary': 'true', 'nginx.ingress.kubernetes.io/canary-weight': '10' }),
  fc.constant({ 'holdfast.dev/affinity': 'cookie', 'holdfast.dev/cookie-name': 'SID' }),
  fc
    .constantFrom('a/t0', 't1', 'b/t1')
    .map((secret) => ({ 'holdfast.dev/backend-protocol': 'HTTPS', 'holdfast.dev/backend-tls-secret': secret })),
  fc.constantFrom('t0', 'a/t1').map((secret) => ({ 'holdfast.dev/auth-tls-secret': secret })),
  domains.map((domain) => ({
    'holdfast.dev/affinity': 'cookie',
    'holdfast.dev/cookie-name': 'SID',
    'holdfast.dev/cookie-domain': domain,
  })),
);

const ingresses = fc
  .record({
    metadata: metadata('i', ingressAnnotations),
    rules: fc.array(
      fc.record({
        host: hosts,
        paths: fc.array(fc.record({ path: fc.constantFrom('/', '/a'), backend }), { minLength: 1, maxLength: 2 }),
      }),
      { maxLength: 2 },
    ),
    fallback: fc.option(backend, { nil: undefined }),
    tls: fc.array(
      fc.record({
        hosts: fc.array(
          hosts.filter((host) => host !== ''),
          { maxLength: 2 },
        ),
        secretName: fc.constantFrom('', 't0', 't1'),
      }),
      { maxLength: 2 },
    ),
    ingressClassName: fc.constantFrom('holdfast', 'holdfast', 'holdfast', 'other'),
  })
  .map(({ rules, fallback, tls, ingressClassName, ...rest }) =>
    resource({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      ...rest,
      spec: {
        ingressClassName,
        tls,
        ...(fallback === undefined ? {} : { defaultBackend: { service: fallback } }),
        rules: rules.map(({ host, paths }) => ({
          ...(host === '' ? {} : { host }),
          http: {
            paths: paths.map((path) => ({ path: path.path, pathType: 'Prefix', backend: { service: path.backend } })),
          },
        })),
      },
    }),
  );

const serviceObjects = fc
  .record({
    metadata: fc.record({ namespace: namespaces, name: services }),
    port: fc.constantFrom(80, 81),
    sessionAffinity: fc.constantFrom('None', 'None', 'ClientIP'),
    publishNotReadyAddresses: fc.constantFrom(false, false, true),
  })
  .map(({ metadata: meta, port, ...spec }) =>
    resource({ apiVersion: 'v1', kind: 'Service', metadata: meta, spec: { ports: [{ name: 'http', port }], ...spec } }),
  );

const target = fc.oneof(
  services.map((name) => ({ group: '', kind: 'Service', name })),
  fc
    .record({ name: services, sectionName: fc.constantFrom('http', '80') })
    .map((ref) => ({ group: '', kind: 'Service', ...ref })),
  names.map((i) => ({ group: 'networking.k8s.io', kind: 'Ingress', name: `i${i}` })),
  fc.constant({ group: 'networking.k8s.io', kind: 'Ingress', name: 'i0', sectionName: 'x.shop.example' }),
);

const policies = fc
  .record({
    metadata: metadata('p'),
    targetRefs: fc.uniqueArray(target, { maxLength: 2, selector: (ref) => JSON.stringify(ref) }),
    group: fc.option(fc.constantFrom('g', 'h'), { nil: undefined }),
    cookie: fc.record({
      name: fc.constantFrom('SID', 'OTHER'),
      domains: fc.constantFrom([], ['shop.example'], ['x.shop.example']),
    }),
    backends: fc.option(
      fc
        .uniqueArray(services, { minLength: 1, maxLength: 2 })
        .map((all) => all.map((name) => ({ service: { name, port: { number: 80 } } }))),
      { nil: undefined, freq: 2 },
    ),
    refused: fc.constantFrom(false, false, false, true),
  })
  .map(({ metadata: meta, targetRefs, group, cookie, backends, refused }): Resource => {
    const { domains: own, name } = cookie;
    const accepted = resource({
      apiVersion: 'holdfast.dev/v1alpha1',
      kind: 'StickyPolicy',
      metadata: meta,
      spec: {
        ...(targetRefs.length === 0 ? {} : { targetRefs }),
        ...(group === undefined ? {} : { session: { group } }),
        rules: [{ name: 'r', backends, cookie: { name, ...(own.length === 0 ? {} : { domains: own }) } }],
      },
    });
    return refused ? { kind: 'StickyPolicy', meta: accepted.meta, refused: true, targetRefs } : accepted;
  });

const classes = fc.constantFrom(true, false).map((ours) =>
  resource({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IngressClass',
    metadata: { name: 'other' },
    spec: { controller: ours ? OPTIONS.controllerName : 'else/where' },
  }),
);

const secrets = fc
  .record({ namespace: namespaces, name: fc.constantFrom('t0', 't1'), chain: fc.constantFrom('', 'first', 'second') })
  .map(({ namespace, name, chain }): Resource => {
    const { meta } = resource({ apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name } });
    const keyType = chain === 'first' ? 'RSA' : 'ECDSA';
    const certificate = chain === '' ? undefined : ({ chain, key: chain, keyType, expires: 0 } as const);
    const type = chain === '' ? 'Opaque' : 'kubernetes.io/tls';
    return { kind: 'Secret', meta, type, certificate, authorities: chain === '' ? undefined : chain, revocations: [] };
  });

const objects = fc.oneof(
  { weight: 2, arbitrary: secrets },
  { weight: 4, arbitrary: ingresses },
  { weight: 3, arbitrary: policies },
  { weight: 3, arbitrary: serviceObjects },
  { weight: 1, arbitrary: classes },
);
const steps = fc.array(
  fc.array(fc.record({ object: objects, gone: fc.constantFrom(false, false, true) }), { minLength: 1, maxLength: 3 }),
  { minLength: 5, maxLength: 25 },
);

test('any series of changes: change by change = the whole', () => {
  fc.assert(
    fc.property(steps, fc.boolean(), (series, flagged) => {
      const both = new Both(flagged ? OPTIONS : { ...OPTIONS, defaultBackend: undefined });
      for (const batch of series) {
        for (const { object, gone } of batch) {
          if (gone) both.objects.delete({ kind: object.kind, ...object.meta });
          else both.objects.apply(object);
        }
        both.update();
      }
    }),
    { numRuns: 400 },
  );
});

/** Ingresses with a host and a Service each, tied together by their policies alone. */
const apart = fc.oneof(
  fc
    .record({
      i: names,
      to: names,
      group: fc.constantFrom(undefined, 'g'),
      name: fc.constantFrom('SID', 'OTHER'),
      domains: fc.constantFrom([], ['shop.example']),
    })
    .map(({ i, to, group, name, domains: own }) =>
      resource({
        apiVersion: 'holdfast.dev/v1alpha1',
        kind: 'StickyPolicy',
        metadata: { namespace: 'a', name: `p${i}` },
        spec: {
          targetRefs: [{ group: 'networking.k8s.io', kind: 'Ingress', name: `i${to}` }],
          ...(group === undefined ? {} : { session: { group } }),
          rules: [{ name: 'r', cookie: { name, ...(own.length === 0 ? {} : { domains: own }) } }],
        },
      }),
    ),
  fc
    .record({ i: names, annotations: ingressAnnotations })
    .map(({ i, annotations }) => ingressOf(`i${i}`, `h${i}.shop.example`, `s${i}`, annotations)),
);

test('any series of policies that have but a group or a Domain in common: change by change = the whole', () => {
  fc.assert(
    fc.property(fc.array(apart, { minLength: 2, maxLength: 15 }), (series) => {
      const both = world(4);
      for (const object of series) {
        both.objects.apply(object);
        both.update();
      }
    }),
    { numRuns: 300 },
  );
});

describe('golden inputs, object by object and back', () => {
  const folder = join(import.meta.dirname, '../../golden');
  it.each(readdirSync(folder).filter((file) => file.endsWith('.in.yaml')))('%s', (file) => {
    let options: CompileOptions = { ...OPTIONS, defaultBackend: undefined };
    const given: Resource[] = [];
    for (const document of parseAllDocuments(readFileSync(join(folder, file), 'utf8'))) {
      const raw = document.toJS() as Record<string, unknown> | null;
      if (raw?.['kind'] === 'Options') options = { ...options, ...(raw['options'] as Partial<CompileOptions>) };
      const projected = raw === null ? undefined : project(raw)?.resource;
      if (projected !== undefined) given.push(projected);
    }
    const both = new Both(options);
    for (const object of given) {
      both.objects.apply(object);
      both.update();
    }
    for (const { kind, meta } of given) {
      both.objects.delete({ kind, ...meta });
      both.update();
    }
  });
});

function world(count: number): Both {
  const both = new Both({ ...OPTIONS, defaultBackend: undefined });
  for (let i = 0; i < count; i++) {
    both.objects.apply(serviceOf(`s${i}`));
    both.objects.apply(ingressOf(`i${i}`, `h${i}.shop.example`, `s${i}`));
  }
  return both;
}

function serviceOf(name: string, labels: Record<string, string> = {}): Resource {
  const meta = { namespace: 'a', name, labels };
  return resource({ apiVersion: 'v1', kind: 'Service', metadata: meta, spec: { ports: [{ name: 'http', port: 80 }] } });
}

function ingressOf(name: string, host: string, service: string, annotations: Record<string, string> = {}): Resource {
  const path = { path: '/', pathType: 'Prefix', backend: { service: { name: service, port: { number: 80 } } } };
  return resource({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { namespace: 'a', name, annotations },
    spec: { ingressClassName: 'holdfast', rules: [{ host, http: { paths: [path] } }] },
  });
}

test('hosts that a change does not touch, or that come out as they were, stay the same objects', () => {
  const both = world(3);
  const before = new Map(both.update().table.hosts);
  both.objects.apply(ingressOf('i1', 'h1.shop.example', 's2'));
  both.objects.apply(serviceOf('s0', { team: 'blue' }));
  const { hosts: after } = both.update().table;
  expect(after.get('h0.shop.example')).toBe(before.get('h0.shop.example'));
  expect(after.get('h1.shop.example')).not.toBe(before.get('h1.shop.example'));
  expect(after.get('h2.shop.example')).toBe(before.get('h2.shop.example'));
});

test('Ingresses that share nothing but a Service are not compiled for each other, unless a policy joins them', () => {
  const store = new Objects();
  store.apply(serviceOf('s'));
  for (let i = 0; i < 50; i++) store.apply(ingressOf(`i${i}`, `h${i}.shop.example`, 's'));
  const compiler = new Compiler({ ...OPTIONS, defaultBackend: undefined });
  const before = [...compiler.update(store.snapshot()).table.hosts.values()];
  const reads = { services: 0 };
  store.apply(ingressOf('i50', 'h50.shop.example', 's'));
  const snapshot = store.snapshot();
  const counting = new Proxy(snapshot.services as Map<string, never>, {
    get: (target_, key) => {
      if (key === 'get') reads.services++;
      const value = Reflect.get(target_, key) as unknown;
      return typeof value === 'function' ? (value.bind(target_) as unknown) : value;
    },
  });
  const after = new Set(compiler.update({ ...snapshot, services: counting }).table.hosts.values());
  expect(before.every((host) => after.has(host))).toBe(true);
  expect(reads.services).toBeLessThan(20);
});
