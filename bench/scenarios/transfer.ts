/** Bodies of 10 KB, 1 MB and 10 MB, down and up. */
import { SIZES, TAKES } from '../support/backends.ts';
import { US, type Scenario } from '../support/lab.ts';
import { bytesOf, wrk } from '../support/load.ts';
import type { Transferred, WrkOptions } from '../support/load.ts';
import type { Peer } from '../support/peers/peer.ts';
import { startUsual } from '../support/peers/usual.ts';
import type { Report } from '../support/report.ts';

interface Transfer {
  readonly title: string;
  readonly goals: Readonly<Record<string, string>>;
  readonly load: Omit<WrkOptions, 'connections'>;
  /** Of the bodies that matter here. */
  readonly bytes: (done: Transferred) => number;
}

/** So few that what is on its way when the time is up does not matter. */
const CONNECTIONS = 4;
const LARGEST = '10 MB';

const DOWN = SIZES.map(({ name, path }): Transfer => {
  return { title: `${name} down`, goals: goalsOf(name), load: { path }, bytes: ({ bytes }) => bytes };
});
const UP = SIZES.map(({ name, bytes: size }): Transfer => {
  const load = { path: TAKES.large, body: { kind: 'post', bytes: size } } as const;
  return { title: `${name} up`, goals: {}, load, bytes: ({ requests }) => requests * size };
});

export const transfer: Scenario = {
  name: 'transfer',
  about: 'bytes per CPU-second of bodies of 10 KB, 1 MB and 10 MB, down and up',
  programs: ['haproxy', 'nginx', 'wrk'],
  async run(lab) {
    const peers = await startUsual(lab);
    const reports: Report[] = [];
    for (const { title, goals, load, bytes } of [...DOWN, ...UP]) {
      const question = { title, unit: 'MB per CPU-second', us: US, goals };
      const measure = (peer: Peer) => bytesOf(peer, () => wrk(lab, peer, { connections: CONNECTIONS, ...load }), bytes);
      reports.push(await lab.compare(question, peers, measure));
    }
    return reports;
  },
};

function goalsOf(name: string): Transfer['goals'] {
  return name === LARGEST ? { nginx: '≥ 0.8' } : {};
}
