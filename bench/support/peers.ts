/** What is compared: backends, HAProxy, nginx and Holdfast, each with the same work and on one core. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { delimiter, join } from 'node:path';
import { Child, freePort } from './child.ts';

const ROOT = join(import.meta.dirname, '../..');
const BACKENDS = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
const BODY = `${'0123456789'.repeat(10)}\\n`;

export interface Peer {
  readonly name: string;
  readonly child: Child;
  readonly port: number;
  /** What a client of an established session sends. */
  readonly cookie: string;
}

export interface Holdfast extends Peer {
  readonly adminPort: number;
}

/** Names of programs that are not installed. */
export function missingPrograms(names: readonly string[]): string[] {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return names.filter((name) => !folders.some((folder) => existsSync(join(folder, name))));
}

/** One nginx process on three addresses: it answers 101 bytes and keeps connections open. */
export async function startBackends(dir: string, cores: string): Promise<{ child: Child; port: number }> {
  const port = await freePort();
  const listen = BACKENDS.map((address) => `listen ${address}:${port} backlog=4096;`).join(' ');
  const child = nginx('backends', dir, cores, `server { ${listen} location / { return 200 "${BODY}"; } }`);
  await child.until(() => firstCookie(port));
  return { child, port };
}

export async function startHaproxy(dir: string, core: string, backendPort: number): Promise<Peer> {
  const port = await freePort();
  const servers = BACKENDS.map((address, i) => `  server s${i} ${address}:${backendPort} cookie s${i}`).join('\n');
  const file = join(dir, 'haproxy.cfg');
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option forwardfor
  http-reuse always
frontend clients
  bind 127.0.0.1:${port}
  default_backend web
backend web
  balance leastconn
  cookie SRV insert indirect nocache
${servers}
`,
  );
  const child = new Child('haproxy', core, 'haproxy', ['-db', '-f', file]);
  return { name: 'haproxy', child, port, cookie: await child.until(() => firstCookie(port)) };
}

/** nginx has no sticky cookie in its free edition: it only balances. */
export async function startNginx(dir: string, core: string, backendPort: number): Promise<Peer> {
  const port = await freePort();
  const servers = BACKENDS.map((address) => `server ${address}:${backendPort};`).join(' ');
  const child = nginx(
    'nginx',
    dir,
    core,
    `upstream web { least_conn; ${servers} keepalive 1024; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://web;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }`,
  );
  return { name: 'nginx', child, port, cookie: await child.until(() => firstCookie(port)) };
}

export async function startHoldfast(dir: string, core: string, backendPort: number): Promise<Holdfast> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const manifests = join(dir, 'manifests');
  mkdirSync(manifests);
  writeFileSync(join(manifests, 'bench.yaml'), objects(backendPort));
  const flags = {
    manifests,
    'bind-address': '127.0.0.1',
    'http-port': String(port),
    'https-port': 'off',
    'admin-address': `127.0.0.1:${adminPort}`,
    workers: '1',
    'state-dir': join(dir, 'state'),
    'max-requests-per-connection': '1000000000',
    'shutdown-delay': '0s',
    'shutdown-grace': '1s',
    'log-level': 'warn',
  };
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
  const child = new Child('holdfast', core, process.execPath, [join(ROOT, 'src/main.ts'), 'run', ...args]);
  return { name: 'holdfast', child, port, adminPort, cookie: await child.until(() => firstCookie(port)) };
}

function nginx(name: string, dir: string, cores: string, http: string): Child {
  const prefix = join(dir, name);
  mkdirSync(prefix);
  const file = join(prefix, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${join(prefix, kind)};`)
    .join(' ');
  writeFileSync(
    file,
    `daemon off;
master_process off;
pid ${join(prefix, 'pid')};
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 3600;
  ${temporary}
  ${http}
}
`,
  );
  return new Child(name, cores, 'nginx', ['-e', 'stderr', '-p', prefix, '-c', file]);
}

/** `NAME=VALUE` of the first cookie that a client without one gets; a cookie of the application where there is none. */
async function firstCookie(port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const request = get({ host: '127.0.0.1', port, agent: false }, (response) => {
    response.resume();
    const cookie = response.headers['set-cookie']?.[0]?.split(';')[0] ?? 'SRV=none';
    response.on('end', () => {
      if (response.statusCode === 200) resolve(cookie);
      else reject(new Error(`status ${response.statusCode ?? 0}`));
    });
  });
  request.on('error', reject);
  return await promise;
}

function objects(backendPort: number): string {
  const endpoints = BACKENDS.map(
    (address, i) =>
      `  - { addresses: [${address}], conditions: { ready: true }, targetRef: { kind: Pod, namespace: bench, name: web-${i}, uid: uid-${i} } }`,
  );
  return `apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: { name: holdfast }
spec: { controller: holdfast.dev/ingress-controller }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: bench, namespace: bench, annotations: { holdfast.dev/affinity: cookie, holdfast.dev/cookie-name: SRV } }
spec:
  ingressClassName: holdfast
  rules:
    - http:
        paths: [{ path: /, pathType: Prefix, backend: { service: { name: web, port: { number: 80 } } } }]
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: bench }
spec: { ports: [{ port: 80, targetPort: ${backendPort} }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web, namespace: bench, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ name: '', port: ${backendPort}, protocol: TCP }]
endpoints:
${endpoints.join('\n')}
`;
}
