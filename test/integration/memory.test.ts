/** Bodies are streamed: 100 MB each way past a slow reader cost the process no memory to speak of, and arrive whole. */
import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { beforeAll, expect, test } from 'vitest';
import { makeFolder, closeAtEnd, site, startBackend } from '../support/app.ts';
import { startProcess } from '../support/process.ts';
import type { HoldfastProcess } from '../support/process.ts';

const MB = 1_000_000;
const BLOCK = 100_000;
const GROWTH = 20 * MB;

let proxy: HoldfastProcess;

beforeAll(async () => {
  const backend = await startBackend({
    pod: 'web-0',
    handler: (request, response) => {
      const bytes = Number(request.headers['x-download'] ?? 0);
      const answer = async () => {
        if (bytes > 0) await pipeline(Readable.from(blocks(bytes)), response);
        else response.end(await readSlowly(request));
      };
      answer().catch(() => response.destroy());
    },
  });
  const base = await makeFolder();
  closeAtEnd(() => rm(base, { recursive: true }));
  const manifests = join(base, 'manifests');
  await mkdir(manifests);
  await writeFile(join(manifests, 'web.yaml'), site('web', { endpoints: [backend.endpoint()] }));
  proxy = await startProcess({ manifests, keysFile: join(base, 'keys.json') });
});

/** The same bytes every time, no two blocks alike. */
function* blocks(bytes: number): Generator<Buffer> {
  const block = Buffer.alloc(BLOCK, 'holdfast');
  for (let sent = 0; sent < bytes; sent += BLOCK) {
    const next = Buffer.from(block);
    next.writeUInt32BE(sent);
    yield next;
  }
}

function hashOf(bytes: number): string {
  const hash = createHash('sha256');
  for (const block of blocks(bytes)) hash.update(block);
  return hash.digest('hex');
}

/** Reads nothing for a while, then a little at a time: whoever does not wait for it fills up. Gives the hash. */
async function readSlowly(from: IncomingMessage): Promise<string> {
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const hash = createHash('sha256');
  await pause(300);
  let unpaused = 0;
  for await (const chunk of from as AsyncIterable<Buffer>) {
    hash.update(chunk);
    unpaused += chunk.length;
    if (unpaused < MB) continue;
    unpaused = 0;
    await pause(10);
  }
  return hash.digest('hex');
}

async function upload(bytes: number): Promise<string> {
  const request = httpRequest({
    ...{ host: '127.0.0.1', port: proxy.port, method: 'POST', agent: false },
    headers: { host: 'web.test', 'content-length': bytes },
  });
  const response = new Promise<IncomingMessage>((resolve, reject) =>
    request.on('response', resolve).on('error', reject),
  );
  await pipeline(Readable.from(blocks(bytes)), request);
  let text = '';
  for await (const chunk of await response) text += String(chunk);
  return text;
}

async function download(bytes: number): Promise<string> {
  const request = httpRequest({
    ...{ host: '127.0.0.1', port: proxy.port, agent: false },
    headers: { host: 'web.test', 'x-download': bytes },
  });
  request.end();
  return await new Promise((resolve, reject) => {
    request.on('response', (response) => resolve(readSlowly(response))).on('error', reject);
  });
}

/** The most that the process grew beyond what it had before, sampled while `work` ran. */
async function growthDuring(work: () => Promise<void>): Promise<number> {
  const before = await proxy.residentBytes();
  let most = before;
  let busy = true;
  const sampling = (async () => {
    while (busy) {
      most = Math.max(most, await proxy.residentBytes());
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  try {
    await work();
  } finally {
    busy = false;
    await sampling;
  }
  return most - before;
}

test.each([
  ['up', upload],
  ['down', download],
])('100 MB %s past a slow reader', { timeout: 60_000 }, async (_, transfer) => {
  const whole = hashOf(100 * MB);
  // Each connection comes to one of the workers: all of them shall be warm.
  await Promise.all(Array.from({ length: 6 }, () => transfer(3 * MB)));
  const growth = await growthDuring(async () => {
    expect(await transfer(100 * MB)).toBe(whole);
  });
  expect(growth).toBeLessThan(GROWTH);
});
