/** HAProxy as it would stand in for Holdfast: one thread, a sticky cookie, X-Forwarded-For, connections reused. */
import { BACKEND_ADDRESSES } from '../backends.ts';
import type { BackendProtocol } from '../backends.ts';
import { Child, freePort } from '../child.ts';
import { fileIn } from '../files.ts';
import type { Lab } from '../lab.ts';
import { CIPHER, firstCookie } from './peer.ts';
import type { Peer } from './peer.ts';

export async function startHaproxy(lab: Lab, backendPort: number, protocol: BackendProtocol = 'HTTP'): Promise<Peer> {
  const [port, securePort] = [await freePort(), await freePort()];
  const folder = lab.folder('haproxy');
  const pem = fileIn(folder, 'bench.pem', lab.certificate.cert + lab.certificate.key);
  const proto = protocol === 'GRPC' ? ' proto h2' : '';
  const servers = BACKEND_ADDRESSES.map(
    (address, i) => `  server s${i} ${address}:${backendPort} cookie s${i}${proto}`,
  );
  // With strict limits it does not start where it may not have two descriptors for each of its connections.
  const file = fileIn(
    folder,
    'haproxy.cfg',
    `global
  nbthread 1
  maxconn 12000
  no strict-limits
  ssl-default-bind-ciphersuites ${CIPHER}
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout tunnel 600s
  option forwardfor
  http-reuse always
frontend clients
  bind 127.0.0.1:${port}
  bind 127.0.0.1:${securePort} ssl crt ${pem} alpn h2,http/1.1
  default_backend web
backend web
  balance leastconn
  cookie SRV insert indirect nocache
${servers.join('\n')}
`,
  );
  const child = new Child('haproxy', lab.proxyCores, 'haproxy', ['-db', '-f', file]);
  return { name: 'haproxy', child, port, securePort, cookie: await child.until(() => firstCookie(port)) };
}
