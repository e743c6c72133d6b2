/** What other clients feel of a flood: their p99 meanwhile, and in the calm before it; of each proxy under the same flood. */
import type { ConstantRate, Latencies } from '../programs/constant-rate.ts';
import type { Flood, Flooded } from '../programs/flood.ts';
import { US, type Lab, type Scenario } from '../support/lab.ts';
import { program } from '../support/load.ts';
import type { Peer } from '../support/peers/peer.ts';
import { startUsual } from '../support/peers/usual.ts';
import type { Report } from '../support/report.ts';

const FLOODS: Readonly<Record<Flood, string>> = {
  resets: '10,000 rapid resets a second',
  continuations: '100,000 CONTINUATION frames a second',
  pings: '100,000 PINGs a second',
  'half-open': '1,000 half-open TLS handshakes, begun at once',
  'slow-records': '1,000 TLS records that come byte by byte',
};
/** The flood outlasts the requests that are measured by this, their warm-up included. */
const LONGER_S = 1.5;
/** The other clients. */
const OTHERS = { connections: 50, perSecond: 1000, sleeps: true };

export const floods: Scenario = {
  name: 'floods',
  about: 'p99 of other clients while one floods a proxy, beside the p99 before',
  programs: ['haproxy', 'nginx'],
  async run(lab) {
    const peers = await startUsual(lab);
    const reports: Report[] = [];
    for (const [flood, title] of Object.entries(FLOODS) as [Flood, string][]) {
      const question = { title, unit: '× the p99 before', goals: { [US]: '≤ 2' } };
      reports.push(await lab.compare(question, peers, (peer) => measure(lab, peer, flood)));
    }
    return reports;
  },
};

async function measure(lab: Lab, peer: Peer, flood: Flood) {
  const { port, cookie } = peer;
  const others: ConstantRate = { ...OTHERS, port, cookie, seconds: lab.seconds };
  const before = await program<Latencies>(lab, 'constant-rate', others);
  const memory = peer.child.residentMemory();
  const flooding = { port: peer.securePort, flood, seconds: lab.seconds + LONGER_S };
  const [meanwhile, { connections }] = await Promise.all([
    program<Latencies>(lab, 'constant-rate', others),
    program<Flooded>(lab, 'flood', flooding),
  ]);
  return {
    figure: meanwhile.p99 / before.p99,
    more: {
      'p99 before, ms': before.p99,
      'p99, ms': meanwhile.p99,
      'p50, ms': meanwhile.p50,
      'MiB grown': (peer.child.residentMemory() - memory) / 1024,
      'connections that flood': connections,
    },
  };
}
