/** HTTPS with real TLS clients: which certificate they get, how it is replaced, and what requests and cookies are like behind it. */
import { once } from 'node:events';
import { Agent, request as httpsRequest } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { selfSigned } from '../../src/control/self-signed.ts';
import {
  Client,
  closeAtEnd,
  eventually,
  file,
  ingress,
  policy,
  service,
  slices,
  startApp,
  startBackend,
  startBackends,
} from '../support/app.ts';
import type { App, AppOptions } from '../support/app.ts';
import { Answer } from '../support/client.ts';
import { Http2Client } from '../support/http2-client.ts';
import { clientHello, recordsOf, serverName } from '../support/client-hello.ts';
import { tlsSecret } from '../support/manifests.ts';

const HOST = 'web.test';
const WEB = selfSigned({ names: [HOST] });
const WILD = selfSigned({ names: ['*.wild.test'] });
const FALLBACK = selfSigned({ names: ['fallback.test'] });
const TRUSTED = '127.0.0.9';
const TLS12 = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;

const SITE = ingress({ host: HOST, tls: [{ hosts: [HOST], secretName: 'web' }] });

async function start(manifests: Record<string, string> = {}, config: AppOptions['config'] = {}): Promise<App> {
  const backends = await startBackends('pod-0', 'pod-1');
  return await startApp({
    manifests: {
      'web.yaml': file(
        SITE,
        service(),
        slices(
          'web',
          backends.map(({ pod, port }) => ({ pod, port })),
        ),
      ),
      'policy.yaml': policy({ rules: [{ name: 'browsers', cookie: { name: 'HF' } }] }),
      'secret.yaml': tlsSecret('web', WEB),
      ...manifests,
    },
    config: { httpsPort: 0, publicHttpsPort: 443, publicHttpPort: 80, trustedProxies: [TRUSTED], ...config },
  });
}

