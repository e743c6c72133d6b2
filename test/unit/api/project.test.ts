/** Projection: raw objects to the model, loose about what is not used, exact about what is. */
import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { project, type Projection } from '../../../src/api/project.ts';
import { selfSigned } from '../../../src/control/self-signed.ts';
import type { Resource, ResourceKind } from '../../../src/model/resources.ts';
import { RESOURCE_KINDS } from '../../../src/model/resources.ts';
import { authority } from '../../support/authority.ts';

function read(yaml: string): Projection {
  const projection = project(parse(yaml));
  if (projection === undefined) throw new Error('the kind is not watched');
  return projection;
}

function resource<K extends ResourceKind>(yaml: string, kind: K): Extract<Resource, { kind: K }> {
  const projection = read(yaml);
  expect(projection.problems).toEqual([]);
  if (projection.resource?.kind !== kind) throw new Error(`no ${kind}`);
  return projection.resource as Extract<Resource, { kind: K }>;
}

const fieldsOf = (projection: Projection): string[] => projection.problems.map(({ field }) => field);

const VERSIONS: Readonly<Record<ResourceKind, string>> = {
  Ingress: 'networking.k8s.io/v1',
  IngressClass: 'networking.k8s.io/v1',
  Service: 'v1',
  EndpointSlice: 'discovery.k8s.io/v1',
  Secret: 'v1',
  StickyPolicy: 'holdfast.dev/v1alpha1',
};

const head = (kind: ResourceKind): string => `apiVersion: ${VERSIONS[kind]}\nkind: ${kind}\nmetadata: {name: shop}\n`;

