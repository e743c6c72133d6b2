/** Certificates of clients: who gets in, what the endpoint is told, and that neither headers nor sessions can pretend one. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect as http2Connect } from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { selfSigned } from '../../src/control/self-signed.ts';
import type { KeyPair } from '../../src/model/certificate.ts';
import { Client, closeAtEnd, file, ingress, service, slices, startApp, startBackend } from '../support/app.ts';
import type { App } from '../support/app.ts';
import { authority } from '../support/authority.ts';
import { Answer } from '../support/client.ts';
import { authoritiesSecret, tlsSecret } from '../support/manifests.ts';

const ACME = authority('Acme Root');
const OTHER = authority('Other Root');
const ALICE = ACME.issue([
  ['C', 'DE'],
  ['O', 'Acme, Inc.'],
  ['CN', 'alice é'],
]);
const EXPIRED = ACME.issue([['CN', 'bob']], Date.UTC(2024, 0, 1));
const BOB = ACME.issue([['CN', 'bob']]);
const MALLORY = OTHER.issue([['CN', 'mallory']]);
const SELF = selfSigned({ names: ['self'] });
const BOTH = ACME.certificate + OTHER.certificate;
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

let app: App;

interface Asking {
  readonly verify?: string;
  readonly secret?: string;
  readonly annotations?: Record<string, string>;
  readonly path?: string;
}

/** An Ingress of `NAME.test`, or of another host. */
function guarded(
  name: string,
  { verify, secret = 'acme', annotations = {}, path = '/' }: Asking = {},
  host = `${name}.test`,
): string {
  return ingress({
    name,
    host,
    paths: [{ path, service: 'web' }],
    tls: [{ hosts: [host], secretName: 'web' }],
    annotations: {
      'holdfast.dev/auth-tls-secret': secret,
      'holdfast.dev/ssl-redirect': 'false',
      ...(verify === undefined ? {} : { 'holdfast.dev/auth-tls-verify': verify }),
      ...annotations,
    },
  });
}

beforeAll(async () => {
  const backend = await startBackend({ pod: 'web-0' });
  app = await startApp({
    manifests: {
      'all.yaml': file(
        guarded('on'),
        guarded('optional', { verify: 'optional' }),
        guarded('anybody', { verify: 'optional_no_ca' }),
        guarded('off', { verify: 'off' }),
        guarded('second', { secret: 'test/other' }),
        guarded('revoked', { secret: 'revoked', verify: 'optional_no_ca' }),
        guarded('unlisted', { secret: 'unlisted' }),
        guarded('stale', { secret: 'stale' }),
        ingress({ name: 'beside', host: 'on.test', paths: [{ path: '/public', service: 'web' }] }),
        ingress({ name: 'plain', host: 'plain.test', annotations: { 'holdfast.dev/ssl-redirect': 'false' } }),
        service(),
        slices('web', [backend]),
        tlsSecret('web', selfSigned({ names: ['on.test', '*.test'] })),
        authoritiesSecret('acme', ACME.certificate),
        authoritiesSecret('other', OTHER.certificate),
        authoritiesSecret('revoked', BOTH, ACME.revoke([BOB]) + OTHER.revoke([])),
        authoritiesSecret('unlisted', BOTH, ACME.revoke([BOB])),
        authoritiesSecret('stale', ACME.certificate, ACME.revoke([], Date.UTC(2024, 0, 1))),
      ),
      'changing.yaml': service('unused'),
    },
    config: { httpsPort: 0, workers: 2 },
  });
});

interface Visit extends ConnectionOptions {
  readonly path?: string;
  /** In place of the SNI. */
  readonly host?: string;
  readonly headers?: Record<string, string>;
}

interface Visited {
  readonly answer: Answer;
  readonly session: Buffer;
  readonly reused: boolean;
}

