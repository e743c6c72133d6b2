/** Requests with a body of 1 KB, by its length and in chunks. */
import { TAKES } from '../support/backends.ts';
import { US, type Scenario } from '../support/lab.ts';
import { requestsOf, wrk } from '../support/load.ts';
import type { Peer } from '../support/peers/peer.ts';
import { startUsual } from '../support/peers/usual.ts';
import type { Report } from '../support/report.ts';

const CONNECTIONS = 64;
const BYTES = 1024;
const KINDS = [
  { title: '1 KB POST', kind: 'post' },
  { title: '1 KB POST in two chunks', kind: 'chunked' },
] as const;

export const post: Scenario = {
  name: 'post',
  about: 'POST of 1 KB, with Content-Length and chunked',
  programs: ['haproxy', 'nginx', 'wrk'],
  async run(lab) {
    const peers = await startUsual(lab);
    const reports: Report[] = [];
    for (const { title, kind } of KINDS) {
      const question = { title, unit: 'requests per CPU-second', us: US, goals: { haproxy: '≥ 0.9' } };
      const load = { connections: CONNECTIONS, path: TAKES.small, body: { kind, bytes: BYTES } };
      const measure = (peer: Peer) => requestsOf(peer, () => wrk(lab, peer, load));
      reports.push(await lab.compare(question, peers, measure));
    }
    return reports;
  },
};