/** A connection after its handshake. */
async function secured(app: App, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({
    host: '127.0.0.1',
    port: app.httpsPort,
    servername: HOST,
    rejectUnauthorized: false,
    ...options,
  });
  closeAtEnd(async () => void socket.destroy());
  socket.on('error', () => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

async function nameSeen(app: App, options?: ConnectionOptions): Promise<string | undefined> {
  const socket = await secured(app, options);
  const { subjectaltname } = socket.getPeerCertificate();
  socket.destroy();
  return subjectaltname;
}

/** One request over a connection of its own, or of `agent`. */
async function ask(
  app: App,
  options: {
    path?: string;
    host?: string;
    headers?: Record<string, string>;
    agent?: Agent;
    ca?: string;
    from?: string;
  } = {},
): Promise<Answer> {
  const { path = '/', host = HOST, headers = {}, agent = false, ca, from } = options;
  return await new Promise((resolve, reject) => {
    const verify = ca === undefined ? { rejectUnauthorized: false } : { ca };
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port: app.httpsPort,
        servername: host,
        path,
        headers: { host, ...headers },
        agent,
        ...verify,
        ...(from === undefined ? {} : { localAddress: from }),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve(new Answer(response.statusCode ?? 0, response.headers, text)));
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end();
  });
}

test('a client gets the certificate of its host: exact, wildcard, default', async () => {
  const app = await start(
    {
      'wild.yaml': file(
        ingress({ name: 'wild', host: '*.wild.test', tls: [{ hosts: ['*.wild.test'], secretName: 'wild' }] }),
        ingress({ name: 'own', host: 'own.wild.test', tls: [{ hosts: ['own.wild.test'], secretName: 'own' }] }),
        tlsSecret('wild', WILD),
        tlsSecret('own', selfSigned({ names: ['own.wild.test'] })),
        tlsSecret('fallback', FALLBACK),
      ),
    },
    { defaultTlsSecret: { namespace: 'test', name: 'fallback' } },
  );
  expect(await app.problems()).toEqual([]);
  expect(await nameSeen(app)).toBe('DNS:web.test');
  expect(await nameSeen(app, { servername: 'WEB.test' })).toBe('DNS:web.test');
  expect(await nameSeen(app, { servername: 'any.wild.test' })).toBe('DNS:*.wild.test');
  expect(await nameSeen(app, { servername: 'own.wild.test' })).toBe('DNS:own.wild.test');
  expect(await nameSeen(app, { servername: 'a.b.wild.test' })).toBe('DNS:fallback.test');
  expect(await nameSeen(app, { servername: '' })).toBe('DNS:fallback.test');
});

test('without a default Secret there is a self-signed certificate, the same in every worker', async () => {
  const app = await start();
  const prints = new Set<string>();
  for (let i = 0; i < 12; i++) {
    const socket = await secured(app, { servername: i % 2 === 0 ? '' : 'nobody.test' });
    prints.add(socket.getPeerCertificate().fingerprint256);
    expect(socket.getPeerCertificate().subjectaltname).toBe('DNS:holdfast.invalid');
    socket.destroy();
  }
  expect(prints.size).toBe(1);
});

test('T60 a connection of HTTP/2 that was made for one host serves those of the same certificate; others are 421', async () => {
  const both = selfSigned({ names: [HOST, 'also.test'] });
  const site = (host: string, secret: string) =>
    ingress({ name: host.replace('.', '-'), host, service: 'web', tls: [{ hosts: [host], secretName: secret }] });
  const app = await start({
    'secret.yaml': tlsSecret('web', both),
    'also.yaml': site('also.test', 'web'),
    'other.yaml': file(site('other.test', 'other'), tlsSecret('other', selfSigned({ names: ['other.test'] }))),
  });
  const client = await Http2Client.connect(app.httpsPort, { secure: true, servername: HOST });
  closeAtEnd(async () => client.destroy());
  const statusOf = async (authority: string) =>
    (await client.ask({ method: 'GET', target: '/', authority, headers: [] })).status;
  expect(await statusOf(HOST)).toBe(200);
  expect(await statusOf('also.test:443')).toBe(200);
  expect(await statusOf('other.test')).toBe(421);
  expect(await statusOf('nobody.test')).toBe(421);
  expect(await statusOf(HOST)).toBe(200);
  // Without SNI the connection was made for an address.
  const unnamed = await Http2Client.connect(app.httpsPort, { secure: true });
  closeAtEnd(async () => unnamed.destroy());
  expect((await unnamed.ask({ method: 'GET', target: '/', authority: HOST, headers: [] })).status).toBe(200);
});

test('TLS 1.2 and 1.3 are spoken, nothing older, and ALPN agrees on HTTP/2 if the client can', async () => {
  const app = await start();
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const protocols of [['h2', 'http/1.1'], ['http/1.1', 'h2'], ['http/1.1'], undefined]) {
      const alpn = protocols === undefined ? {} : { ALPNProtocols: protocols };
      const socket = await secured(app, { minVersion: version, maxVersion: version, ...alpn });
      expect(socket.getProtocol()).toBe(version);
      expect(socket.alpnProtocol).toBe(protocols === undefined ? false : protocols.includes('h2') ? 'h2' : 'http/1.1');
      socket.destroy();
    }
  }
  const old = connect({
    host: '127.0.0.1',
    port: app.httpsPort,
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
    rejectUnauthorized: false,
  });
  const [error] = (await once(old, 'error')) as [Error];
  expect(error.message).toMatch(/protocol|alert/i);
});

test('ALPN agrees on HTTP/1.0 with a client that names nothing else, and on nothing with one that names neither', async () => {
  const app = await start();
  const socket = await secured(app, { ALPNProtocols: ['http/1.0'] });
  expect(socket.alpnProtocol).toBe('http/1.0');
  socket.end('GET / HTTP/1.0\r\nHost: web.test\r\n\r\n');
  const [head] = (await once(socket, 'data')) as [Buffer];
  expect(head.toString()).toContain(' 200 OK\r\n');
  const other = { host: '127.0.0.1', port: app.httpsPort, rejectUnauthorized: false, ALPNProtocols: ['spdy/3'] };
  const [error] = (await once(connect(other), 'error')) as [Error];
  expect(error.message).toContain('no application protocol');
});

const RSA = selfSigned({ names: ['rsa.test', HOST], keyType: 'rsa' });

