/** Two processes with the same keys agree without talking to each other. */
import { beforeAll, expect, test } from 'vitest';
import { Client, setCookieValue, site, startApp, startBackends } from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';
import { startProcess } from '../support/process.ts';
import type { HoldfastProcess } from '../support/process.ts';

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
