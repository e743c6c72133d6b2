/** HTTP/2 over TLS: many streams on few connections, one on each of many, and large bodies. */
import { once } from 'node:events';
import { connect } from 'node:tls';
import { SIZES } from '../support/backends.ts';
import { US, type Scenario } from '../support/lab.ts';
import { bytesOf, h2load, requestsOf } from '../support/load.ts';
import type { Peer } from '../support/peers/peer.ts';
import { startUsual } from '../support/peers/usual.ts';
import type { Omission, Report } from '../support/report.ts';

const SHAPES = [
  { connections: 16, streams: 10, goal: '≥ 1.0' },
  { connections: 64, streams: 1, goal: '≥ 0.8' },
];
const LARGEST = SIZES[2];
/** So few that what is on its way when the time is up does not matter. */
const DOWNLOADS = { connections: 4, streams: 1, path: LARGEST.path };

export const http2: Scenario = {
  name: 'http2',
  about: 'HTTP/2 over TLS, 16 connections with 10 streams each and 64 with one; 10 MB down',
  programs: ['haproxy', 'nginx', 'h2load'],
  async run(lab) {
    const peers = await startUsual(lab);
    const able: Peer[] = [];
    const reports: (Report | Omission)[] = [];
    for (const peer of peers) {
      if (await negotiatesHttp2(peer)) able.push(peer);
      else reports.push({ title: `HTTP/2, ${peer.name}`, reason: 'it does not negotiate h2 (ALPN)' });
    }
    for (const { connections, streams, goal } of SHAPES) {
      const question = {
        title: `HTTP/2, ${connections} connections × ${streams} streams at a time`,
        unit: 'requests per CPU-second',
        us: US,
        goals: { haproxy: goal, nginx: goal },
      };
      const measure = (peer: Peer) => requestsOf(peer, () => h2load(lab, peer, { connections, streams }));
      reports.push(await lab.compare(question, able, measure));
    }
    const down = {
      title: `HTTP/2, ${LARGEST.name} down`,
      unit: 'MB per CPU-second',
      us: US,
      goals: { nginx: '≥ 0.8' },
    };
    reports.push(await lab.compare(down, able, (peer) => bytesOf(peer, () => h2load(lab, peer, DOWNLOADS))));
    return reports;
  },
};

async function negotiatesHttp2({ securePort }: Peer): Promise<boolean> {
  const socket = connect({
    ...{ host: '127.0.0.1', port: securePort, servername: 'bench.test' },
    ...{ ALPNProtocols: ['h2', 'http/1.1'], rejectUnauthorized: false },
  });
  await once(socket, 'secureConnect');
  socket.destroy();
  return socket.alpnProtocol === 'h2';
}
