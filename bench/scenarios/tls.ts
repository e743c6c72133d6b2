/** TLS: requests over kept connections, and full and resumed handshakes. */
import { US, type Scenario } from '../support/lab.ts';
import { handshakes, requestsOf, wrk } from '../support/load.ts';
import type { Peer } from '../support/peers/peer.ts';
import { startUsual } from '../support/peers/usual.ts';

const CONNECTIONS = 64;
/** s; some ten thousand handshakes, after which most of Node's and our code for them is compiled for good. */
const WARM_UP = 30;

export const tls: Scenario = {
  name: 'tls',
  about: 'requests over kept TLS connections; full and resumed handshakes',
  programs: ['haproxy', 'nginx', 'wrk', 'openssl'],
  async run(lab) {
    const peers = await startUsual(lab);
    const kept = {
      title: `TLS, ${CONNECTIONS} connections`,
      unit: 'requests per CPU-second',
      us: US,
      goals: { haproxy: '≥ 0.9', nginx: '≥ 0.9' },
    };
    const shaken = (title: string) => {
      return { title, unit: 'connections per CPU-second', us: US, goals: { nginx: '≥ 0.9' } };
    };
    const load = { connections: CONNECTIONS, tls: true };
    const shake = (resumed: boolean) => (peer: Peer) => requestsOf(peer, () => handshakes(lab, peer, resumed));
    return [
      await lab.compare(kept, peers, (peer) => requestsOf(peer, () => wrk(lab, peer, load))),
      await lab.compare(shaken('TLS handshakes, full'), peers, shake(false), WARM_UP),
      await lab.compare(shaken('TLS handshakes, resumed'), peers, shake(true), WARM_UP),
    ];
  },
};
