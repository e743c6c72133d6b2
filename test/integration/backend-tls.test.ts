/** Backends over HTTPS, real ones: what they are asked for, who they must be, who we are, and what becomes of requests when TLS fails. */
import { once } from 'node:events';
import { createServer as createSecureServer } from 'node:https';
import { createServer, type AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { selfSigned } from '../../src/control/self-signed.ts';
import type { KeyPair } from '../../src/model/certificate.ts';
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
} from '../support/app.ts';
import type { App, AppOptions, Backend } from '../support/app.ts';
import type { Handler } from '../support/backend.ts';
import { secret } from '../support/manifests.ts';

const API = selfSigned({ names: ['api.test', 'web.test.svc'] });
const OTHER = selfSigned({ names: ['other.test', 'web.test.svc'] });
const US = selfSigned({ names: ['holdfast.test'] });

const HTTPS = { 'holdfast.dev/backend-protocol': 'HTTPS' };
const VERIFIED = { ...HTTPS, 'holdfast.dev/backend-tls-secret': 'tls' };

/** What a backend sees of TLS. */
interface Seen {
  readonly pod: string;
  readonly server: string | false | undefined;
  readonly client: string | undefined;
  readonly resumed: boolean;
  /** Which of its requests over this connection it is. */
  readonly turn: number;
}

function seeing(pod: string): Handler {
  const turns = new WeakMap<object, number>();
  return ({ socket }, response) => {
    if (!(socket instanceof TLSSocket)) throw new Error('plain text came to a TLS server');
    const turn = (turns.get(socket) ?? 0) + 1;
    turns.set(socket, turn);
    const { servername } = socket as TLSSocket & { servername?: string | false };
    const { subject } = socket.getPeerCertificate();
    const client = subject === undefined ? undefined : String(subject.CN);
    response.end(JSON.stringify({ pod, server: servername, client, resumed: socket.isSessionReused(), turn }));
  };
}

async function startSecure(pod: string, { chain, key }: KeyPair, more: object = {}): Promise<Backend> {
  return await startBackend({ pod, handler: seeing(pod), tls: { cert: chain, key, ...more } });
}

interface SiteOptions {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly appProtocol?: string;
  /** Of the Secret `tls`. */
  readonly data?: Readonly<Record<string, string>>;
  readonly more?: readonly string[];
  readonly config?: AppOptions['config'];
}

async function start(
  backends: readonly { readonly pod: string; readonly port: number }[],
  options: SiteOptions = {},
): Promise<App> {
  const { annotations = {}, appProtocol, data = {}, more = [], config = {} } = options;
  return await startApp({
    manifests: {
      'web.yaml': file(
        ingress({ annotations }),
        service('web', appProtocol === undefined ? {} : { appProtocol }),
        slices('web', backends),
        ...more,
      ),
      'secret.yaml': secret('tls', data),
    },
    config: { workers: 1, ...config },
  });
}

async function seen(app: App): Promise<Seen> {
  const answer = await new Client(app.port).get();
  expect(answer).toMatchObject({ status: 200 });
  return JSON.parse(answer.text) as Seen;
}

/** The code of the proxy's own answer. */
async function refusal(app: App, headers: Record<string, string> = {}): Promise<string> {
  const { status, text } = await new Client(app.port).get('/', { accept: 'application/json', ...headers });
  return `${status} ${(JSON.parse(text) as { code: string }).code}`;
}

const tlsLines = ({ logs }: App): string[] => logs.filter((line) => line.includes('TLS to endpoint'));

test.each([
  ['an annotation', { annotations: HTTPS }],
  ["ingress-nginx's annotation", { annotations: { 'nginx.ingress.kubernetes.io/backend-protocol': 'HTTPS' } }],
  ['appProtocol', { appProtocol: 'https' }],
])('by %s: without verification and without a name, over connections that are kept', async (_, options) => {
  const backend = await startSecure('pod-0', OTHER);
  const app = await start([backend], options);
  expect(await seen(app)).toEqual({ pod: 'pod-0', server: false, resumed: false, turn: 1 });
  expect(await seen(app)).toMatchObject({ turn: 2 });
  expect(backend.connections).toBe(1);
});

