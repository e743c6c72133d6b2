/** Which lists and watches are asked for: of Secrets none but those that certificates are in. */
import { expect, test } from 'vitest';
import { pathOf, scopesOf, type SecretsWanted } from '../../../../src/source/kubernetes/kinds.ts';

const also = { namespace: 'holdfast', name: 'fallback' };

function secretsOf(namespaces: readonly string[], wanted?: SecretsWanted): string[] {
  return scopesOf(namespaces, true, wanted)
    .filter(({ watched }) => watched.kind === 'Secret')
    .map((scope) => `${pathOf(scope)}?${scope.fieldSelector ?? ''}`);
}

test.each<[string, readonly string[], SecretsWanted | undefined, readonly string[]]>([
  ['without HTTPS, none', [], undefined, []],
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
  expect(secretsOf(namespaces, wanted)).toEqual(paths);
});