test.each<[string, readonly string[], string]>([
  ['one Ingress', ['web', 'rsa'], ''],
  ['two Ingresses', ['web'], 'rsa'],
])(
  'of an ECDSA and an RSA certificate that %s give a host, a client gets the one that it can verify',
  async (_, own, others) => {
    const other = { name: 'z', host: HOST, paths: [{ path: '/z', service: 'web' }] };
    const app = await start({
      'web.yaml': file(
        ingress({ host: HOST, tls: own.map((secretName) => ({ hosts: [HOST], secretName })) }),
        ingress({ ...other, tls: others === '' ? [] : [{ hosts: [HOST], secretName: others }] }),
        service(),
        slices('web', []),
        tlsSecret('rsa', RSA),
      ),
    });
    expect(await app.problems()).toEqual([]);
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const seen = async (options: ConnectionOptions = {}) =>
        await nameSeen(app, { minVersion: version, maxVersion: version, ...options });
      expect(await seen()).toBe('DNS:web.test');
      expect(await seen({ sigalgs: 'ECDSA+SHA256' })).toBe('DNS:web.test');
      expect(await seen({ sigalgs: 'RSA-PSS+SHA256:RSA+SHA256' })).toContain('DNS:rsa.test');
      expect(await seen({ sigalgs: 'RSA-PSS+SHA256', ca: RSA.chain, rejectUnauthorized: true })).toContain(
        'DNS:rsa.test',
      );
    }
    expect(await nameSeen(app, { ...TLS12, ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' })).toContain('DNS:rsa.test');
    // Each is replaced by itself.
    const next = selfSigned({ names: ['next.test'] });
    await app.change('secret.yaml', tlsSecret('web', next));
    expect(await nameSeen(app)).toBe('DNS:next.test');
    expect(await nameSeen(app, { sigalgs: 'RSA-PSS+SHA256' })).toContain('DNS:rsa.test');
  },
);

test("of two certificates with keys of one type the older Ingress's is served, and none goes beside one of another namespace", async () => {
  const paths = [{ path: '/z', service: 'web' }];
  const tls = [{ hosts: [HOST], secretName: 'other' }];
  const app = await start({
    'other.yaml': file(
      ingress({ name: 'z', host: HOST, paths, tls }),
      tlsSecret('other', selfSigned({ names: ['other.test'] })),
      ingress({ name: 'far', namespace: 'z-far', host: HOST, paths: [{ path: '/far', service: 'web' }], tls }),
      service('web', { namespace: 'z-far' }),
      tlsSecret('other', RSA, 'kubernetes.io/tls', 'z-far'),
    ),
  });
  const field = 'spec.tls[0].secretName';
  expect(await app.problems()).toMatchObject([
    { object: { name: 'z' }, field },
    { object: { name: 'far' }, field },
  ]);
  expect(await nameSeen(app)).toBe('DNS:web.test');
  await expect(secured(app, { sigalgs: 'RSA-PSS+SHA256' })).rejects.toThrow(/handshake failure/i);
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a session of %s is resumed by every worker, for hosts with certificates and without',
  async (version) => {
    const app = await start();
    for (const servername of [HOST, 'nobody.test']) {
      const options = { servername, minVersion: version, maxVersion: version };
      const first = await secured(app, options);
      // Tickets of TLS 1.3 come after the handshake.
      const ticket = version === 'TLSv1.3' ? ((await once(first, 'session')) as [Buffer])[0] : first.getSession();
      const session = ticket ?? Buffer.alloc(0);
      first.destroy();
      // By chance alone the kernel deals 16 connections to one of two workers once in 32,768 times.
      for (let i = 0; i < 16; i++) {
        const again = await secured(app, { ...options, session });
        expect(again.isSessionReused()).toBe(true);
        again.destroy();
      }
    }
  },
);

test('certificates are swapped 100 times under load: no handshake and no request fails, and the new ones are served', async () => {
  const app = await start();
  // OpenSSL finds an issuer by its name, so each has one of its own.
  const pairs = [
    WEB,
    selfSigned({ names: ['second.test', HOST] }),
    selfSigned({ names: ['third.test', HOST], keyType: 'rsa' }),
  ];
  const trusted = pairs.map(({ chain }) => chain).join('');
  let over = false;
  let asked = 0;
  const kept = new Agent({ keepAlive: true, maxSockets: 2 });
  const load = [kept, undefined, undefined].map(async (agent) => {
    while (!over) {
      const answer = await askVerified(app, trusted, agent);
      expect(answer.status).toBe(200);
      asked++;
    }
  });
  const swaps = (async () => {
    for (let i = 1; i <= 100; i++) await app.change('secret.yaml', tlsSecret('web', pairs[i % 3]!));
  })();
  await swaps.finally(() => (over = true));
  await Promise.all(load);
  kept.destroy();
  expect(asked).toBeGreaterThan(100);
  const socket = await secured(app, { ca: pairs[1]!.chain, rejectUnauthorized: true });
  expect(socket.authorized).toBe(true);
  socket.destroy();
}, 180_000);

async function askVerified(app: App, ca: string, agent: Agent | undefined): Promise<Answer> {
  return await ask(app, { ca, ...(agent === undefined ? {} : { agent }) });
}

test.each([
  ['a key that does not belong to it', tlsSecret('web', { chain: WEB.chain, key: WILD.key }), 'data[tls.key]'],
  ['an unreadable one', tlsSecret('web', { chain: 'nothing', key: WEB.key }), 'data[tls.crt]'],
])('%s is a Problem, and the one before stays; then it is put right', async (_, bad, field) => {
  const app = await start();
  await app.write('secret.yaml', bad);
  await eventually(async () =>
    expect(await app.problems()).toMatchObject([{ object: { kind: 'Secret', name: 'web' }, field }]),
  );
  expect((await ask(app, { ca: WEB.chain })).status).toBe(200);
  const next = selfSigned({ names: [HOST] });
  await app.change('secret.yaml', tlsSecret('web', next));
  expect((await ask(app, { ca: next.chain })).status).toBe(200);
  expect(await app.problems()).toEqual([]);
});

test('an expired certificate is told', async () => {
  const from = Date.UTC(2020, 0, 1);
  const old = selfSigned({ names: [HOST], from, until: from + 86_400_000 });
  const app = await start({ 'secret.yaml': tlsSecret('web', old) });
  expect(await app.problems()).toMatchObject([
    {
      severity: 'error',
      object: { kind: 'Secret', name: 'web' },
      field: 'data[tls.crt]',
      message: expect.stringContaining('2020-01-02') as unknown,
    },
  ]);
});

test('a missing Secret and one of the wrong type are Problems of the Ingress; its hosts have the default certificate until it comes', async () => {
  const app = await start({ 'secret.yaml': file(service('other')) });
  const problem = { object: { kind: 'Ingress', name: 'web' }, field: 'spec.tls[0].secretName' };
  expect(await app.problems()).toMatchObject([problem]);
  expect(await nameSeen(app)).toBe('DNS:holdfast.invalid');
  await app.write('secret.yaml', tlsSecret('web', WEB, 'Opaque'));
  await eventually(async () =>
    expect(await app.problems()).toMatchObject([
      { ...problem, message: expect.stringContaining('of type Opaque') as unknown },
    ]),
  );
  await app.change('secret.yaml', tlsSecret('web', WEB));
  expect(await app.problems()).toEqual([]);
  expect(await nameSeen(app)).toBe('DNS:web.test');
  await app.change('secret.yaml', file(service('other')));
  expect(await nameSeen(app)).toBe('DNS:holdfast.invalid');
});

test('T21 what came over TLS is told to the endpoint, and its cookies are Secure', async () => {
  const app = await start({}, { forwardedHeader: true });
  const answer = await ask(app, { headers: { 'x-forwarded-proto': 'http', 'x-forwarded-port': '1' } });
  const { headers } = answer.described;
  expect(headers['x-forwarded-proto']).toBe('https');
  expect(headers['x-forwarded-port']).toBe('443');
  expect(headers['forwarded']).toContain('proto=https');
  expect(answer.setCookies).toEqual([expect.stringMatching(/^HF=.*; Secure/)]);
  // The session goes on with the cookie of before.
  const cookie = answer.setCookies[0]?.split(';')[0] ?? '';
  for (let i = 0; i < 5; i++) expect((await ask(app, { headers: { cookie } })).pod).toBe(answer.pod);
  // A proxy that has ended TLS or has not is believed, over TLS as well.
  const proxied = await ask(app, { from: TRUSTED, headers: { 'x-forwarded-proto': 'https' } });
  expect(proxied.described.headers['x-forwarded-proto']).toBe('https');
  expect(proxied.setCookies[0]).toContain('; Secure');
});

test('expressions see the name of the handshake, not that of the request', async () => {
  const rules = [{ name: 'by-name', expression: { cel: 'tls.sni + request.scheme', mode: 'Hash' } }] as const;
  const named = [
    { name: 'named', when: { cel: "tls.sni == 'web.test' && request.host == 'b.test'" }, none: {} },
  ] as const;
  const app = await start({
    'policy.yaml': file(policy({ rules: [...named, ...rules] }), policy({ name: 'b', ingress: 'b', rules: named })),
    'b.yaml': ingress({ name: 'b', host: 'b.test' }),
  });
  expect((await ask(app, { headers: { host: 'b.test' } })).status).toBe(200);
  expect((await ask(app, { host: 'b.test' })).status).toBe(200);
  for (let i = 0; i < 4; i++) expect((await ask(app)).status).toBe(200);
  expect((await new Client(app.port).ask('/', { host: 'b.test' })).status).toBe(200);
  const metrics = await app.metrics();
  const of = (labels: Record<string, string>) => metrics.value('holdfast_decisions_total', labels);
  expect(of({ policy: 'b', rule: 'named', outcome: 'stateless' })).toBe(1);
  expect(of({ policy: 'b', rule: '', outcome: 'stateless' })).toBe(2);
  expect(of({ rule: 'by-name', outcome: 'kept' })).toBe(3);
});

test('T24 plain HTTP is sent to HTTPS with 308 and no token; not when a trusted proxy says that it was HTTPS', async () => {
  const app = await start({
    'both.yaml': ingress({
      name: 'both',
      host: 'both.test',
      annotations: { 'holdfast.dev/ssl-redirect': 'false' },
      tls: [{ hosts: ['both.test'], secretName: 'web' }],
    }),
    'plain.yaml': ingress({ name: 'plain', host: 'plain.test' }),
  });
  const client = new Client(app.port);
  for (const method of ['GET', 'POST']) {
    const answer = await client.ask('/a%20b?c=d', {
      method,
      host: 'Web.test:1234',
      ...(method === 'POST' ? { body: 'x' } : {}),
    });
    expect(answer.status).toBe(308);
    expect(answer.headers['location']).toBe('https://web.test/a%20b?c=d');
    expect(answer.setCookies).toEqual([]);
  }
  expect((await client.ask('/', { headers: { 'x-forwarded-proto': 'https' } })).status).toBe(308);
  const trusted = new Client(app.port, { from: TRUSTED });
  const proxied = await trusted.ask('/', { headers: { 'x-forwarded-proto': 'https' } });
  expect(proxied.status).toBe(200);
  expect(proxied.setCookies[0]).toContain('; Secure');
  for (const host of ['both.test', 'plain.test']) expect((await client.ask('/', { host })).status).toBe(200);
  expect((await app.metrics()).value('holdfast_http_errors_total', { code: '308' })).toBe(0);
});

test('holdfast.dev/hsts goes with answers over HTTPS; what the backend says itself stays', async () => {
  const value = 'max-age=31536000; includeSubDomains';
  const own = await startBackend({
    pod: 'own',
    handler: (_, response) => response.setHeader('Strict-Transport-Security', 'max-age=0').end(),
  });
  const app = await start({
    'hsts.yaml': file(
      ingress({ name: 'hsts', host: 'hsts.test', annotations: { 'holdfast.dev/hsts': value } }),
      ingress({ name: 'own', host: 'own.test', service: 'own', annotations: { 'holdfast.dev/hsts': value } }),
      service('own'),
      slices('own', [own]),
    ),
  });
  const seen = async (host: string) => (await ask(app, { host })).headers['strict-transport-security'];
  expect(await seen('hsts.test')).toBe(value);
  expect(await seen('own.test')).toBe('max-age=0');
  expect(await seen(HOST)).toBeUndefined();
  const plain = await new Client(app.port).ask('/', { host: 'hsts.test' });
  expect([plain.status, plain.headers['strict-transport-security']]).toEqual([200, undefined]);
});

test('a redirect names the port that clients see', async () => {
  const app = await start({}, { publicHttpsPort: 4443 });
  expect((await new Client(app.port).get('/')).headers['location']).toBe('https://web.test:4443/');
});

test('with HTTPS off there is no redirect, and the Ingress is told', async () => {
  const app = await start({}, { httpsPort: undefined });
  expect((await new Client(app.port).get('/')).status).toBe(200);
  expect(await app.problems()).toMatchObject([{ severity: 'warning', field: 'spec.tls' }]);
});

test('a WebSocket over TLS', async () => {
  const app = await start();
  const verified: WebSocket.ClientOptions & ConnectionOptions = {
    headers: { host: HOST },
    servername: HOST,
    ca: WEB.chain,
  };
  const socket = new WebSocket(`wss://127.0.0.1:${app.httpsPort}/ws`, verified);
  closeAtEnd(async () => socket.terminate());
  const [hello] = (await once(socket, 'message')) as [Buffer];
  expect(hello.toString()).toMatch(/^pod-/);
  const echo = once(socket, 'message') as Promise<[Buffer]>;
  socket.send('x'.repeat(200_000));
  expect((await echo)[0].length).toBe(200_000);
  const closed = once(socket, 'close');
  socket.close();
  await closed;
});

test('a handshake that is not made in time ends, however slowly its bytes come; the same for one that never begins', async () => {
  const app = await start({}, { headTimeout: 1000, workers: 1 });
  const before = (await app.metrics()).value('holdfast_limit_hits_total', { limit: 'head_timeout' });
  const silent = connectTcp(app.httpsPort, '127.0.0.1');
  const slow = connectTcp(app.httpsPort, '127.0.0.1');
  // The head of a record that a ClientHello could be in, then a byte at a time.
  slow.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]));
  const drip = setInterval(() => slow.write(Buffer.from([1])), 50);
  const closings = [silent, slow].map(async (socket) => {
    socket.resume();
    socket.on('error', () => socket.destroy());
    await once(socket, 'close');
  });
  await Promise.all(closings);
  clearInterval(drip);
  await eventually(async () => {
    const metrics = await app.metrics();
    expect(metrics.value('holdfast_limit_hits_total', { limit: 'head_timeout' })).toBe(before + 2);
    expect(metrics.value('holdfast_connections', { listener: 'http' })).toBe(0);
    return true;
  });
  // Plain HTTP on the port of HTTPS ends the connection, and nothing else.
  const plain = connectTcp(app.httpsPort, '127.0.0.1');
  plain.write('GET / HTTP/1.1\r\nHost: web.test\r\n\r\n');
  plain.resume();
  await once(plain, 'close');
  expect((await ask(app)).status).toBe(200);
});