test('a new connection resumes the TLS session of an earlier one', async () => {
  const tell = seeing('pod-0');
  const handler: Handler = (request, response) => {
    response.setHeader('connection', 'close');
    tell(request, response);
  };
  const backend = await startBackend({ pod: 'pod-0', handler, tls: { cert: API.chain, key: API.key } });
  const app = await start([backend], { annotations: VERIFIED, data: { 'ca.crt': API.chain } });
  expect(await seen(app)).toMatchObject({ resumed: false });
  expect(await seen(app)).toMatchObject({ resumed: true, turn: 1 });
});

test('with authorities in the Secret certificates are verified, for the name of the Service, which is sent', async () => {
  const app = await start([await startSecure('pod-0', API)], { annotations: VERIFIED, data: { 'ca.crt': API.chain } });
  expect(await seen(app)).toMatchObject({ server: 'web.test.svc' });
});

test('or for the name that the annotation gives', async () => {
  const annotations = { ...VERIFIED, 'holdfast.dev/backend-tls-name': 'api.test' };
  const app = await start([await startSecure('pod-0', API)], { annotations, data: { 'ca.crt': API.chain } });
  expect(await seen(app)).toMatchObject({ server: 'api.test' });
});

test('as ingress-nginx has it: verified only when asked to, the name sent only when asked to', async () => {
  const nginx = (more: Record<string, string>) =>
    Object.fromEntries(
      Object.entries({ 'backend-protocol': 'HTTPS', 'proxy-ssl-secret': 'test/tls', ...more }).map(([name, value]) => [
        `nginx.ingress.kubernetes.io/${name}`,
        value,
      ]),
    );
  const backend = await startSecure('pod-0', OTHER);
  const data = { 'ca.crt': API.chain };
  const app = await start([backend], { annotations: nginx({ 'proxy-ssl-name': 'api.test' }), data });
  expect(await seen(app)).toMatchObject({ server: false });
  const manifest = (more: Record<string, string>) =>
    file(ingress({ annotations: nginx(more) }), service(), slices('web', [backend]));
  await app.change('web.yaml', manifest({ 'proxy-ssl-name': 'api.test', 'proxy-ssl-server-name': 'on' }));
  expect(await seen(app)).toMatchObject({ server: 'api.test' });
  await app.change('web.yaml', manifest({ 'proxy-ssl-name': 'api.test', 'proxy-ssl-verify': 'on' }));
  expect(await refusal(app)).toBe('502 connect_tls');
});

test.each([
  ['signed by somebody else', VERIFIED, OTHER.chain, 'self-signed certificate'],
  [
    'for another name',
    { ...VERIFIED, 'holdfast.dev/backend-tls-name': 'elsewhere.test' },
    API.chain,
    'elsewhere.test. is not in the cert',
  ],
])(
  'a certificate %s is 502 and counted as a failed connect; the log says why, once',
  async (_, annotations, ca, why) => {
    const backend = await startSecure('pod-0', API);
    const app = await start([backend], { annotations, data: { 'ca.crt': ca } });
    for (let i = 0; i < 3; i++) expect(await refusal(app)).toBe('502 connect_tls');
    expect(backend.requests).toBe(0);
    expect((await app.metrics()).sum('holdfast_endpoint_connect_failures_total')).toBe(3);
    await eventually(() => tlsLines(app).length > 0);
    expect(tlsLines(app)).toHaveLength(1);
    expect(tlsLines(app)[0]).toContain(why);
    expect(tlsLines(app)[0]).toContain('of web.test.svc failed');
  },
);

test('an endpoint that asks who we are gets the certificate of the Secret', async () => {
  const backend = await startSecure('pod-0', API, { requestCert: true, rejectUnauthorized: true, ca: US.chain });
  const data = { 'tls.crt': US.chain, 'tls.key': US.key };
  const app = await start([backend], { annotations: VERIFIED, data });
  expect(await seen(app)).toMatchObject({ client: 'holdfast.test', server: false });
  await app.change('web.yaml', file(ingress({ annotations: HTTPS }), service(), slices('web', [backend])));
  expect(await refusal(app)).toMatch(/^502 (closed_early|connect_tls)$/);
});

