/** A worker thread that dies under load: the others go on, it is replaced, and what it counted is not lost. */
import type { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client, eventually, site, startApp, startBackends } from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';

const workers: Worker[] = [];
const onWorker = (worker: Worker): void => void workers.push(worker);

let app: App;
let backends: Backend[];

beforeAll(async () => {
  backends = await startBackends('web-0', 'web-1', 'web-2');
  process.on('worker', onWorker);
  app = await startApp({ manifests: site('web', { endpoints: backends.map((backend) => backend.endpoint()) }) });
});
afterAll(() => process.off('worker', onWorker));

/** One keep-alive client; a connection that breaks is opened anew. */
class Loader {
  readonly client = new Client(app.port, { jar: true });
  answers = 0;
  failures = 0;
  readonly pods = new Set<string>();

  async run(stopped: () => boolean): Promise<void> {
    while (!stopped()) {
      try {
        const { pod } = await this.client.get('/');
        this.answers++;
        this.pods.add(pod);
      } catch (error) {
        // A connection to the dead worker; an answer with an error is no such thing.
        if (!['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
        this.failures++;
      }
    }
  }
}

test('a dead worker is replaced while the others serve', async () => {
  expect(workers).toHaveLength(2);
  const loaders = Array.from({ length: 24 }, () => new Loader());
  const answers = () => loaders.reduce((sum, loader) => sum + loader.answers, 0);
  let stop = false;
  const running = loaders.map((loader) => loader.run(() => stop));
  await eventually(() => loaders.every((loader) => loader.answers > 20));

  const before = answers();
  await workers[0]?.terminate();
  // While it is down: ready, and serving.
  const ready = await app.admin('/readyz');
  await eventually(() => answers() > before + 200);
  await eventually(
    async () => (await app.metrics()).sum('holdfast_worker_restarts_total') === 1 && workers.length === 3,
  );
  expect(ready.status).toBe(200);
  // Connections come to the new one as well: it goes on when the other one dies.
  await eventually(() => app.logs.some((line) => line.includes('a worker died')));
  const after = answers();
  await eventually(() => answers() > after + 500);
  stop = true;
  await Promise.all(running);

  // Only the connections of the dead worker broke, and no session moved for it.
  const hit = loaders.filter(({ failures }) => failures > 0);
  expect(hit.length).toBeGreaterThan(0);
  expect(hit.length).toBeLessThan(loaders.length);
  for (const { pods } of loaders) expect(pods.size).toBe(1);

  const failures = loaders.reduce((sum, loader) => sum + loader.failures, 0);
  const metrics = await app.metrics();
  const served = backends.reduce((sum, { requests }) => sum + requests, 0);
  const counted = metrics.sum('holdfast_endpoint_requests_total');
  // What died between the backend's answer and the client may be counted or not, all else must be.
  expect(counted).toBeGreaterThanOrEqual(answers());
  expect(counted).toBeLessThanOrEqual(served);
  expect(served - counted).toBeLessThanOrEqual(failures);
  expect(metrics.sum('holdfast_decisions_total')).toBe(counted);
  await eventually(async () => (await app.metrics()).sum('holdfast_endpoint_inflight') === 0);
});

test('the replacement takes connections and follows changes', async () => {
  await eventually(async () => (await app.admin('/readyz')).status === 200);
  await app.change('all.yaml', site('web', { endpoints: backends.slice(0, 1).map((backend) => backend.endpoint()) }));
  // With the first of the two gone, the replacement alone remains.
  await workers[1]?.terminate();
  const client = new Client(app.port, { keepAlive: false });
  await eventually(async () => (await client.get('/')).pod === 'web-0');
});