/** One request over a connection of its own. */
async function visit(
  servername: string,
  { path = '/', host = servername, headers = {}, ...tls }: Visit = {},
): Promise<Visited> {
  const target = { host: '127.0.0.1', port: app.httpsPort, servername, rejectUnauthorized: false, agent: false };
  const request = httpsRequest({ ...target, path, ...tls, headers: { host, ...headers } });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const socket = response.socket as TLSSocket;
  const { session = Buffer.alloc(0), reused } = { session: socket.getSession(), reused: socket.isSessionReused() };
  let text = '';
  response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await once(response, 'end');
  return { answer: new Answer(response.statusCode ?? 0, response.headers, text), session, reused };
}

function showing({ chain, key }: KeyPair): { readonly cert: string; readonly key: string } {
  return { cert: chain, key };
}

async function status(host: string, options?: Visit): Promise<number> {
  return (await visit(host, options)).answer.status;
}

/** What the endpoint was told of the certificate. */
function told({ answer }: Pick<Visited, 'answer'>): Record<string, string> {
  return Object.fromEntries(Object.entries(answer.described.headers).filter(([name]) => /^ssl[-_]client/.test(name)));
}

test('nothing is wrong with these manifests', async () => {
  expect(await app.problems()).toEqual([]);
});

describe.each(VERSIONS)('%s', (version) => {
  const versions = { minVersion: version, maxVersion: version } as const;

  test('the endpoint is told who it is', async () => {
    expect(told(await visit('on.test', { ...versions, ...showing(ALICE) }))).toEqual({
      'ssl-client-verify': 'SUCCESS',
      'ssl-client-subject-dn': 'CN=alice \\C3\\A9,O=Acme\\, Inc.,C=DE',
      'ssl-client-issuer-dn': 'CN=Acme Root',
    });
  });

  test.each<[string, string, KeyPair | undefined, number, string]>([
    ['on', 'no certificate', undefined, 400, 'no_certificate'],
    ['on', 'one of another authority', MALLORY, 400, 'bad_certificate'],
    ['on', 'a self-signed one', SELF, 400, 'bad_certificate'],
    ['on', 'an expired one', EXPIRED, 400, 'bad_certificate'],
    ['optional', 'no certificate', undefined, 200, 'NONE'],
    ['optional', 'a good one', ALICE, 200, 'SUCCESS'],
    ['optional', 'one of another authority', MALLORY, 400, 'bad_certificate'],
    ['anybody', 'no certificate', undefined, 200, 'NONE'],
    ['anybody', 'a good one', ALICE, 200, 'SUCCESS'],
    ['anybody', 'one of another authority', MALLORY, 200, 'FAILED:UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['anybody', 'a self-signed one', SELF, 200, 'FAILED:DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['anybody', 'an expired one', EXPIRED, 400, 'bad_certificate'],
    ['revoked', 'one that is not revoked', ALICE, 200, 'SUCCESS'],
    ['revoked', 'one of an authority that has revoked nothing', MALLORY, 200, 'SUCCESS'],
    ['revoked', 'one that is revoked', BOB, 400, 'bad_certificate'],
    ['unlisted', 'one of an authority with a list', ALICE, 200, 'SUCCESS'],
    ['unlisted', 'one of an authority without', MALLORY, 400, 'bad_certificate'],
    ['stale', 'one that an old list may have missed', ALICE, 400, 'bad_certificate'],
  ])('%s, %s', async (name, _, pair, expected, saying) => {
    const visited = await visit(`${name}.test`, {
      ...versions,
      ...(pair === undefined ? {} : showing(pair)),
      headers: { accept: 'application/json' },
    });
    expect(visited.answer.status).toBe(expected);
    if (expected === 200) expect(told(visited)['ssl-client-verify']).toBe(saying);
    else expect(visited.answer.text).toContain(saying);
  });

  test('a resumed session shows what it has shown before, to the same authorities alone', async () => {
    const options = { ...versions, ...showing(ALICE) };
    const first = await visit('on.test', options);
    for (let i = 0; i < 8; i++) {
      const again = await visit('on.test', { ...versions, session: first.session });
      expect(again).toMatchObject({ reused: true, answer: { status: 200 } });
      expect(told(again)['ssl-client-verify']).toBe('SUCCESS');
    }
    for (const host of ['second.test', 'plain.test'])
      expect((await visit(host, { ...versions, session: first.session })).reused).toBe(false);
    expect(await status('second.test', { ...versions, session: first.session })).toBe(400);
    for (const [host, pair] of [
      ['plain.test', undefined],
      ['second.test', MALLORY],
      ['on.test', undefined],
      ['on.test', MALLORY],
    ] as const) {
      const { session } = await visit(host, { ...versions, ...(pair === undefined ? {} : showing(pair)) });
      expect(await status('on.test', { ...versions, session })).toBe(400);
    }
  });
});

test('a route of the same host that does not ask lets everybody in, and so does one that is off', async () => {
  expect(told(await visit('on.test', { path: '/public' }))).toEqual({});
  expect(told(await visit('off.test', showing(ALICE)))).toEqual({});
});

test('only hosts that need a certificate ask for one', async () => {
  const asks = async (servername: string): Promise<boolean> => {
    const socket = connect({
      host: '127.0.0.1',
      port: app.httpsPort,
      servername,
      rejectUnauthorized: false,
      ...showing(ALICE),
    });
    closeAtEnd(async () => void socket.destroy());
    await once(socket, 'secureConnect');
    // With its question the server says which signatures it can verify.
    const asked = socket.getSharedSigalgs().length > 0;
    socket.destroy();
    return asked;
  };
  expect(await asks('plain.test')).toBe(false);
  expect(await asks('on.test')).toBe(true);
});

test('whatever clients say of certificates themselves is removed, on every route', async () => {
  const forged = {
    'SSL-Client-Verify': 'SUCCESS',
    ssl_client_verify: 'SUCCESS',
    'Ssl-Client_Subject-Dn': 'CN=alice',
    'ssl-client-issuer-dn': 'CN=Acme Root',
    'ssl-client-cert': 'x',
  };
  expect(told(await visit('optional.test', { headers: forged }))).toEqual({ 'ssl-client-verify': 'NONE' });
  expect(told(await visit('plain.test', { headers: forged }))).toEqual({});
  const plain = await new Client(app.port).ask('/', { host: 'plain.test', headers: forged });
  expect(plain.described.headers).not.toHaveProperty('ssl-client-verify');
  expect(await status('optional.test', { headers: { connection: 'ssl-client-verify' } })).toBe(400);
});

test('a connection for another host is not one for this host: 421', async () => {
  expect(await status('plain.test', { host: 'on.test', ...showing(ALICE) })).toBe(421);
  expect(await status('second.test', { host: 'on.test', ...showing(MALLORY) })).toBe(421);
  expect(await status('', { host: 'on.test', ...showing(ALICE) })).toBe(421);
  expect(await status('plain.test', { host: 'optional.test', ...showing(ALICE) })).toBe(421);
  // The same authorities, as a client that reuses a connection knows.
  expect(await status('optional.test', { host: 'on.test', ...showing(ALICE) })).toBe(200);
  expect(await status('on.test', { host: 'plain.test' })).toBe(200);
});

test('over HTTP/2 each stream is judged by its own route and host', async () => {
  const session = http2Connect(`https://127.0.0.1:${app.httpsPort}`, {
    servername: 'on.test',
    rejectUnauthorized: false,
    ...showing(ALICE),
  });
  closeAtEnd(async () => session.destroy());
  const ask = async (host: string, path = '/'): Promise<{ status: unknown; told: Record<string, string> }> => {
    const stream = session.request({ ':authority': host, ':path': path, 'ssl-client-verify': 'SUCCESS' });
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    let text = '';
    for await (const chunk of stream.setEncoding('utf8')) text += String(chunk);
    const answer = new Answer(Number(headers[':status']), headers, text);
    return { status: answer.status, told: answer.status === 200 ? told({ answer }) : {} };
  };
  expect(await ask('on.test')).toMatchObject({ status: 200, told: { 'ssl-client-verify': 'SUCCESS' } });
  expect(await ask('optional.test')).toMatchObject({ status: 200, told: { 'ssl-client-verify': 'SUCCESS' } });
  expect(await ask('on.test', '/public')).toEqual({ status: 200, told: {} });
  expect(await ask('second.test')).toMatchObject({ status: 421 });
});

test('over plain HTTP there is no certificate', async () => {
  const client = new Client(app.port);
  expect((await client.ask('/', { host: 'on.test' })).status).toBe(400);
  expect((await client.ask('/', { host: 'optional.test' })).described.headers['ssl-client-verify']).toBe('NONE');
});

test('a WebSocket', async () => {
  const open = async (pair?: KeyPair): Promise<string> => {
    const options: WebSocket.ClientOptions & Pick<ConnectionOptions, 'servername'> = {
      headers: { host: 'on.test' },
      servername: 'on.test',
      rejectUnauthorized: false,
      ...(pair === undefined ? {} : showing(pair)),
    };
    const socket = new WebSocket(`wss://127.0.0.1:${app.httpsPort}/ws`, options);
    closeAtEnd(async () => socket.terminate());
    return await new Promise((resolve) => {
      socket.on('message', (data: Buffer) => resolve(data.toString()));
      socket.on('error', ({ message }) => resolve(message));
    });
  };
  expect(await open(ALICE)).toBe('web-0');
  expect(await open()).toMatch(/400/);
});

describe('what cannot be done closes the routes, until it can', () => {
  const field = 'metadata.annotations[holdfast.dev/auth-tls-secret]';
  const at = { object: { kind: 'Ingress', name: 'changing' } };

  test.each<[string, string, Asking]>([
    ['a Secret that does not exist', 'There is no Secret', { secret: 'nobody' }],
    ['one without ca.crt', 'has no certificates of authorities', { secret: 'web' }],
    ['one of another namespace', 'is in another namespace', { secret: 'elsewhere/acme' }],
    ['a name that is none', 'no name of a Secret', { secret: 'a/b/c' }],
    ['an unknown mode', 'write on or off', { verify: 'perhaps' }],
  ])('%s', async (_, message, asking) => {
    await app.change('changing.yaml', guarded('changing', asking));
    expect(await app.problems()).toMatchObject([
      { ...at, severity: 'error', message: expect.stringMatching(new RegExp(message, 'i')) as unknown },
    ]);
    expect(await status('changing.test', showing(ALICE))).toBe(503);
    await app.change('changing.yaml', guarded('changing'));
    expect(await app.problems()).toEqual([]);
    expect(await status('changing.test', showing(ALICE))).toBe(200);
  });

  test('revocation lists that cannot be read', async () => {
    const secret = authoritiesSecret('unreadable', ACME.certificate, 'nothing');
    await app.change('changing.yaml', file(guarded('changing', { secret: 'unreadable' }), secret));
    const problems = (await app.problems()).toSorted((a, b) => a.object.kind.localeCompare(b.object.kind));
    expect(problems).toMatchObject([
      { ...at, message: expect.stringContaining('has no revocation lists that can be read') as unknown },
      { object: { kind: 'Secret', name: 'unreadable' }, field: 'data[ca.crl]' },
    ]);
    expect(await status('changing.test', showing(ALICE))).toBe(503);
  });

  test('a mode without a Secret', async () => {
    const annotations = { 'holdfast.dev/auth-tls-verify': 'optional' };
    await app.change('changing.yaml', ingress({ name: 'changing', host: 'changing.test', annotations }));
    expect(await app.problems()).toMatchObject([
      { ...at, field: 'metadata.annotations[holdfast.dev/auth-tls-verify]' },
    ]);
    expect(await status('changing.test', showing(ALICE))).toBe(503);
  });

  test('other authorities than an older Ingress has for the host', async () => {
    await app.change('changing.yaml', guarded('z', { secret: 'other', path: '/z' }, 'on.test'));
    expect(await app.problems()).toMatchObject([
      { object: { name: 'z' }, field, message: expect.stringContaining('Ingress test/on comes first') as unknown },
    ]);
    expect(await status('on.test', { path: '/z', ...showing(MALLORY) })).toBe(503);
    expect(await status('on.test', showing(ALICE))).toBe(200);
  });

  test('a canary that guards what its primary Ingress does not', async () => {
    const canary = { 'nginx.ingress.kubernetes.io/canary': 'true', 'nginx.ingress.kubernetes.io/canary-weight': '100' };
    await app.change('changing.yaml', guarded('canary', { annotations: canary }, 'plain.test'));
    expect(await app.problems()).toMatchObject([
      { object: { name: 'canary' }, message: expect.stringContaining('would be open') as unknown },
    ]);
    await app.change('changing.yaml', guarded('canary', { annotations: canary }, 'on.test'));
    expect(await app.problems()).toEqual([]);
  });
});

test('authorities that are replaced count from the next request on: an open connection is of no use any more', async () => {
  const secret = (name: string, certificate: string) =>
    file(guarded('changing', { secret: name }), authoritiesSecret(name, certificate));
  await app.change('changing.yaml', secret('changing', ACME.certificate));
  const socket = connect({
    host: '127.0.0.1',
    port: app.httpsPort,
    servername: 'changing.test',
    rejectUnauthorized: false,
    ...showing(ALICE),
  });
  closeAtEnd(async () => void socket.destroy());
  await once(socket, 'secureConnect');
  const ask = async (): Promise<string> => {
    socket.write('GET / HTTP/1.1\r\nHost: changing.test\r\n\r\n');
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    return bytes.toString('latin1').slice(0, 12);
  };
  expect(await ask()).toBe('HTTP/1.1 200');
  const { session } = await visit('changing.test', { ...showing(ALICE) });
  await app.change('changing.yaml', secret('changing', OTHER.certificate));
  expect(await ask()).toBe('HTTP/1.1 421');
  expect(await status('changing.test', { session })).toBe(400);
  expect(await status('changing.test', showing(ALICE))).toBe(400);
  expect(await status('changing.test', showing(MALLORY))).toBe(200);
  // Two at a time, as when one takes the place of the other.
  await app.change('changing.yaml', secret('changing', OTHER.certificate + ACME.certificate));
  for (const pair of [ALICE, MALLORY]) expect(await status('changing.test', showing(pair))).toBe(200);
  expect(await app.problems()).toEqual([]);
});

test('a certificate that is revoked is of no use from the next request on', async () => {
  const secret = (...revoked: KeyPair[]) =>
    file(
      guarded('changing', { secret: 'changing' }),
      authoritiesSecret('changing', ACME.certificate, ACME.revoke(revoked)),
    );
  await app.change('changing.yaml', secret());
  const { answer, session } = await visit('changing.test', showing(BOB));
  expect(answer.status).toBe(200);
  await app.change('changing.yaml', secret(BOB));
  expect(await status('changing.test', showing(BOB))).toBe(400);
  expect(await status('changing.test', { ...showing(BOB), session })).toBe(400);
  expect(await status('changing.test', showing(ALICE))).toBe(200);
});

test('rules without a host, and what nothing else takes, ask those who come for no host that is known', async () => {
  const hostless = ingress({
    name: 'hostless',
    annotations: { 'holdfast.dev/auth-tls-secret': 'acme' },
    paths: [],
    defaultBackend: 'web',
  });
  await app.change('changing.yaml', hostless);
  expect(await status('nobody.example', showing(ALICE))).toBe(200);
  expect(await status('nobody.example')).toBe(400);
  expect(await status('plain.test')).toBe(200);
});
