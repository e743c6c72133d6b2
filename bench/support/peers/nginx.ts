/** nginx as a proxy. Its free edition has no sticky cookie: it only balances. */
import { BACKEND_ADDRESSES } from '../backends.ts';
import type { BackendProtocol } from '../backends.ts';
import { freePort } from '../child.ts';
import { fileIn } from '../files.ts';
import type { Lab } from '../lab.ts';
import { nginx } from '../nginx.ts';
import { CIPHER, firstCookie } from './peer.ts';
import type { Peer } from './peer.ts';

/** Directives of the location. */
const PASS: Readonly<Record<BackendProtocol, string>> = {
  HTTP: `proxy_pass http://web;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Connection $connection_header;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_max_temp_file_size 0;`,
  GRPC: `grpc_pass grpc://web;
      grpc_set_header Host $host;
      grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      grpc_set_header X-Forwarded-Proto $scheme;`,
};

export async function startNginx(lab: Lab, backendPort: number, protocol: BackendProtocol = 'HTTP'): Promise<Peer> {
  const [port, securePort] = [await freePort(), await freePort()];
  const folder = lab.folder('nginx');
  const cert = fileIn(folder, 'bench.crt', lab.certificate.cert);
  const key = fileIn(folder, 'bench.key', lab.certificate.key);
  const servers = BACKEND_ADDRESSES.map((address) => `server ${address}:${backendPort};`).join(' ');
  const child = nginx(
    'nginx',
    folder,
    lab.proxyCores,
    `upstream web { least_conn; ${servers} keepalive 1024; keepalive_requests 100000000; }
  map $http_upgrade $connection_header { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    listen 127.0.0.1:${securePort} ssl http2 backlog=4096;
    ssl_certificate ${cert};
    ssl_certificate_key ${key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_conf_command Ciphersuites ${CIPHER};
    ssl_session_cache shared:tls:10m;
    client_max_body_size 0;
    location / {
      ${PASS[protocol]}
    }
  }`,
  );
  return { name: 'nginx', child, port, securePort, cookie: await child.until(() => firstCookie(port)) };
}
