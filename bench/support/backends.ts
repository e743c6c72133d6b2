/** The backends of all proxies: one nginx process on three addresses, on the load's cores; connections are kept. */
import { join } from 'node:path';
import { freePort } from './child.ts';
import { fileIn } from './files.ts';
import type { Lab } from './lab.ts';
import { nginx } from './nginx.ts';
import { firstCookie } from './peers/peer.ts';

/** Each proxy balances over these, on the same port. */
export const BACKEND_ADDRESSES = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];

/** What proxies speak to backends: HTTP/1.1, or calls over HTTP/2 in plain text by prior knowledge. */
export type BackendProtocol = 'HTTP' | 'GRPC';

/** Paths of the backends, beside `/` with 101 bytes: bodies by their size, and those that take one and answer `/`. */
export const SIZES = [
  { name: '10 KB', path: '/10k', bytes: 10_000 },
  { name: '1 MB', path: '/1m', bytes: 1_000_000 },
  { name: '10 MB', path: '/10m', bytes: 10_000_000 },
] as const;
export const TAKES = { small: '/take', large: '/take-large' } as const;
const LARGEST = '11m';
const BODY = `${'0123456789'.repeat(10)}\\n`;

/**
 * Gives their port.
 * @param everywhere on all addresses instead, for pools of so many endpoints that each needs one
 */
export async function startBackends(lab: Lab, everywhere = false): Promise<number> {
  const port = await freePort();
  const folder = lab.folder('backends');
  for (const { path, bytes } of SIZES) fileIn(folder, path, Buffer.alloc(bytes, 'holdfast'));
  const addresses = everywhere ? ['0.0.0.0'] : BACKEND_ADDRESSES;
  const listen = addresses.map((address) => `listen ${address}:${port} backlog=4096;`).join(' ');
  const socket = join(folder, 'answers.sock');
  // Answering before the body has come is another test: so it is read whole, then something else answers.
  const take = (path: string, buffer: string) =>
    `location ${path} { client_body_buffer_size ${buffer}; proxy_pass http://answers; proxy_http_version 1.1;
      proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_set_header Connection ""; }`;
  const child = nginx(
    'backends',
    folder,
    lab.loadCores,
    `sendfile on;
  upstream answers { server unix:${socket}; keepalive 256; keepalive_requests 100000000; }
  server { listen unix:${socket}; location / { return 200 "${BODY}"; } }
  server {
    ${listen}
    root ${folder};
    client_max_body_size 0;
    location = / { return 200 "${BODY}"; }
    ${take(TAKES.small, '16k')}
    ${take(TAKES.large, LARGEST)}
  }`,
  );
  await child.until(() => firstCookie(port));
  return port;
}