test('a Secret that is replaced is used by the next connection, and the idle ones of before are closed', async () => {
  const backend = await startSecure('pod-0', API);
  const app = await start([backend], { annotations: VERIFIED, data: { 'ca.crt': API.chain } });
  await seen(app);
  expect(backend.connections).toBe(1);
  await app.change('secret.yaml', secret('tls', { 'ca.crt': OTHER.chain }));
  await eventually(() => backend.connections === 0);
  expect(await refusal(app)).toBe('502 connect_tls');
  await app.change('secret.yaml', secret('tls', { 'ca.crt': OTHER.chain + API.chain }));
  expect(await seen(app)).toMatchObject({ turn: 1 });
});

test('without its Secret an Ingress is closed, until it is there', async () => {
  const backend = await startSecure('pod-0', API);
  const annotations = { ...HTTPS, 'holdfast.dev/backend-tls-secret': 'late' };
  const app = await start([backend], { annotations });
  expect(await refusal(app)).toBe('503 no_backend');
  const [problem] = await app.problems();
  expect(problem).toMatchObject({ severity: 'error', field: 'metadata.annotations[holdfast.dev/backend-tls-secret]' });
  await app.change('late.yaml', secret('late', { 'ca.crt': API.chain }));
  expect(await seen(app)).toMatchObject({ pod: 'pod-0' });
});

test('a port that turns to HTTPS is spoken to so', async () => {
  const backend = await startSecure('pod-0', API);
  const app = await start([backend]);
  expect((await new Client(app.port).get()).status).not.toBe(200);
  await app.change('web.yaml', file(ingress(), service('web', { appProtocol: 'https' }), slices('web', [backend])));
  expect(await seen(app)).toMatchObject({ pod: 'pod-0' });
});

test('a handshake that hangs ends with the connect time-out', async () => {
  const silent = createServer((socket) => socket.on('error', () => socket.destroy()).resume()).listen(0, '127.0.0.1');
  closeAtEnd(async () => void silent.close());
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const app = await start([{ pod: 'pod-0', port }], { annotations: HTTPS, config: { connectTimeout: 300 } });
  expect(await refusal(app)).toBe('504 connect_timeout');
  expect((await app.metrics()).value('holdfast_limit_hits_total', { limit: 'connect_timeout' })).toBeGreaterThan(0);
});

test('an endpoint that speaks plain text is passed over, and a session that was there moves at once', async () => {
  const secure = await startSecure('pod-0', API);
  let plain: Backend = await startSecure('pod-1', API);
  const { port } = plain;
  const rules = [{ name: 'browsers', cookie: { name: 'HF' } }];
  const app = await start([secure, plain], { annotations: HTTPS, more: [policy({ rules })] });
  const clients = Array.from({ length: 8 }, () => new Client(app.port, { jar: true }));
  const pods = await Promise.all(clients.map(async (client) => (JSON.parse((await client.get()).text) as Seen).pod));
  expect(new Set(pods)).toEqual(new Set(['pod-0', 'pod-1']));
  await plain.close();
  plain = await startBackend({ pod: 'pod-1', port });
  for (const client of clients) {
    const answer = await client.get();
    expect(answer.status).toBe(200);
    expect((JSON.parse(answer.text) as Seen).pod).toBe('pod-0');
  }
  expect(plain.requests).toBe(0);
});

