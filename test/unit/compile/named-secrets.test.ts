/** Which Secrets annotations may name, and what is said when one cannot be used. */
import { expect, test } from 'vitest';
import { NamedSecrets } from '../../../src/compile/passes/named-secrets.ts';
import { project } from '../../../src/api/project.ts';
import { objectKey } from '../../../src/model/ids.ts';
import type { Ingress, Resource, Secret } from '../../../src/model/resources.ts';

function projected<K extends Resource['kind']>(kind: K, raw: object): Extract<Resource, { kind: K }> {
  const resource = project({ kind, ...raw })?.resource;
  if (resource?.kind !== kind) throw new Error(`no ${kind}`);
  return resource as Extract<Resource, { kind: K }>;
}

const ingress: Ingress = projected('Ingress', {
  apiVersion: 'networking.k8s.io/v1',
  metadata: { namespace: 'shop', name: 'web' },
  spec: {},
});
const secrets = new Map<string, Secret>(
  ['shop', 'other'].map((namespace) => [
    objectKey(namespace, 'ca'),
    projected('Secret', { apiVersion: 'v1', metadata: { namespace, name: 'ca' } }),
  ]),
);
const OPTIONS = {
  controllerName: 'c',
  ingressClass: 'i',
  watchIngressWithoutClass: false,
  watchNamespaces: [],
  defaultBackend: undefined,
  inCluster: true,
  podMetadata: true,
};

test.each<[text: string, crossNamespace: boolean, found: string]>([
  ['ca', false, 'shop'],
  [' shop/ca ', false, 'shop'],
  ['other/ca', true, 'other'],
])('%s', (text, allowCrossNamespaceSecrets, namespace) => {
  const found = new NamedSecrets(secrets, { ...OPTIONS, allowCrossNamespaceSecrets }).find(ingress, text);
  expect(found).toMatchObject({ kind: 'Secret', meta: { namespace, name: 'ca' } });
});

test.each<[text: string, crossNamespace: boolean, said: RegExp]>([
  ['other/ca', false, /is in another namespace.*--allow-cross-namespace-secrets/],
  ['none', false, /there is no Secret shop\/none/],
  ['other/none', true, /there is no Secret other\/none/],
  ['', false, /no name of a Secret/],
  ['a/b/c', true, /no name of a Secret/],
  ['Shop/ca', true, /no name of a Secret/],
])('%s is refused', (text, allowCrossNamespaceSecrets, said) => {
  expect(new NamedSecrets(secrets, { ...OPTIONS, allowCrossNamespaceSecrets }).find(ingress, text)).toMatch(said);
});
