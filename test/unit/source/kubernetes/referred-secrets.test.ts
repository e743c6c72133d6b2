/** Secrets that annotations name are watched by name, as long as an Ingress names them, and keep nothing else waiting. */
import { afterEach, expect, test } from 'vitest';
import type { Resource } from '../../../../src/model/resources.ts';
import { selfSigned } from '../../../support/certificate.ts';
import { status, type ApiServer, type RawObject } from './api-server.ts';
import { begin, ingress, secret, type Fixture } from './harness.ts';

const { cert } = selfSigned('authority');
const PROXY_SSL_SECRET = 'nginx.ingress.kubernetes.io/proxy-ssl-secret';
const AUTH_TLS_SECRET = 'holdfast.dev/auth-tls-secret';

let fixture: Fixture | undefined;

afterEach(async () => {
  await fixture?.end();
  fixture = undefined;
});

async function synced(prepare: (server: ApiServer) => void, crossNamespace = false): Promise<Fixture> {
  const secrets = { names: [], also: undefined, certificates: true, crossNamespace };
  fixture = await begin(prepare, { secrets });
  const { told } = fixture;
  await told.until(() => told.synced === 1);
  return fixture;
}

function naming(name: string, annotations: Record<string, string>): RawObject {
  const object = ingress(name);
  return { ...object, metadata: { ...object.metadata, annotations } };
}

const authority = (name: string, namespace?: string): RawObject =>
  secret(name, 'Opaque', { 'ca.crt': cert }, namespace);

test('they are there when everything is synced, and other Secrets are not asked for', async () => {
  const { told, server, source } = await synced((api) => {
    api.put(authority('ca'));
    api.put(authority('clients'));
    api.put(authority('nobodys'));
    api.put(naming('a', { [PROXY_SSL_SECRET]: 'shop/ca', [AUTH_TLS_SECRET]: 'clients' }));
  });
  expect(told.names('Secret')).toEqual(['Secret shop/ca', 'Secret shop/clients']);
  expect(told.events.at(-1)).toEqual({ type: 'synced' });
  expect(told.objects.get('Secret shop/ca')).toMatchObject({ authorities: cert });
  const asked = server.requests.filter(({ path }) => path.endsWith('/secrets'));
  expect(new Set(asked.map(({ query }) => query.get('fieldSelector')))).toEqual(
    new Set([
      'type=kubernetes.io/tls',
      'metadata.name=ca,type!=kubernetes.io/tls',
      'metadata.name=clients,type!=kubernetes.io/tls',
    ]),
  );
  await told.until(() => source.watches().find(({ kind }) => kind === 'Secret')?.connected === true);
});

test('come with an Ingress that names them, and go with the last one', async () => {
  const { told, server } = await synced((api) => {
    api.put(authority('ca'));
  });
  expect(told.names('Secret')).toEqual([]);
  server.put(naming('a', { [PROXY_SSL_SECRET]: 'shop/ca' }));
  server.put(naming('b', { [AUTH_TLS_SECRET]: 'ca' }));
  await told.until(() => told.names('Secret').length === 1 && server.watches('Secret') === 2);
  server.remove('Ingress', 'shop', 'a');
  await told.until(() => told.names('Ingress').length === 1);
  expect(told.names('Secret')).toHaveLength(1);
  server.put(naming('b', {}));
  await told.until(() => told.names('Secret').length === 0 && server.watches('Secret') === 1);
});

test('of other namespaces only where that is allowed', async () => {
  const prepare = (api: ApiServer) => {
    api.put(authority('ca', 'other'));
    api.put(naming('a', { [PROXY_SSL_SECRET]: 'other/ca' }));
  };
  const refusing = await synced(prepare);
  expect(refusing.told.names('Secret')).toEqual([]);
  expect(refusing.server.requests.filter(({ path }) => path.includes('/other/'))).toEqual([]);
  await refusing.end();
  const { told } = await synced(prepare, true);
  expect(told.names('Secret')).toEqual(['Secret other/ca']);
});

test('one that may not be read keeps nothing else waiting, and is reported', async () => {
  const { told } = await synced((api) => {
    for (let i = 0; i < 1000; i++) {
      api.faults.push((seen, response) => {
        if (seen.query.get('fieldSelector')?.includes('metadata.name') !== true) return false;
        status(response, 403, 'no');
        return true;
      });
    }
    api.put(naming('a', { [PROXY_SSL_SECRET]: 'shop/ca' }));
  });
  const [problem] = [...told.problems.values()].flat();
  expect(problem).toMatchObject({ severity: 'error', object: { kind: 'Secret', namespace: 'shop' } });
});

test('one made anew with another type stays, whichever watch tells of it first', async () => {
  const typeOf = (resource: Resource | undefined | object): unknown =>
    resource !== undefined && 'type' in resource ? resource.type : undefined;
  const { told, server } = await synced((api) => {
    api.put(authority('ca'));
    api.put(naming('a', { [PROXY_SSL_SECRET]: 'shop/ca' }));
  });
  const pair = selfSigned('host');
  for (let turn = 0; turn < 10; turn++) {
    server.remove('Secret', 'shop', 'ca');
    const served = turn % 2 === 0;
    server.put(
      served
        ? secret('ca', 'kubernetes.io/tls', { 'tls.crt': pair.cert, 'tls.key': pair.key, 'ca.crt': cert })
        : authority('ca'),
    );
    await told.until(
      () => typeOf(told.objects.get('Secret shop/ca')) === (served ? 'kubernetes.io/tls' : 'Opaque'),
      `turn ${turn}`,
    );
  }
});