describe('kinds', () => {
  test.each(['Deployment', 'ConfigMap', 'List', 'constructor', '__proto__'])(
    '%s is not watched and no problem',
    (kind) => {
      expect(project({ apiVersion: 'v1', kind, metadata: { name: 'a' } })).toBeUndefined();
    },
  );

  test('a namesake of another group is not ours to judge', () => {
    expect(project({ apiVersion: 'serving.knative.dev/v1', kind: 'Service', metadata: { name: 'a' } })).toBeUndefined();
  });

  test.each([
    ['Ingress', 'extensions/v1beta1', 'networking.k8s.io/v1'],
    ['Ingress', 'networking.k8s.io/v1beta1', 'networking.k8s.io/v1'],
    ['EndpointSlice', 'discovery.k8s.io/v1beta1', 'discovery.k8s.io/v1'],
    ['StickyPolicy', 'holdfast.dev/v1', 'holdfast.dev/v1alpha1'],
    ['Service', undefined, 'v1'],
  ])('%s in version %s says which version to write', (kind, apiVersion, wanted) => {
    const projection = project({ apiVersion, kind, metadata: { name: 'a', namespace: 'b' } });
    expect(projection?.resource).toBeUndefined();
    expect(projection?.ref).toEqual({ kind, namespace: 'b', name: 'a' });
    expect(projection?.problems).toMatchObject([{ field: 'apiVersion', severity: 'error' }]);
    expect(projection?.problems[0]?.message).toContain(`${wanted}\` for ${/^[IE]/.test(kind) ? 'an' : 'a'} ${kind}`);
  });

  test.each([undefined, null, 3, 'text', [], {}, { kind: 3 }, { kind: '' }])('%j is refused as no object', (raw) => {
    expect(project(raw)).toMatchObject({ resource: undefined, problems: [{ severity: 'error' }] });
  });

  test('nothing that JSON can say makes it throw', () => {
    const kind = fc.constantFrom(...RESOURCE_KINDS);
    fc.assert(
      fc.property(
        kind,
        fc.jsonValue(),
        fc.jsonValue(),
        fc.dictionary(fc.string(), fc.jsonValue()),
        (name, a, b, more) => {
          const objects = [
            {
              apiVersion: VERSIONS[name],
              kind: name,
              metadata: { name: 'x' },
              spec: a,
              data: b,
              endpoints: b,
              ports: a,
              addressType: 'IPv4',
            },
            { apiVersion: VERSIONS[name], kind: name, metadata: a, ...more },
            {
              apiVersion: VERSIONS[name],
              kind: name,
              metadata: { name: 'x', annotations: a },
              spec: { rules: [{ http: { paths: [a, b] } }], ports: b },
            },
          ];
          for (const raw of objects) expect(project(raw)?.problems).toBeDefined();
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('metadata', () => {
  test('is taken over, with the default namespace and the place in its file', () => {
    const raw = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        name: 'a',
        uid: 'u',
        generation: 3,
        creationTimestamp: '2026-01-02T03:04:05Z',
        annotations: { x: 'y' },
        labels: { l: 'm' },
      },
      spec: { ports: [] },
    };
    const location = { file: 'a.yaml', line: 7 };
    expect(project(raw, location)?.resource?.meta).toEqual({
      namespace: 'default',
      name: 'a',
      uid: 'u',
      generation: 3,
      creationTimestamp: Date.UTC(2026, 0, 2, 3, 4, 5),
      annotations: { x: 'y' },
      labels: { l: 'm' },
      location,
    });
    expect(project({ ...raw, metadata: {} }, location)?.problems).toMatchObject([{ field: 'metadata.name', location }]);
  });

  test('an annotation that is no text is reported and kept as text, so that a restriction never falls away', () => {
    const projection = read(
      `${head('Service')}spec: {}`.replace('name: shop', 'name: shop, annotations: {a/limit-rps: 5, b: true, c: [1]}'),
    );
    expect(fieldsOf(projection)).toEqual([
      'metadata.annotations[a/limit-rps]',
      'metadata.annotations.b',
      'metadata.annotations.c',
    ]);
    expect(projection.resource?.meta.annotations).toEqual({ 'a/limit-rps': '5', b: 'true', c: '' });
  });

  test.each([
    ['{name: A}', 'metadata.name'],
    ['{name: a/b}', 'metadata.name'],
    ['{name: 3}', 'metadata.name'],
    ['{}', 'metadata.name'],
    ['{name: a, namespace: B}', 'metadata.namespace'],
    ['[]', 'metadata'],
  ])('%s is refused at %s', (metadata, field) => {
    const projection = read(`apiVersion: v1\nkind: Secret\nmetadata: ${metadata}`);
    expect(projection.resource).toBeUndefined();
    expect(fieldsOf(projection)).toEqual([field]);
  });

  test('a bad time is reported and the object is used', () => {
    const projection = read('apiVersion: v1\nkind: Secret\nmetadata: {name: a, creationTimestamp: yesterday}');
    expect(fieldsOf(projection)).toEqual(['metadata.creationTimestamp']);
    expect(projection.resource?.meta.creationTimestamp).toBeUndefined();
  });
});

describe('Ingress', () => {
  test('is read with its rules, backends, class and certificates', () => {
    const ingress = resource(
      `${head('Ingress')}
spec:
  ingressClassName: holdfast
  unknownField: {a: b}
  defaultBackend: {service: {name: rest, port: {name: http}}}
  tls: [{hosts: [a.example], secretName: cert}]
  rules:
  - host: A.example
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}
      - {pathType: ImplementationSpecific, backend: {service: {name: shop, port: {number: 80}}}}
  - host: b.example`,
      'Ingress',
    );
    expect(ingress).toMatchObject({
      className: 'holdfast',
      hasDefaultBackend: true,
      hasRules: true,
      defaultBackend: { service: 'rest', port: 'http' },
      tls: [{ hosts: ['a.example'], secretName: 'cert' }],
      rules: [
        {
          host: 'A.example',
          paths: [
            { path: '/', pathType: 'Prefix', backend: { service: 'shop', port: 80 } },
            { path: '/', pathType: 'ImplementationSpecific', backend: { service: 'shop', port: 80 } },
          ],
        },
        { host: 'b.example', paths: [] },
      ],
    });
  });

  test('one bad path leaves the others; a bad backend leaves its path, without a Service', () => {
    const projection = read(`${head('Ingress')}
spec:
  rules:
  - http:
      paths:
      - {path: a, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}
      - {path: /b, pathType: Prefixed, backend: {service: {name: a, port: {number: 80}}}}
      - {path: /c, backend: {service: {name: a, port: {number: 80}}}}
      - {path: /d, pathType: Exact}
      - 7
      - {path: /e, pathType: Exact, backend: {resource: {kind: StorageBucket, name: x}}}
      - {path: /f, pathType: Exact, backend: {service: {name: a, port: {number: 70000}}}}
      - {path: /g, pathType: Exact, backend: {service: {name: a, port: {number: 80, name: http}}}}
      - {path: /h, pathType: Exact, backend: {service: {name: a}}}
      - {path: /i, pathType: Exact, backend: {service: {port: {number: 1}}}}
      - {path: /j, pathType: Exact, backend: {service: {name: a, port: {}}}}
      - {path: /ok, pathType: Exact, backend: {service: {name: a, port: {number: 80}}}}`);
    const at = 'spec.rules[0].http.paths';
    expect(fieldsOf(projection).toSorted()).toEqual(
      [
        `${at}[4]`,
        `${at}[0].path`,
        `${at}[1].pathType`,
        `${at}[2].pathType`,
        `${at}[3].backend`,
        `${at}[5].backend.resource`,
        `${at}[6].backend.service.port.number`,
        `${at}[7].backend.service.port`,
        `${at}[8].backend.service.port`,
        `${at}[9].backend.service.name`,
        `${at}[10].backend.service.port`,
      ].toSorted(),
    );
    if (projection.resource?.kind !== 'Ingress') throw new Error('no Ingress');
    const paths = projection.resource.rules[0]?.paths.map(({ path, backend }) => [path, backend?.service]);
    expect(projection.resource.rules[0]?.paths.map(({ index }) => index)).toEqual([5, 6, 7, 8, 9, 10, 11]);
    expect(paths).toEqual([...['/e', '/f', '/g', '/h', '/i', '/j'].map((path) => [path, undefined]), ['/ok', 'a']]);
  });

  test('a rule whose host is no text is left out, instead of catching every host', () => {
    const projection = read(`${head('Ingress')}spec: {rules: [{host: 3, http: {paths: []}}, {host: a.example}]}`);
    expect(fieldsOf(projection)).toEqual(['spec.rules[0].host']);
    expect(projection.resource).toMatchObject({ rules: [{ host: 'a.example', index: 1 }] });
  });

  test('without a spec it is refused', () => {
    expect(read(head('Ingress'))).toMatchObject({ resource: undefined, problems: [{ field: 'spec' }] });
  });
});

test('IngressClass: cluster-scoped, with its default mark', () => {
  const yaml = `apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: a, namespace: ignored, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}
spec: {controller: holdfast.dev/ingress-controller}`;
  const found = resource(yaml, 'IngressClass');
  expect(found).toMatchObject({
    controller: 'holdfast.dev/ingress-controller',
    isDefault: true,
    meta: { namespace: '' },
  });
});

describe('Service', () => {
  test('is read with what is used and defaults for the rest', () => {
    const yaml = `${head('Service')}spec: {ipFamilies: [IPv6, IPv4], publishNotReadyAddresses: true, ports: [{port: 80, name: http, appProtocol: ws}, {port: 53, protocol: UDP}]}`;
    expect(resource(yaml, 'Service')).toMatchObject({
      type: 'ClusterIP',
      publishNotReadyAddresses: true,
      ipFamilies: ['IPv6', 'IPv4'],
      ports: [
        { port: 80, name: 'http', protocol: 'TCP', appProtocol: 'ws' },
        { port: 53, name: '', protocol: 'UDP', appProtocol: undefined },
      ],
    });
  });

  test('a bad port leaves the others', () => {
    const projection = read(`${head('Service')}spec: {ports: [{port: "80"}, {}, {port: 0}, {port: 81}]}`);
    expect(fieldsOf(projection)).toEqual(['spec.ports[0].port', 'spec.ports[1].port', 'spec.ports[2].port']);
    expect(projection.resource).toMatchObject({ ports: [{ port: 81 }] });
  });

  test('an unknown type is refused: it must not pass for a ClusterIP', () => {
    expect(read(`${head('Service')}spec: {type: ExternalNam}`)).toMatchObject({
      resource: undefined,
      problems: [{ field: 'spec.type' }],
    });
  });
});

describe('EndpointSlice', () => {
  test('T37 conditions stay true, false or unsaid', () => {
    const yaml = `${head('EndpointSlice').replace('name: shop', 'name: shop-x, labels: {kubernetes.io/service-name: shop}')}
addressType: IPv4
ports: [{name: http, port: 8080}, {}]
endpoints:
- {addresses: [10.0.0.1], conditions: {ready: true, serving: false, terminating: null}, targetRef: {kind: Pod, name: p, uid: u}}
- {addresses: [10.0.0.2]}`;
    expect(resource(yaml, 'EndpointSlice')).toMatchObject({
      service: 'shop',
      addressType: 'IPv4',
      ports: [
        { name: 'http', port: 8080, protocol: 'TCP' },
        { name: '', port: undefined, protocol: 'TCP' },
      ],
      endpoints: [
        {
          ready: true,
          serving: false,
          terminating: undefined,
          targetRef: { kind: 'Pod', namespace: 'default', name: 'p', uid: 'u' },
        },
        { ready: undefined, serving: undefined, terminating: undefined, targetRef: undefined },
      ],
    });
  });

  test('T34 hints for other zones hide no endpoint: a session’s own may be there', () => {
    const endpoints = ['a', 'b'].map((zone, i) => ({
      ...{ addresses: [`10.0.0.${i}`], zone, hints: { forZones: [{ name: zone }] } },
    }));
    const yaml = `${head('EndpointSlice')}addressType: IPv4\nports: [{port: 80}]\nendpoints: ${JSON.stringify(endpoints)}`;
    expect(resource(yaml, 'EndpointSlice').endpoints.map(({ address }) => address)).toEqual(['10.0.0.0', '10.0.0.1']);
  });

  test('bad endpoints and conditions are reported, the others stay', () => {
    const projection = read(`${head('EndpointSlice')}
addressType: IPv4
endpoints: [{addresses: []}, {addresses: [10.0.0.1], conditions: {ready: "yes"}}, x]
ports: [x, {name: http, port: 80}]`);
    expect(fieldsOf(projection).toSorted()).toEqual([
      'endpoints[0].addresses',
      'endpoints[1].conditions.ready',
      'endpoints[2]',
      'ports[0]',
    ]);
    expect(projection.resource).toMatchObject({
      endpoints: [{ address: '10.0.0.1', index: 1 }],
      ports: [{ name: 'http', index: 1 }],
    });
  });

  test('an unknown address type is refused', () => {
    expect(read(`${head('EndpointSlice')}addressType: IPX`).resource).toBeUndefined();
  });
});

describe('Secret', () => {
  const ec = selfSigned({ names: ['a.example'], until: Date.UTC(2040, 0, 2) });
  const rsa = selfSigned({ names: ['a.example'], keyType: 'rsa' });
  const other = selfSigned({ names: ['a.example'] });
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const tls = (chain: string, key: string): string =>
    `${head('Secret')}type: kubernetes.io/tls\ndata: ${JSON.stringify({ 'tls.crt': base64(chain), 'tls.key': base64(key), more: 'eA==' })}`;

  test('of a certificate the pair is kept, and nothing else', () => {
    const secret = resource(tls(ec.chain + other.chain, ec.key), 'Secret');
    expect(secret.certificate).toEqual({
      chain: ec.chain + other.chain,
      key: ec.key,
      keyType: 'ECDSA',
      expires: Date.UTC(2040, 0, 2),
    });
    expect(secret.meta).toMatchObject({ annotations: {}, labels: {} });
    expect(resource(tls(rsa.chain, rsa.key), 'Secret').certificate?.key).toBe(rsa.key);
  });

  test('stringData wins', () => {
    const plain = `stringData: ${JSON.stringify({ 'tls.key': ec.key })}`;
    expect(resource(`${tls(ec.chain, other.key)}\n${plain}`, 'Secret').certificate?.key).toBe(ec.key);
  });

  test('of any other type the pair and the authorities are kept, and nothing else', () => {
    const secret = resource(`${head('Secret')}data: {password: aHVudGVyMg==}`, 'Secret');
    expect(secret).toMatchObject({ type: 'Opaque', certificate: undefined, authorities: undefined });
    expect(JSON.stringify(secret)).not.toContain('password');
    const pair = resource(tls(ec.chain, ec.key).replace('kubernetes.io/tls', 'Opaque'), 'Secret');
    expect(pair.certificate).toMatchObject({ chain: ec.chain, key: ec.key });
    const half = resource(`${head('Secret')}stringData: ${JSON.stringify({ 'tls.crt': ec.chain })}`, 'Secret');
    expect(half.certificate).toBeUndefined();
  });

  test('authorities come from ca.crt, beside a pair or alone', () => {
    const both = ec.chain + other.chain;
    const ca = (text: string) => `stringData: ${JSON.stringify({ 'ca.crt': text })}`;
    expect(resource(`${head('Secret')}${ca(both)}`, 'Secret').authorities).toBe(both);
    const beside = resource(`${tls(ec.chain, ec.key)}\n${ca(both)}`, 'Secret');
    expect(beside.authorities).toBe(both);
    expect(beside.certificate?.key).toBe(ec.key);
    expect(resource(`${tls(ec.chain, ec.key)}\n${ca('')}`, 'Secret').authorities).toBeUndefined();
  });

  test.each([
    ['what is no PEM', 'hunter2'],
    ['a certificate without its end, a good one behind it', `-----BEGIN CERTIFICATE-----\nhunter2\n${other.chain}`],
    ['a certificate without its end, a good one before it', `${other.chain}-----BEGIN CERTIFICATE-----\nhunter2\n`],
  ])('bad authorities (%s) are reported, and a good pair beside them is served', (_, ca) => {
    const data = JSON.stringify({ 'ca.crt': ca });
    const projection = read(`${tls(ec.chain, ec.key)}\nstringData: ${data}`);
    expect(projection.resource).toMatchObject({ authorities: undefined, certificate: { key: ec.key } });
    expect(fieldsOf(projection)).toEqual(['data[ca.crt]']);
    expect(JSON.stringify(projection.problems)).not.toContain('hunter2');
  });

  const issuer = authority('Issuer');
  const revoked = issuer.revoke([issuer.issue([['CN', 'lost']])]);
  const nothing = issuer.revoke([]);
  const lists = (text: string) =>
    `${head('Secret')}stringData: ${JSON.stringify({ 'ca.crt': ec.chain, 'ca.crl': text })}`;

  test('what is revoked comes from ca.crl, list by list', () => {
    const list = (text: string) => resource(lists(text), 'Secret').revocations?.map((one) => `${one}\n`);
    expect(list(revoked)).toEqual([revoked]);
    expect(list(`a comment\n${revoked}${nothing}`)).toEqual([revoked, nothing]);
    expect(list('')).toEqual([]);
  });

  test.each([
    ['what is no PEM', 'hunter2'],
    ['a certificate', ec.chain],
    ['a list that cannot be read', '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n'],
    ['a list without its end, a good one behind it', `-----BEGIN X509 CRL-----\nhunter2\n${revoked}`],
    ['a list without its end, a good one before it', `${revoked}-----BEGIN X509 CRL-----\nhunter2\n`],
  ])('bad revocation lists (%s) are reported', (_, text) => {
    const projection = read(lists(text));
    expect(projection.resource).toMatchObject({ authorities: ec.chain, revocations: undefined });
    expect(fieldsOf(projection)).toEqual(['data[ca.crl]']);
    expect(JSON.stringify(projection.problems)).not.toContain('hunter2');
  });

  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' });
  const edwards = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  test.each([
    ['the key of another certificate', tls(ec.chain, other.key), ['data[tls.key]']],
    ['a key of another kind', tls(ec.chain, rsa.key), ['data[tls.key]']],
    ['no certificate', tls('hunter2', ec.key), ['data[tls.crt]']],
    [
      'a chain with a broken certificate',
      tls(ec.chain + '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', ec.key),
      ['data[tls.crt]'],
    ],
    [
      'a chain whose last certificate is cut short',
      tls(`${ec.chain}-----BEGIN CERTIFICATE-----\nAAAA\n`, ec.key),
      ['data[tls.crt]'],
    ],
    ['no key', tls(ec.chain, 'hunter2'), ['data[tls.key]']],
    ['a short key', tls(ec.chain, weak.toString()), ['data[tls.key]']],
    ['a key that few clients know', tls(ec.chain, edwards.toString()), ['data[tls.key]']],
    ['nothing', `${head('Secret')}type: kubernetes.io/tls`, ['data[tls.crt]', 'data[tls.key]']],
    [
      'no base64',
      `${head('Secret')}type: kubernetes.io/tls\ndata: {tls.crt: "hunter2!", tls.key: 4711}`,
      ['data[tls.crt]', 'data[tls.key]'],
    ],
  ])('%s is refused, by field, and no value is told', (_, text, fields) => {
    const projection = read(text);
    expect(projection.resource).toBeUndefined();
    expect(fieldsOf(projection)).toEqual(fields);
    expect(JSON.stringify(projection.problems)).not.toMatch(/hunter2|4711|aHVudGVy|MIIB/);
  });
});

describe('StickyPolicy', () => {
  test('is taken over as written', () => {
    const policy = resource(
      `${head('StickyPolicy')}spec: {rules: [{name: a, none: {}}]}\nstatus: {anything: 1}`,
      'StickyPolicy',
    );
    expect('spec' in policy && policy.spec).toEqual({ rules: [{ name: 'a', none: {} }] });
  });

  test('a refused one keeps the targets that can be read, and nothing else', () => {
    const projection = read(
      `${head('StickyPolicy')}spec:
  targetRefs:
  - {group: networking.k8s.io, kind: Ingress, name: a, sectionName: a.example}
  - {group: wrong, kind: Service, name: b}
  - {group: '', kind: Gateway, name: c}
  - {group: '', kind: Service}
  - {group: '', kind: Service, name: d, sectionName: 80}
  - 7
  retries: 1`,
    );
    expect(projection.resource).toMatchObject({ kind: 'StickyPolicy', meta: { name: 'shop' }, refused: true });
    expect(projection.resource).toHaveProperty('targetRefs', [
      { group: 'networking.k8s.io', kind: 'Ingress', name: 'a', sectionName: 'a.example' },
      { group: '', kind: 'Service', name: 'b' },
    ]);
    expect(projection.resource).not.toHaveProperty('spec');
  });

  test('is refused as a whole, with a path below spec', () => {
    const projection = read(
      `${head('StickyPolicy')}spec: {rules: [{name: a, cookie: {path: /a;b}}], retry: {attempts: 1}}`,
    );
    expect(projection.resource).toMatchObject({ refused: true, targetRefs: [] });
    expect(fieldsOf(projection)).toEqual(['spec.rules[0].cookie.path']);
  });

  test('an unknown field beside spec is refused', () => {
    const projection = read(`${head('StickyPolicy')}spec: {}\nrules: []`);
    expect(projection).toMatchObject({ resource: { refused: true }, problems: [{ field: 'rules' }] });
  });

  test('without a spec it is refused', () => {
    expect(read(head('StickyPolicy'))).toMatchObject({
      resource: { refused: true },
      problems: [{ field: 'spec' }],
    });
  });
});
