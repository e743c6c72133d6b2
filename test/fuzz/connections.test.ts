/**
 * Clients that leave in the middle of something, at random: the worker serves on, and nothing of theirs stays. The names
 * of the tests have the seed; given as HF_TEST_SEED, it makes the clients do the same again, as far as clocks allow.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually, site, startApp, startBackend } from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';
import type { Handler } from '../support/backend.ts';
import { closeWires, RawClient } from '../support/wire.ts';
import { HTTP1_VISITS, HTTP2_VISITS } from './connections-generate.ts';
import type { Visit } from './connections-generate.ts';

const SEED = Number(process.env['HF_TEST_SEED'] ?? Date.now() % 1_000_000_000);
const VISITS = 500;
const AT_ONCE = 40;
const BIG = Buffer.alloc(600_000, 'z');
const SLOW_MS = 150;
/**
 * Who waits for one of these is soon gone. Those of bodies also end a connection over TLS whose client has reset it: Node
 * does not always tell the end of a write to it. An idle one would stay far longer than the deadline: by default.
 */
const TIMEOUTS = { headTimeout: 1_500, bodyTimeout: 1_000, responseBodyTimeout: 1_000, upstreamIdleTimeout: 300 };
/** Until nothing of the clients is left, ms; a WebSocket whose endpoint has ended it lingers for 5 s. */
const DEADLINE = 10_000;
const GRACE = 15_000;

interface Lane {
  readonly name: string;
  readonly h2c: boolean;
  readonly visits: fc.Arbitrary<Visit>;
  readonly secure?: boolean;
  readonly protocol?: 'h2';
}

const LANES: readonly Lane[] = [
  { name: 'HTTP/1.1', h2c: false, visits: HTTP1_VISITS },
  { name: 'HTTP/1.1 where HTTP/2 is taken as well', h2c: true, visits: HTTP1_VISITS },
  { name: 'HTTP/1.1 over TLS', h2c: false, visits: HTTP1_VISITS, secure: true },
  { name: 'HTTP/2', h2c: true, visits: HTTP2_VISITS },
  { name: 'HTTP/2 over TLS', h2c: false, visits: HTTP2_VISITS, secure: true, protocol: 'h2' },
];

const handler: Handler = (request, response) => {
  request.resume();
  if (request.url === '/big') response.end(BIG);
  else if (request.url === '/slow') setTimeout(() => response.end('slow'), SLOW_MS);
  else if (request.url === '/read') request.on('end', () => response.end('read'));
  else response.end('small');
};

interface Served {
  readonly app: App;
  readonly backend: Backend;
}

let plain: Served;
let both: Served;

async function serve(h2c: boolean): Promise<Served> {
  const backend = await startBackend({ pod: 'web-0', handler });
  const manifests = site('web', { endpoints: [backend.endpoint()] });
  const app = await startApp({
    manifests,
    config: { workers: 1, httpsPort: 0, h2c, shutdownGrace: GRACE, ...TIMEOUTS },
  });
  return { app, backend };
}

beforeAll(async () => {
  [plain, both] = await Promise.all([serve(false), serve(true)]);
});

async function make(visit: Visit, lane: Lane, port: number): Promise<void> {
  const client = await RawClient.connect(port, { ...lane, pauseOnConnect: !visit.reads });
  for (const part of visit.parts) {
    client.send(part);
    if (visit.pause > 0) await sleep(visit.pause);
  }
  if (visit.stay > 0) await sleep(visit.stay);
  if (visit.fin !== undefined) {
    client.end();
    client.socket.resume();
    await sleep(visit.fin);
  }
  if (visit.end === 'reset') client.reset();
  else client.destroy();
  // What it has read is nothing to keep.
  client.drain();
}

/** The worker answers, and has nothing of those who came before. */
async function expectNothingLeft({ app, backend }: Served, lane: Lane, port: number): Promise<void> {
  const asker = await RawClient.connect(port, { secure: lane.secure ?? false });
  asker.send('GET /small HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n');
  expect(await asker.response()).toMatchObject({ status: 200, body: 'small' });
  asker.end();
  await eventually(async () => {
    const metrics = await app.metrics();
    expect({
      connections: metrics.sum('holdfast_connections'),
      inFlight: metrics.sum('holdfast_endpoint_inflight'),
      // With those of WebSockets.
      atBackend: backend.connections,
    }).toEqual({ connections: 0, inFlight: 0, atBackend: 0 });
    return true;
  }, DEADLINE);
  expect((await app.metrics()).sum('holdfast_worker_restarts_total')).toBe(0);
  expect(app.logs).toEqual([]);
}

describe(`HF_TEST_SEED=${SEED}`, () => {
  test.each(LANES)('$name: of clients that leave at any time nothing stays', { timeout: 60_000 }, async (lane) => {
    const served = lane.h2c ? both : plain;
    const { app, backend } = served;
    const port = lane.secure === true ? app.httpsPort : app.port;
    const before = backend.requests;
    const visits = fc.sample(lane.visits, { seed: SEED, numRuns: VISITS });
    const one = async (): Promise<void> => {
      for (let visit = visits.pop(); visit !== undefined; visit = visits.pop()) await make(visit, lane, port);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    closeWires('clients');
    await expectNothingLeft(served, lane, port);
    // On a busy machine most are gone before their requests are there, but not all.
    expect(backend.requests - before).toBeGreaterThan(VISITS / 100);
  });

  test('a shutdown has nobody to wait for', async () => {
    const begun = performance.now();
    await Promise.all([plain.app.close(), both.app.close()]);
    expect(performance.now() - begun).toBeLessThan(GRACE / 2);
  });
});
