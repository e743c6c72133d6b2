/** h2load, over TLS and by prior knowledge: many streams on few connections, with and without a body to send. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { run } from './program.ts';
import { startSite } from './site.ts';
import type { RunningSite } from './site.ts';

const REQUESTS = 2000;

let site: RunningSite;

beforeAll(async () => {
  site = await startSite();
});

/** 4 connections with 10 streams each. */
async function h2load(origin: string, ...args: readonly string[]): Promise<string> {
  const { port } = new URL(origin);
  const load = ['--requests', String(REQUESTS), '--clients', '4', '--max-concurrent-streams', '10'];
  const { stdout } = await run('h2load', [...load, `--connect-to=127.0.0.1:${port}`, ...args, origin]);
  return stdout;
}

describe.each([
  { protocol: 'h2', host: 'secure' },
  { protocol: 'h2c', host: 'plain' },
] as const)('$protocol', ({ protocol, host }) => {
  test.each([
    ['without a body', 0],
    ['with 64 KiB each', 64 << 10],
  ])(`${REQUESTS} requests %s are all answered`, async (_, bytes) => {
    const upload = join(site.folder, 'upload');
    await writeFile(upload, Buffer.alloc(bytes, 'h2load '));
    const told = await h2load(site[host], ...(bytes === 0 ? [] : ['--data', upload]));
    expect(told).toContain(`Application protocol: ${protocol}\n`);
    expect(told).toContain(`${REQUESTS} done, ${REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout\n`);
    expect(told).toContain(`status codes: ${REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx\n`);
  });
});
