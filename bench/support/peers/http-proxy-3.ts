/** The library http-proxy-3 with a sticky cookie around it. */
import { BACKEND_ADDRESSES } from '../backends.ts';
import { freePort } from '../child.ts';
import type { Lab } from '../lab.ts';
import { startProgram } from '../load.ts';
import { firstCookie } from './peer.ts';
import type { Peer } from './peer.ts';

export async function startHttpProxy3(lab: Lab, backendPort: number): Promise<Peer> {
  const port = await freePort();
  const targets = BACKEND_ADDRESSES.map((address) => `http://${address}:${backendPort}`);
  const child = startProgram('http-proxy-3', lab.proxyCores, { port, targets });
  return { name: 'http-proxy-3', child, port, securePort: 0, cookie: await child.until(() => firstCookie(port)) };
}
