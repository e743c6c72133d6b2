/** The demo as a user runs it: a session keeps its pod, a drained pod keeps its sessions, a lost one loses them. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { copyExamples } from '../../support/examples.ts';
import { Cli } from './run-cli.ts';

let dir: string;
let manifests: string;
const running: Cli[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-demo-'));
  manifests = join(dir, 'manifests');
  await copyExamples(manifests);
});
afterEach(async () => {
  for (const cli of running.splice(0)) await cli.kill();
});
afterAll(() => rmSync(dir, { recursive: true }));

async function startDemo(): Promise<{ cli: Cli; port: number; admin: string }> {
  const args = ['--http-port', '0', '--admin-address', '127.0.0.1:0', '--manifests', manifests, '--workers', '1'];
  const cli = new Cli(['demo', ...args, '--state-dir', join(dir, 'state')]);
  running.push(cli);
  const [, port] = await cli.printed(/traffic {2}http:\/\/127\.0\.0\.1:(\d+)/);
  const [, admin = ''] = await cli.printed(/admin {4}(http:\/\/127\.0\.0\.1:\d+)\//);
  return { cli, port: Number(port), admin };
}

interface Answer {
  readonly pod: string;
  readonly cookie: string | undefined;
}

async function get(port: number, host: string, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const sent = request({ host: '127.0.0.1', port, path, headers: { host, ...headers }, agent: false });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  expect(response.statusCode, text).toBe(200);
  const { pod } = JSON.parse(text) as { pod: string };
  return { pod, cookie: response.headers['set-cookie']?.[0]?.split(';', 1)[0] };
}

/** Asks again until the answer fits; the table follows a saved file within milliseconds. */
async function eventually(ask: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await ask())) expect(Date.now()).toBeLessThan(deadline);
}

test('the guide names the hosts, the lines to edit and the broken object', async () => {
  const { cli } = await startDemo();
  const [text] = await cli.printed(/[^]*Ctrl-C stops everything\.\n$/);
  expect(text).toContain('http://shop.localhost:');
  expect(text).toContain("-H 'X-Session-Id: alice'");
  expect(text).toMatch(/error .*broken\.yaml:\d+: StickyPolicy assets\/downloads, spec\.session\.idleTimeout: /);
  const [, file = '', serving, terminating] =
    /^ {2}(\S+shop\.yaml): pod web-1: line (\d+) serving, line (\d+) terminating$/m.exec(text) ?? [];
  const lines = readFileSync(file, 'utf8').split('\n');
  expect(lines[Number(serving) - 1]).toMatch(/^\s+serving: true/);
  expect(lines[Number(terminating) - 1]).toMatch(/^\s+terminating: false/);
  expect(lines.slice(Number(serving) - 12, Number(serving)).join('\n')).toContain('name: web-1');
});

test('a session keeps its pod, through a drain too, and moves when the pod is gone', async () => {
  const { cli, port, admin } = await startDemo();
  const first = await get(port, 'shop.localhost', '/');
  const cookie = first.cookie ?? '';
  expect(cookie).not.toBe('');
  for (let i = 0; i < 10; i++) expect((await get(port, 'shop.localhost', '/', { cookie })).pod).toBe(first.pod);

  const file = join(manifests, 'shop.yaml');
  const before = readFileSync(file, 'utf8');
  const slice = before.split('\n---\n').findIndex((text) => text.includes(`metadata: { name: ${first.pod},`));
  const edited = (from: RegExp, to: string): string =>
    before
      .split('\n---\n')
      .map((text, index) => (index === slice ? text.replace(from, to) : text))
      .join('\n---\n');

  writeFileSync(file, edited(/terminating: false/, 'terminating: true'));
  // Draining: nobody new comes, whoever is there stays.
  await eventually(async () => {
    const pods = await Promise.all([1, 2, 3, 4, 5, 6].map(() => get(port, 'shop.localhost', '/')));
    return pods.every(({ pod }) => pod !== first.pod);
  });
  expect((await get(port, 'shop.localhost', '/', { cookie })).pod).toBe(first.pod);

  writeFileSync(file, edited(/serving: true([^]*)terminating: false/, 'serving: false$1terminating: true'));
  let moved: Answer = first;
  await eventually(async () => {
    moved = await get(port, 'shop.localhost', '/', { cookie });
    return moved.pod !== first.pod;
  });
  expect(moved.cookie).toBeDefined();
  expect((await get(port, 'shop.localhost', '/', { cookie: moved.cookie ?? '' })).pod).toBe(moved.pod);
  writeFileSync(file, before);

  const problems = (await (await fetch(`${admin}/api/v1/problems`)).json()) as unknown[];
  expect(problems).toMatchObject([{ severity: 'error', object: { kind: 'StickyPolicy', name: 'downloads' } }]);
  cli.signal('SIGINT');
  expect((await cli.finished()).code).toBe(0);
});

test('a restart honours the cookie', async () => {
  const one = await startDemo();
  const { pod, cookie = '' } = await get(one.port, 'shop.localhost', '/cart');
  one.cli.signal('SIGTERM');
  expect((await one.cli.finished()).code).toBe(0);
  const two = await startDemo();
  for (let i = 0; i < 6; i++) expect((await get(two.port, 'shop.localhost', '/cart', { cookie })).pod).toBe(pod);
});

test('the ports of the sample backends are taken', async () => {
  await startDemo();
  const args = ['demo', '--http-port', '0', '--admin-address', '127.0.0.1:0', '--manifests', manifests];
  const { code, err } = await new Cli([...args, '--state-dir', join(dir, 'other')]).finished();
  expect(code).toBe(1);
  expect(err).toMatch(/127\.0\.0\.1:\d+ is taken, so the sample backend of pod \w+\/[\w-]+ cannot listen/);
});
