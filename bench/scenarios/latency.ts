/** Latency at half of what HAProxy serves here, by a client that does not wait for answers before it sends. */
import type { Latencies } from '../programs/constant-rate.ts';
import { startBackends } from '../support/backends.ts';
import type { Sample } from '../support/figures.ts';
import { US, type Lab, type Scenario } from '../support/lab.ts';
import { program, wrk } from '../support/load.ts';
import type { Peer } from '../support/peers/peer.ts';
import { startUsual } from '../support/peers/usual.ts';
import type { Report } from '../support/report.ts';

const CONNECTIONS = 64;
/** The backends without a proxy: what is above theirs was added by the proxy. */
const DIRECT = 'no proxy';
const RIVAL = 'haproxy';
const P99_9 = 'p99.9';

export const latency: Scenario = {
  name: 'latency',
  about: 'p50, p99 and p99.9 at half load, with requests at a constant rate',
  programs: ['haproxy', 'nginx', 'wrk'],
  async run(lab) {
    const backends = await startBackends(lab);
    const peers = await startUsual(lab, backends);
    const perSecond = Math.round((await capacityOf(lab, peers)) / 2);
    const title = `Latency at ${perSecond} requests a second, ${CONNECTIONS} connections`;
    const measured = await lab.compare(
      { title, unit: 'p99, ms', us: US, goals: {} },
      [...peers, { name: DIRECT, port: backends, cookie: 'SRV=none' }],
      async ({ port, cookie }) => {
        const load = { port, cookie, connections: CONNECTIONS, perSecond, seconds: lab.seconds };
        const { p50, p99, p999, late } = await program<Latencies>(lab, 'constant-rate', load);
        return { figure: p99, more: { p50, [P99_9]: p999, 'sent late (p99)': late } };
      },
    );
    const added = (name: string, goal: string, of: (sample: Sample) => number): Report => ({
      ...{ title: `${name} added at that rate`, unit: 'ms', us: US, goals: { [RIVAL]: goal } },
      rounds: measured.rounds.map((round) => addedIn(round, of)),
    });
    return [
      measured,
      added('p99', '≤ 1.2', ({ figure }) => figure),
      added(P99_9, '≤ 1.5', ({ more }) => more[P99_9] ?? NaN),
    ];
  },
};

/** Requests a second of HAProxy when it is given all that it can take. */
async function capacityOf(lab: Lab, peers: readonly Peer[]): Promise<number> {
  const haproxy = peers.find(({ name }) => name === RIVAL);
  if (haproxy === undefined) throw new Error(`no ${RIVAL} among the peers`);
  const { requests, seconds } = await wrk(lab, haproxy, { connections: CONNECTIONS });
  return requests / seconds;
}

function addedIn(round: readonly Sample[], of: (sample: Sample) => number): Sample[] {
  const direct = round.find(({ peer }) => peer === DIRECT);
  const base = direct === undefined ? NaN : of(direct);
  const proxies = round.filter((sample) => sample !== direct);
  return proxies.map((sample) => ({ peer: sample.peer, figure: of(sample) - base, more: {} }));
}
