/** The peers that most scenarios compare: Holdfast, HAProxy and nginx before the same backends. */
import { startBackends } from '../backends.ts';
import type { BackendProtocol } from '../backends.ts';
import type { Lab } from '../lab.ts';
import { startHaproxy } from './haproxy.ts';
import { startHoldfast } from './holdfast.ts';
import { startNginx } from './nginx.ts';
import type { Peer } from './peer.ts';

/** `backendPort`: of backends that have been started already. */
export async function startUsual(lab: Lab, backendPort?: number, protocol: BackendProtocol = 'HTTP'): Promise<Peer[]> {
  const port = backendPort ?? (await startBackends(lab));
  return [
    await startHoldfast(lab, port, { protocol }),
    await startHaproxy(lab, port, protocol),
    await startNginx(lab, port, protocol),
  ];
}
