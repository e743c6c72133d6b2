/** Holdfast over a folder of manifests, with cookie affinity and all else as it is by default. */
import { join } from 'node:path';
import { file, ingress, NAMESPACE, service, slice, tlsSecret } from '../../../test/support/manifests.ts';
import type { EndpointOptions } from '../../../test/support/manifests.ts';
import { BACKEND_ADDRESSES } from '../backends.ts';
import type { BackendProtocol } from '../backends.ts';
import { Child, freePort } from '../child.ts';
import { fileIn } from '../files.ts';
import { US } from '../lab.ts';
import type { Lab } from '../lab.ts';
import { firstCookie } from './peer.ts';
import type { Peer } from './peer.ts';

const ROOT = join(import.meta.dirname, '../../..');
const SECRET = 'certificate';
/** Reading 100,000 routes from YAML takes its time. */
const START_DEADLINE_MS = 180_000;

export interface HoldfastOptions {
  readonly name?: string;
  readonly workers?: number;
  /** Documents beside those of the site that all peers serve. */
  readonly others?: readonly string[];
  /** Endpoints of that site. */
  readonly endpoints?: readonly EndpointOptions[];
  readonly protocol?: BackendProtocol;
  /** What runs Node, with its arguments, and Node's own. */
  readonly under?: readonly string[];
  readonly flags?: readonly string[];
}

export async function startHoldfast(
  lab: Lab,
  backendPort: number,
  options: HoldfastOptions = {},
): Promise<Required<Peer>> {
  const { name = US, workers = 1, others = [], endpoints = podsOn(backendPort), protocol = 'HTTP' } = options;
  const [command = process.execPath, ...before] = [
    ...(options.under ?? []),
    process.execPath,
    ...(options.flags ?? []),
  ];
  const [port, securePort, adminPort] = [await freePort(), await freePort(), await freePort()];
  const folder = lab.folder(US);
  const manifests = lab.folder('manifests');
  fileIn(manifests, 'site.yaml', site(lab, endpoints, protocol));
  if (others.length > 0) fileIn(manifests, 'others.yaml', file(...others));
  const settings = {
    manifests,
    'bind-address': '127.0.0.1',
    'http-port': String(port),
    'https-port': String(securePort),
    'default-tls-secret': `${NAMESPACE}/${SECRET}`,
    'admin-address': `127.0.0.1:${adminPort}`,
    workers: String(workers),
    'state-dir': folder,
    'idle-timeout': '10m',
    'max-requests-per-connection': '1000000000',
    'shutdown-delay': '0s',
    'shutdown-grace': '1s',
    'log-level': 'warn',
  };
  const args = Object.entries(settings).flatMap(([flag, value]) => [`--${flag}`, value]);
  const child = new Child(name, lab.proxyCores, command, [...before, join(ROOT, 'src/main.ts'), 'run', ...args]);
  const cookie = await child.until(() => firstCookie(port), START_DEADLINE_MS);
  return { name, child, port, securePort, cookie, kept: () => keptRequests(adminPort) };
}

async function keptRequests(adminPort: number): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const kept = [...metrics.matchAll(/^holdfast_decisions_total\{[^}]*outcome="kept"[^}]*\} (\S+)$/gm)];
  return kept.reduce((sum, [, value]) => sum + Number(value), 0);
}

function podsOn(port: number): EndpointOptions[] {
  return BACKEND_ADDRESSES.map((address, i) => ({ pod: `web-${i}`, address, port }));
}

function site({ certificate }: Lab, endpoints: readonly EndpointOptions[], protocol: BackendProtocol): string {
  const annotations = {
    'holdfast.dev/affinity': 'cookie',
    'holdfast.dev/cookie-name': 'SRV',
    'holdfast.dev/backend-protocol': protocol,
  };
  return file(
    INGRESS_CLASS,
    ingress({ annotations }),
    service(),
    slice({ service: 'web', endpoints }),
    tlsSecret(SECRET, { chain: certificate.cert, key: certificate.key }),
  );
}

const INGRESS_CLASS = `apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: { name: holdfast }
spec: { controller: holdfast.dev/ingress-controller }
`;
