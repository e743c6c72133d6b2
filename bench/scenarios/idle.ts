/** Memory of connections that are open and have nothing to say, each after one request. */
import { setTimeout as after } from 'node:timers/promises';
import { startBackends } from '../support/backends.ts';
import { US, type Lab, type Scenario } from '../support/lab.ts';
import { startProgram } from '../support/load.ts';
import { descriptorLimit } from '../support/machine.ts';
import { startHaproxy } from '../support/peers/haproxy.ts';
import { startHoldfast } from '../support/peers/holdfast.ts';
import { startNginx } from '../support/peers/nginx.ts';

const CONNECTIONS = 10_000;
/** Descriptors that a proxy and the clients have for other things. */
const SPARE = 512;
const OPEN_DEADLINE_MS = 120_000;
/** Until then a proxy may give back what it took for its start: ours collects that garbage after half a minute. */
const REST_MS = 35_000;
/** The same of what it took while the connections came: V8's nursery shrinks within some ten seconds, if it does. */
const SETTLE_MS = 20_000;
const PEERS = [
  { name: US, start: startHoldfast },
  { name: 'haproxy', start: startHaproxy },
  { name: 'nginx', start: startNginx },
];

export const idle: Scenario = {
  name: 'idle',
  about: 'memory of 10,000 idle connections',
  programs: ['haproxy', 'nginx'],
  async run(lab) {
    const possible = descriptorLimit() - SPARE;
    const connections = Math.min(lab.quick ? 1000 : CONNECTIONS, possible);
    const port = await startBackends(lab);
    const title = `${connections} idle connections${possible < CONNECTIONS ? ' (ulimit -n allows no more)' : ''}`;
    const goals = { haproxy: '≤ 1.5' };
    const question = { title, unit: 'KiB a connection', us: US, goals };
    return [await lab.compare(question, PEERS, (peer) => memoryOf(lab, port, peer.start, connections), 0)];
  },
};

/** Of a proxy of its own: one that had as many connections before keeps some of their memory. */
async function memoryOf(lab: Lab, port: number, start: (typeof PEERS)[number]['start'], connections: number) {
  const peer = await start(lab, port);
  if (!lab.quick) await after(REST_MS);
  const before = peer.child.residentMemory();
  const load = { port: peer.port, cookie: peer.cookie, connections };
  const clients = startProgram('idle', lab.loadCores, load);
  await clients.printed(/^open$/m, OPEN_DEADLINE_MS);
  if (!lab.quick) await after(SETTLE_MS);
  const all = peer.child.residentMemory();
  await clients.stop();
  await peer.child.stop();
  return { figure: (all - before) / connections, more: { 'MiB in all': all / 1024 } };
}
