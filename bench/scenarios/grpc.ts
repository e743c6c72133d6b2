/** Unary gRPC calls over TLS: many streams on few connections, and one on each of many. */
import { GrpcClient } from '../../test/support/grpc.ts';
import { BACKEND_ADDRESSES } from '../support/backends.ts';
import { freePort } from '../support/child.ts';
import { fileIn } from '../support/files.ts';
import { MESSAGE, TEXT } from '../support/grpc.ts';
import { US, type Lab, type Scenario } from '../support/lab.ts';
import { h2load, requestsOf, startProgram } from '../support/load.ts';
import type { Peer } from '../support/peers/peer.ts';
import { startUsual } from '../support/peers/usual.ts';
import type { Report } from '../support/report.ts';

const SHAPES = [
  { connections: 16, streams: 10 },
  { connections: 64, streams: 1 },
];
const PATH = '/bench.Echo/Unary';

export const grpc: Scenario = {
  name: 'grpc',
  about: 'unary gRPC calls of 100 bytes each way, 16 connections with 10 streams each and 64 with one',
  programs: ['haproxy', 'nginx', 'h2load'],
  async run(lab) {
    const port = await freePort();
    const backends = startProgram('grpc-backend', lab.loadCores, { port, addresses: BACKEND_ADDRESSES });
    await backends.printed(/^listening$/m);
    const peers = await startUsual(lab, port, 'GRPC');
    for (const peer of peers) await checkCall(lab, peer);
    const call = fileIn(lab.folder('call'), 'message', MESSAGE);
    const reports: Report[] = [];
    for (const shape of SHAPES) {
      const question = {
        title: `gRPC, ${shape.connections} connections × ${shape.streams} streams at a time`,
        unit: 'calls per CPU-second',
        us: US,
        goals: { nginx: '≥ 1.0' },
      };
      const measure = (peer: Peer) => requestsOf(peer, () => h2load(lab, peer, { ...shape, path: PATH, call }));
      reports.push(await lab.compare(question, peers, measure));
    }
    return reports;
  },
};

/** h2load takes a call for served whatever its trailers say. @throws when a client of gRPC sees it otherwise */
async function checkCall({ certificate }: Lab, { name, securePort, cookie }: Peer): Promise<void> {
  const client = new GrpcClient(securePort, 'bench.test', certificate.cert);
  const { code, details, text } = await client.unary(TEXT, { cookie });
  client.close();
  if (code !== 0 || text !== TEXT) throw new Error(`${name} does not pass calls on: status ${code}, ${details}`);
}