test('1,000 half-open handshakes, silent or in the middle of a record: others are answered all the while', async () => {
  const app = await start({}, { headTimeout: 120_000 });
  const hello = recordsOf(clientHello([serverName(HOST)]), 50);
  const answered = async (): Promise<void> => {
    for (let i = 0; i < 50; i++) expect((await ask(app)).status).toBe(200);
  };
  const open = await Promise.all(
    Array.from({ length: 1000 }, async (_, i) => {
      const socket = connectTcp(app.httpsPort, '127.0.0.1');
      closeAtEnd(async () => void socket.destroy());
      socket.on('error', () => socket.destroy());
      await once(socket, 'connect');
      socket.write(hello.subarray(0, i % hello.length));
      return socket;
    }),
  );
  await answered();
  const connections = async () => (await app.metrics()).value('holdfast_connections', { listener: 'http' });
  await eventually(async () => (await connections()) >= 1000);
  // Records that come byte by byte, to their end or not.
  let sent = 0;
  const drip = setInterval(() => {
    for (const [i, socket] of open.entries()) socket.write(hello.subarray((i % hello.length) + sent).subarray(0, 1));
    sent++;
  }, 100);
  try {
    await answered();
  } finally {
    clearInterval(drip);
    for (const socket of open) socket.destroy();
  }
  await eventually(async () => (await connections()) === 0);
}, 120_000);

