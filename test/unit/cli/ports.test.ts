/** Taken ports are told by the names of their flags. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, ListenOptions, Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { portProblems } from '../../../src/cli/ports.ts';
import type { Config } from '../../../src/config/config.ts';
import { loadConfig } from '../../../src/config/load.ts';

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

async function listenOnAny(options: ListenOptions = {}): Promise<number> {
  const server = createServer().listen({ host: '127.0.0.1', port: 0, ...options });
  open.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function config(...args: string[]): Config {
  const defaults = { bindAddress: '127.0.0.1', httpPort: '0', httpsPort: 'off', adminAddress: '127.0.0.1:0' };
  const loaded = loadConfig({ args, env: {}, defaults, readFile: () => '' });
  if (loaded.config === undefined) throw new Error(loaded.errors.join('\n'));
  return loaded.config;
}

test('free ports are no problem', async () => {
  expect(await portProblems(config())).toEqual([]);
});

test('a taken --http-port, with one that is free', async () => {
  const port = await listenOnAny();
  const [problem] = await portProblems(config('--http-port', String(port)));
  expect(problem).toMatch(
    new RegExp(
      `^--http-port ${port} is taken: stop what listens on 127\\.0\\.0\\.1:${port}, or use --http-port (\\d+)$`,
    ),
  );
  const free = /--http-port (\d+)$/.exec(problem ?? '')?.[1] ?? '';
  expect(await portProblems(config('--http-port', free))).toEqual([]);
});

test('a taken --admin-address', async () => {
  const port = await listenOnAny();
  const problems = await portProblems(config('--admin-address', `127.0.0.1:${port}`));
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(`--admin-address 127.0.0.1:${port} is taken`);
  expect(problems[0]).toMatch(/or use --admin-address 127\.0\.0\.1:\d+$/);
});

test('a second Holdfast is found although the kernel would let both share the port', async () => {
  const port = await listenOnAny({ reusePort: true });
  await listenOnAny({ reusePort: true, port });
  expect((await portProblems(config('--http-port', String(port))))[0]).toContain(`--http-port ${port} is taken`);
});

test('an address that is not ours', async () => {
  expect(await portProblems(config('--bind-address', '192.0.2.1'))).toEqual([
    '--bind-address 192.0.2.1: no interface of this machine has that address',
  ]);
});