test('two Ingresses speak to one Service in two ways, and what fails of one leaves the sessions of the other alone', async () => {
  const backends = await Promise.all(['pod-0', 'pod-1'].map((pod) => startBackend({ pod })));
  const rules = [{ name: 'browsers', cookie: { name: 'HF' } }];
  const app = await start(backends, {
    more: [ingress({ name: 'secure', host: 'secure.test', annotations: HTTPS }), policy({ rules })],
  });
  const clients = Array.from({ length: 4 }, () => new Client(app.port, { jar: true }));
  const before = await Promise.all(clients.map(async (client) => (await client.get()).pod));
  for (let i = 0; i < 4; i++) expect(await refusal(app, { host: 'secure.test' })).toBe('502 connect_tls');
  const after = await Promise.all(clients.map(async (client) => (await client.get()).pod));
  expect(after).toEqual(before);
});

test('routes with other settings have connections of their own, and lose only those', async () => {
  const backend = await startSecure('pod-0', API);
  const app = await start([backend], {
    annotations: VERIFIED,
    data: { 'ca.crt': API.chain },
    more: [ingress({ name: 'open', host: 'open.test', annotations: HTTPS })],
  });
  const open = async (): Promise<Seen> => {
    const { text } = await new Client(app.port, { host: 'open.test' }).get();
    return JSON.parse(text) as Seen;
  };
  expect(await seen(app)).toMatchObject({ server: 'web.test.svc', turn: 1 });
  expect(await open()).toMatchObject({ server: false, turn: 1 });
  expect(backend.connections).toBe(2);
  await app.change('secret.yaml', secret('tls', { 'ca.crt': API.chain + OTHER.chain }));
  await eventually(() => backend.connections === 1);
  expect(await open()).toMatchObject({ turn: 2 });
  expect(await seen(app)).toMatchObject({ turn: 1 });
});

test('a PROXY protocol header goes before the handshake', async () => {
  const headers: string[] = [];
  const secure = createSecureServer({ cert: API.chain, key: API.key }, seeing('pod-0'));
  const front = createServer((socket) => {
    socket.once('data', (first: Buffer) => {
      socket.pause();
      const end = first.indexOf('\r\n') + 2;
      headers.push(first.toString('latin1', 0, end));
      if (end < first.length) socket.unshift(first.subarray(end));
      secure.emit('connection', socket);
    });
  }).listen(0, '127.0.0.1');
  closeAtEnd(async () => void front.close());
  await once(front, 'listening');
  const { port } = front.address() as AddressInfo;
  const annotations = { ...VERIFIED, 'holdfast.dev/send-proxy-protocol': 'v1' };
  const app = await start([{ pod: 'pod-0', port }], { annotations, data: { 'ca.crt': API.chain } });
  expect(await seen(app)).toMatchObject({ server: 'web.test.svc' });
  expect(headers).toHaveLength(1);
  expect(headers[0]).toMatch(/^PROXY TCP4 127\.0\.0\.1 /);
});

test('AUTO_HTTP speaks to endpoints as the client does to us', async () => {
  const [plain, secure] = [await startBackend({ pod: 'pod-0' }), await startSecure('pod-1', API)];
  const annotations = { 'nginx.ingress.kubernetes.io/backend-protocol': 'AUTO_HTTP' };
  const app = await start([plain], {
    annotations,
    more: [
      ingress({ name: 'secure', host: 'secure.test', service: 'secure', annotations }),
      service('secure'),
      slices('secure', [secure]),
    ],
    config: { trustedProxies: ['127.0.0.1'] },
  });
  expect((await new Client(app.port).get()).pod).toBe('pod-0');
  const headers = { host: 'secure.test', 'x-forwarded-proto': 'https' };
  const answer = await new Client(app.port).get('/', headers);
  expect(JSON.parse(answer.text)).toMatchObject({ pod: 'pod-1' });
});

test('WebSocket connections go over TLS to the endpoint', async () => {
  const app = await start([await startSecure('pod-0', API)], { annotations: VERIFIED, data: { 'ca.crt': API.chain } });
  const socket = new WebSocket(`ws://127.0.0.1:${app.port}/`);
  closeAtEnd(async () => socket.terminate());
  const [hello] = (await once(socket, 'message')) as [Buffer];
  expect(hello.toString()).toBe('pod-0');
  socket.send('ping');
  const [echo] = (await once(socket, 'message')) as [Buffer];
  expect(echo.toString()).toBe('ping');
});