test('half-open handshakes count towards the limit of connections', async () => {
  const app = await start({}, { maxConnections: 3, workers: 1 });
  const open = [1, 2, 3].map(() => connectTcp(app.httpsPort, '127.0.0.1'));
  await eventually(async () => (await app.metrics()).value('holdfast_connections', { listener: 'http' }) === 3);
  await expect(ask(app)).rejects.toThrow(/socket|ECONNRESET|disconnected/i);
  for (const socket of open) socket.destroy();
  await eventually(async () => (await app.metrics()).value('holdfast_connections', { listener: 'http' }) === 0);
  expect((await ask(app)).status).toBe(200);
});

test('a shutdown answers what is under way over TLS and ends idle and half-open connections', async () => {
  const app = await start({}, { shutdownGrace: 20_000 });
  const idle = await secured(app);
  const agent = new Agent({ keepAlive: true });
  expect((await ask(app, { agent })).status).toBe(200);
  const half = connectTcp(app.httpsPort, '127.0.0.1');
  half.on('error', () => half.destroy());
  await once(half, 'connect');
  const ends = [idle, half].map(async (socket) => once(socket.resume(), 'close'));
  await eventually(async () => (await app.metrics()).value('holdfast_connections', { listener: 'http' }) >= 3);
  const began = performance.now();
  await app.close();
  expect(performance.now() - began).toBeLessThan(15_000);
  await Promise.all(ends);
  agent.destroy();
}, 60_000);

test('the addresses are told', async () => {
  const app = await start();
  const version = JSON.parse((await app.admin('/api/v1/version')).text) as Record<string, unknown>;
  expect(version).toMatchObject({ https: { host: '127.0.0.1', port: app.httpsPort }, publicHttpsPort: 443 });
});
