/** Caddy with its cookie policy, on one core. */
import { BACKEND_ADDRESSES } from '../backends.ts';
import { Child, freePort } from '../child.ts';
import { fileIn } from '../files.ts';
import type { Lab } from '../lab.ts';
import { firstCookie } from './peer.ts';
import type { Peer } from './peer.ts';

export async function startCaddy(lab: Lab, backendPort: number): Promise<Peer> {
  const port = await freePort();
  const folder = lab.folder('caddy');
  const file = fileIn(
    folder,
    'Caddyfile',
    `{
  admin off
  auto_https off
}
http://:${port} {
  bind 127.0.0.1
  reverse_proxy ${BACKEND_ADDRESSES.map((address) => `${address}:${backendPort}`).join(' ')} {
    lb_policy cookie SRV
    transport http {
      keepalive_idle_conns_per_host 1024
    }
  }
}
`,
  );
  // Beside GOMAXPROCS: it keeps certificates and such at home, which is here.
  const env = { GOMAXPROCS: '1', HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const child = new Child('caddy', lab.proxyCores, 'caddy', ['run', '--config', file, '--adapter', 'caddyfile'], env);
  return { name: 'caddy', child, port, securePort: 0, cookie: await child.until(() => firstCookie(port)) };
}
