/** Two workers against one, on two cores. */
import { startBackends } from '../support/backends.ts';
import type { Scenario } from '../support/lab.ts';
import { requestsOf, wrk } from '../support/load.ts';
import { allowedCores, busySeconds } from '../support/machine.ts';
import { startHoldfast } from '../support/peers/holdfast.ts';

const CONNECTIONS = 512;
const ONE = 'one worker';
const TWO = 'two workers';

export const workers: Scenario = {
  name: 'workers',
  about: 'two workers against one on two cores, 512 connections',
  programs: ['nginx', 'wrk'],
  async run(single) {
    const lab = single.withProxyCores(2);
    const backends = await startBackends(lab);
    const peers = [
      { count: 1, ...(await startHoldfast(lab, backends, { name: ONE, workers: 1 })) },
      { count: 2, ...(await startHoldfast(lab, backends, { name: TWO, workers: 2 })) },
    ];
    const question = {
      title: `One worker and two, ${CONNECTIONS} connections`,
      unit: 'requests a second that as many cores of their own would carry',
      us: TWO,
      goals: { [ONE]: '≥ 1.8' },
    };
    const report = await lab.compare(question, peers, async (peer) => {
      const [busy, own] = [busySeconds(allowedCores()), peer.child.cpuSeconds()];
      const { figure, more } = await requestsOf(peer, () => wrk(lab, peer, { connections: CONNECTIONS }));
      const cpu = peer.child.cpuSeconds() - own;
      const others = busySeconds(allowedCores()) - busy - cpu;
      const cores = { 'its cores': cpu / lab.seconds, 'cores of load and backends': others / lab.seconds };
      return { figure: peer.count * figure, more: { ...more, ...cores } };
    });
    return [report];
  },
};
