/** HTTP/2 over TLS: many streams on few connections, and one on each of many. */
import { once } from 'node:events';
import { connect } from 'node:tls';
import { US, type Scenario } from '../support/lab.ts';
import { h2load, requestsOf } from '../support/load.ts';
import type { Peer } from '../support/peers/peer.ts';
import { startUsual } from '../support/peers/usual.ts';
import type { Omission, Report } from '../support/report.ts';

const SHAPES = [
  { connections: 16, streams: 10, goal: '≥ 1.0' },
  { connections: 64, streams: 1, goal: '≥ 0.8' },
];

export const http2: Scenario = {
  name: 'http2',
  about: 'HTTP/2 over TLS, 16 connections with 10 streams each and 64 with one',
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
      const measure = (peer: Peer) => requestsOf(peer, () => h2load(lab, peer, connections, streams));
      reports.push(await lab.compare(question, able, measure));
    }
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
