/** New connections: each has one request and is closed by the proxy. */
import { US, type Scenario } from '../support/lab.ts';
import { requestsOf, wrk } from '../support/load.ts';
import { startUsual } from '../support/peers/usual.ts';

const AT_A_TIME = 64;

export const connections: Scenario = {
  name: 'connections',
  about: 'new connections with one request each',
  programs: ['haproxy', 'nginx', 'wrk'],
  async run(lab) {
    const peers = await startUsual(lab);
    const question = {
      title: 'New connections, one request each',
      unit: 'connections per CPU-second',
      us: US,
      goals: {},
    };
    const load = { connections: AT_A_TIME, close: true };
    return [await lab.compare(question, peers, (peer) => requestsOf(peer, () => wrk(lab, peer, load)))];
  },
};
