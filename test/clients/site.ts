/** What the clients visit: two hosts with sessions on the same pods, one with HTTPS and one without. */
import { createHash, randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  closeAtEnd,
  file,
  ingress,
  makeFolder,
  policy,
  service,
  site,
  slices,
  startApp,
  startBackend,
} from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';
import type { Handler } from '../support/backend.ts';
import { selfSigned } from '../support/certificate.ts';
import { tlsSecret } from '../support/manifests.ts';

export const COOKIE = 'HF';
/** What `/large` gives: 5 MB in which no part is like another. */
export const LARGE = randomBytes(5 << 20);

const HOST = 'web.test';
/** A browser would ask for one of its own accord. */
const NO_ICON = '<link rel="icon" href="data:,">';
/** The manifest of its pods. */
const SLICES = 'slices.yaml';

export interface RunningSite {
  readonly app: App;
  readonly pods: readonly Backend[];
  /** Origin of the host with HTTPS. Plain HTTP is sent there. */
  readonly secure: string;
  /** Origin of the host without. */
  readonly plain: string;
  /** A temporary folder of the test's own. */
  readonly folder: string;
  /** File with the CA of the host with HTTPS. */
  readonly ca: string;
}

/** Its pods answer with the digest of what they are sent, and with their name when that is nothing; on `/page` as HTML. */
export async function startSite(): Promise<RunningSite> {
  const folder = await makeFolder();
  closeAtEnd(() => rm(folder, { recursive: true, force: true }));
  const names = ['pod-0', 'pod-1', 'pod-2'];
  const pods = await Promise.all(names.map((pod) => startBackend({ pod, handler: answering(pod) })));
  const { key, cert } = selfSigned(HOST);
  const ca = join(folder, 'ca.pem');
  await writeFile(ca, cert);
  const app = await startApp({
    manifests: {
      'web.yaml': file(
        ingress({ host: HOST, tls: [{ hosts: [HOST], secretName: 'web' }] }),
        service(),
        policy({ rules: [{ name: 'browsers', cookie: { name: COOKIE, sameSite: 'Strict' } }] }),
      ),
      [SLICES]: podSlices(pods),
      'secret.yaml': tlsSecret('web', { chain: cert, key }),
      'plain.yaml': site('plain', { endpoints: pods.map((pod) => pod.endpoint()) }),
    },
    config: { httpsPort: 0, h2c: true },
  });
  return {
    app,
    pods,
    secure: `https://${HOST}:${app.httpsPort}`,
    plain: `http://plain.test:${app.port}`,
    folder,
    ca,
  };
}

/** From now on the host with HTTPS has these pods, and every worker knows. */
export async function setPods({ app }: RunningSite, pods: readonly Backend[]): Promise<void> {
  await app.change(SLICES, podSlices(pods));
}

function podSlices(pods: readonly Backend[]): string {
  return slices(
    'web',
    pods.map((pod) => pod.endpoint()),
  );
}

export function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function answering(pod: string): Handler {
  return (request, response) => {
    if (request.url === '/large') return void response.end(LARGE);
    if (request.url === '/page') return void response.setHeader('content-type', 'text/html').end(`${NO_ICON}${pod}`);
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => response.end(parts.length === 0 ? pod : digest(Buffer.concat(parts))));
  };
}
