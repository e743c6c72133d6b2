/** Messages of 64 bytes there and back over WebSockets. */
import { BACKEND_ADDRESSES } from '../support/backends.ts';
import { freePort } from '../support/child.ts';
import { US, type Scenario } from '../support/lab.ts';
import { program, startProgram, withCost } from '../support/load.ts';
import { firstCookie } from '../support/peers/peer.ts';
import type { Peer } from '../support/peers/peer.ts';
import { startUsual } from '../support/peers/usual.ts';

const CONNECTIONS = 64;

export const websocket: Scenario = {
  name: 'websocket',
  about: 'WebSocket messages of 64 bytes, there and back',
  programs: ['haproxy', 'nginx'],
  async run(lab) {
    const port = await freePort();
    const backends = startProgram('websocket-backend', lab.loadCores, { port, addresses: BACKEND_ADDRESSES });
    await backends.until(() => firstCookie(port));
    const peers = await startUsual(lab, port);
    const question = {
      title: `WebSocket, ${CONNECTIONS} connections`,
      unit: 'messages there and back per CPU-second',
      us: US,
      goals: { nginx: '≥ 0.8' },
    };
    const measure = async (peer: Peer) => {
      const load = { port: peer.port, cookie: peer.cookie, connections: CONNECTIONS, seconds: lab.seconds };
      const { result, cpu } = await withCost(peer, () =>
        program<{ readonly messages: number }>(lab, 'websocket-load', load),
      );
      return { figure: result.messages / cpu, more: { 'per second': result.messages / lab.seconds } };
    };
    return [await lab.compare(question, peers, measure)];
  },
};
