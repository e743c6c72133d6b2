/** What other clients feel of a flood: their p99 meanwhile, and in the calm before it. */
import type { ConstantRate, Latencies } from '../programs/constant-rate.ts';
import type { Flood, Flooded } from '../programs/flood.ts';
import { startBackends } from '../support/backends.ts';
import type { Lab, Scenario } from '../support/lab.ts';
import { program } from '../support/load.ts';
import { startHoldfast } from '../support/peers/holdfast.ts';
import type { Peer } from '../support/peers/peer.ts';

const FLOODS: readonly { readonly name: string; readonly flood: Flood }[] = [
  { name: '10,000 rapid resets a second', flood: 'resets' },
  { name: '100,000 CONTINUATION frames a second', flood: 'continuations' },
  { name: '100,000 PINGs a second', flood: 'pings' },
  { name: '1,000 half-open TLS handshakes, begun at once', flood: 'half-open' },
  { name: '1,000 TLS records that come byte by byte', flood: 'slow-records' },
];
/** The flood outlasts the requests that are measured by this, their warm-up included. */
const LONGER_S = 1.5;
/** The other clients. */
const OTHERS = { connections: 50, perSecond: 1000, sleeps: true };

export const floods: Scenario = {
  name: 'floods',
  about: 'p99 of other clients while one floods a worker, beside the p99 before',
  programs: ['nginx'],
  async run(lab) {
    const peer = await startHoldfast(lab, await startBackends(lab));
    const question = {
      title: '1,000 requests a second of other clients, one worker',
      unit: '× the p99 before',
      goals: Object.fromEntries(FLOODS.map(({ name }) => [name, '≤ 2'])),
    };
    return [await lab.compare(question, FLOODS, ({ flood }) => measure(lab, peer, flood))];
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
