/** Which lists and watches are asked for: of Secrets none but certificates and those that are named. */
import { expect, test } from 'vitest';
import { pathOf, referredScope, scopesOf, type SecretsWanted } from '../../../../src/source/kubernetes/kinds.ts';

const also = { namespace: 'holdfast', name: 'fallback' };

const ALL: SecretsWanted = { names: [], also: undefined, certificates: true, crossNamespace: false };

function secretsOf(namespaces: readonly string[], wanted?: SecretsWanted): string[] {
  return scopesOf(namespaces, true, wanted)
    .filter(({ watched }) => watched.kind === 'Secret')
    .map((scope) => `${pathOf(scope)}?${scope.fieldSelector ?? ''}`);
}

test.each<[string, readonly string[], Partial<SecretsWanted> | undefined, readonly string[]]>([
  ['none', [], undefined, []],
  ['without HTTPS, none but those named', [], { certificates: false }, []],
  ['without HTTPS, by name', [], { certificates: false, names: ['a'] }, ['/api/v1/secrets?metadata.name=a']],
  ['everywhere, by type', [], { names: [], also }, ['/api/v1/secrets?type=kubernetes.io/tls']],
  ['everywhere, by name', [], { names: ['a'], also: undefined }, ['/api/v1/secrets?metadata.name=a']],
  [
    'in a namespace by type, and the default one where it is',
    ['shop'],
    { names: [], also },
    [
      '/api/v1/namespaces/shop/secrets?type=kubernetes.io/tls',
      '/api/v1/namespaces/holdfast/secrets?metadata.name=fallback',
    ],
  ],
  [
    'in namespaces by name, each once',
    ['shop', 'holdfast'],
    { names: ['fallback', 'fallback'], also },
    [
      '/api/v1/namespaces/shop/secrets?metadata.name=fallback',
      '/api/v1/namespaces/holdfast/secrets?metadata.name=fallback',
    ],
  ],
])('%s', (_, namespaces, wanted, paths) => {
  expect(secretsOf(namespaces, wanted && { ...ALL, ...wanted })).toEqual(paths);
});

test.each<[string, readonly string[], Partial<SecretsWanted>, string | undefined]>([
  [
    'beside certificates, of other types',
    [],
    {},
    '/api/v1/namespaces/shop/secrets?metadata.name=ca,type!=kubernetes.io/tls',
  ],
  ['without HTTPS, of any type', [], { certificates: false }, '/api/v1/namespaces/shop/secrets?metadata.name=ca'],
  ['not in a namespace that is not watched', ['other'], {}, undefined],
  ['not when only some names may be read', [], { names: ['other'] }, undefined],
])('a Secret that an annotation names: %s', (_, namespaces, wanted, path) => {
  const scope = referredScope({ namespace: 'shop', name: 'ca' }, namespaces, { ...ALL, ...wanted });
  expect(scope && `${pathOf(scope)}?${scope.fieldSelector ?? ''}`).toBe(path);
});
