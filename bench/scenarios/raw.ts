/** Requests over kept connections: the raw HTTP/1.1 lane. */
import { startBackends } from '../support/backends.ts';
import { US, type Scenario } from '../support/lab.ts';
import { requestsOf, wrk } from '../support/load.ts';
import { startCaddy } from '../support/peers/caddy.ts';
import { startHttpProxy3 } from '../support/peers/http-proxy-3.ts';
import type { Peer } from '../support/peers/peer.ts';
import { startUsual } from '../support/peers/usual.ts';
import type { Report } from '../support/report.ts';

const CONNECTIONS = [64, 512];

export const raw: Scenario = {
  name: 'raw',
  about: 'GET of 101 bytes over 64 and 512 kept connections, HTTP/1.1',
  programs: ['haproxy', 'nginx', 'caddy', 'wrk'],
  async run(lab) {
    const backends = await startBackends(lab);
    const usual = await startUsual(lab, backends);
    const peers = [...usual, await startCaddy(lab, backends), await startHttpProxy3(lab, backends)];
    const reports: Report[] = [];
    for (const connections of CONNECTIONS) {
      const question = {
        title: `HTTP/1.1, ${connections} connections`,
        unit: 'requests per CPU-second',
        us: US,
        goals: { haproxy: '≥ 1.0', nginx: '≥ 1.0', caddy: '≥ 5', 'http-proxy-3': '≥ 5' },
      };
      const measure = (peer: Peer) => requestsOf(peer, () => wrk(lab, peer, { connections }));
      reports.push(await lab.compare(question, peers, measure));
    }
    return reports;
  },
};
