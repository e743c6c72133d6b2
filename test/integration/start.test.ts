/** The demo as a user starts it: it serves soon, Ctrl-C ends it, and a taken port is told by its flag. */
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Client, closeAtEnd, makeFolder } from '../support/app.ts';
import { copyExamples } from '../support/examples.ts';
import { Cli } from '../unit/cli/run-cli.ts';

const DEADLINE_MS = 5000;

/** Starts the demo on free ports; `ms` until its first answer. */
async function startDemo(): Promise<{ cli: Cli; client: Client; pod: string; ms: number }> {
  const dir = await makeFolder();
  closeAtEnd(() => rm(dir, { recursive: true }));
  await copyExamples(join(dir, 'manifests'));
  const flags = { manifests: join(dir, 'manifests'), 'state-dir': join(dir, 'state'), 'http-port': '0' };
  const began = performance.now();
  const cli = new Cli([
    ...['demo', '--admin-address', '127.0.0.1:0'],
    ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]),
  ]);
  closeAtEnd(() => cli.kill());
  const [, port] = await cli.printed(/http:\/\/shop\.localhost:(\d+)/);
  const client = new Client(Number(port), { host: 'shop.localhost', jar: true });
  const { pod } = await client.get('/');
  return { cli, client, pod, ms: performance.now() - began };
}

test('the demo serves within 5 s, and Ctrl-C ends it', async () => {
  let demo = await startDemo();
  // A machine that is busy with something else may have it: what counts is that it can be done.
  for (let tries = 1; demo.ms > DEADLINE_MS && tries < 3; tries++) {
    await demo.cli.kill();
    demo = await startDemo();
  }
  const { cli, client, pod, ms } = demo;
  expect(ms).toBeLessThan(DEADLINE_MS);
  expect(pod).toMatch(/^web-\d$/);
  for (let i = 0; i < 5; i++) expect((await client.get('/')).pod).toBe(pod);
  cli.signal('SIGINT');
  const { code } = await cli.finished();
  expect(code).toBe(0);
  await expect(new Client(client.port).get('/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('a taken port is told by the name of its flag', async () => {
  const server = createServer();
  closeAtEnd(async () => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const cli = new Cli(['demo', '--http-port', String(port), '--admin-address', '127.0.0.1:0']);
  closeAtEnd(() => cli.kill());
  const { code, err } = await cli.finished();
  expect(code).toBe(1);
  expect(err).toContain(`--http-port ${port} is taken`);
});
