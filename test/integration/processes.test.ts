/** Two processes with the same keys agree without talking to each other; a process ends when it is told to, whenever that is. */
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  Client,
  closeAtEnd,
  eventually,
  makeFolder,
  setCookieValue,
  site,
  startApp,
  startBackends,
} from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';
import { startProcess } from '../support/process.ts';
import type { HoldfastProcess } from '../support/process.ts';
import { Cli } from '../unit/cli/run-cli.ts';

let first: App;
let second: HoldfastProcess;
let backends: Backend[];

beforeAll(async () => {
  backends = await startBackends('web-0', 'web-1', 'web-2', 'web-3', 'web-4');
  first = await startApp({ manifests: manifestOf(backends) });
  second = await startProcess({ manifests: first.dir, keysFile: first.keysFile });
});

function manifestOf(pods: readonly Backend[]): string {
  return site('web', { endpoints: pods.map((pod) => pod.endpoint()) });
}

/** Characters 12 to 22 of a token hold nothing but the session id. */
function sessionOf(token: string | undefined): string | undefined {
  return token?.slice(12, 22);
}

test('T27, T31: 50 parallel requests with one token of a vanished pod, over two processes, reach one new pod', async () => {
  const client = new Client(first.port, { jar: true });
  const lost = (await client.get('/')).pod;
  const token = client.cookies.get('HF');
  const left = backends.filter(({ pod }) => pod !== lost);
  expect(left).toHaveLength(4);
  const gone = backends.find(({ pod }) => pod === lost);
  await second.applied(() => first.change('all.yaml', manifestOf(left)));
  // It was the named pod that vanished: it still runs and would count whatever came to it.
  const before = gone?.requests;

  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      new Client(i % 2 === 0 ? first.port : second.port).get('/', { cookie: `HF=${token}` }),
    ),
  );
  const pods = new Set(answers.map(({ pod }) => pod));
  expect(pods.size).toBe(1);
  expect(pods.has(lost)).toBe(false);
  expect(gone?.requests).toBe(before);
  for (const answer of answers) {
    expect(answer.setCookies).toHaveLength(1);
    expect(sessionOf(setCookieValue(answer, 'HF'))).toBe(sessionOf(token));
  }

  // Each of the new tokens names that pod, whichever process is asked.
  const [pod] = pods;
  for (const [i, answer] of answers.entries()) {
    const other = new Client(i % 2 === 0 ? second.port : first.port);
    const cookie = `HF=${setCookieValue(answer, 'HF')}`;
    expect(await other.get('/', { cookie })).toMatchObject({ pod, setCookies: [] });
  }
  for (const process of [first, second]) {
    const metrics = await process.metrics();
    expect(metrics.sum('holdfast_decisions_total', { outcome: 'moved', reason: 'endpoint_gone' })).toBe(25);
  }
});

test('the sessions of a lost pod spread over the others', async () => {
  await second.applied(() => first.change('all.yaml', manifestOf(backends)));
  const clients = Array.from({ length: 100 }, () => new Client(first.port, { jar: true }));
  const on = new Map<Client, string>();
  for (const client of clients) on.set(client, (await client.get('/')).pod);
  const lost = backends[2]!;
  const movers = clients.filter((client) => on.get(client) === lost.pod);
  expect(movers.length).toBeGreaterThan(10);
  await second.applied(() => first.change('all.yaml', manifestOf(backends.filter((backend) => backend !== lost))));
  const targets = new Set<string>();
  for (const client of clients) {
    const { pod } = await client.get('/');
    if (movers.includes(client)) targets.add(pod);
    else expect(pod).toBe(on.get(client));
  }
  expect(targets.size).toBeGreaterThanOrEqual(3);
});

describe('SIGTERM during the start', () => {
  const FLAGS = ['--admin-address', '127.0.0.1:0', '--shutdown-grace', '1s'];
  const ALONE = '127.0.19.1';

  function run(...args: readonly string[]): Cli {
    const cli = new Cli(['run', ...FLAGS, ...args]);
    closeAtEnd(() => cli.kill());
    return cli;
  }

  test('while it waits for an API server: it ends at once, with 0', async () => {
    const silent = createServer((socket) => socket.resume());
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const asked = once(silent, 'connection');
    const { port } = silent.address() as AddressInfo;
    const folder = await makeFolder();
    closeAtEnd(() => rm(folder, { recursive: true }));
    const kubeconfig = join(folder, 'kubeconfig');
    const config = {
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: {} }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    };
    await writeFile(kubeconfig, JSON.stringify(config));
    // Nobody was served, so the delay for load balancers is not waited for either.
    const cli = run(
      '--kubeconfig',
      kubeconfig,
      '--state-dir',
      folder,
      '--bind-address',
      '127.0.0.1',
      '--https-port',
      'off',
      '--http-port',
      '0',
      '--shutdown-delay',
      '1h',
    );
    await asked;
    cli.signal('SIGTERM');
    expect(await cli.finished()).toMatchObject({ code: 0, err: '' });
    silent.close();
  });

  test('as soon as the first worker serves: it ends with 0', async () => {
    const held = await startBackends('held-0');
    const folder = await startApp({ manifests: site('early', { endpoints: held.map((pod) => pod.endpoint()) }) });
    // On an address of its own: a port that is free on 127.0.0.1 may be another test's by the time it is listened on.
    const free = createServer().listen(0, ALONE);
    await once(free, 'listening');
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const keys = ['--session-keys-file', folder.keysFile, '--manifests', folder.dir];
    const cli = run(
      ...keys,
      '--bind-address',
      ALONE,
      '--https-port',
      'off',
      '--http-port',
      String(port),
      '--workers',
      '4',
      '--shutdown-delay',
      '0s',
    );
    const client = new Client(port, { host: 'early.test', address: ALONE });
    await eventually(async () => (await client.get('/')).pod === 'held-0');
    cli.signal('SIGTERM');
    expect((await cli.finished()).code).toBe(0);
  });
});
