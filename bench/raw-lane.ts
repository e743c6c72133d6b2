/**
 * The raw HTTP/1.1 lane beside HAProxy and nginx in one run: CPU time a request of each proxy alone, and requests a second.
 * `npm run bench -- [--rounds N] [--seconds N] [--connections N] [--json FILE] [--max-ratio R]`
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { allowedCores, Child, stopAll } from './support/child.ts';
import { summarize, table } from './support/figures.ts';
import type { Sample, Summary } from './support/figures.ts';
import { missingPrograms, startBackends, startHaproxy, startHoldfast, startNginx } from './support/peers.ts';
import type { Holdfast, Peer } from './support/peers.ts';

const US = 'holdfast';
const RIVAL = 'haproxy';

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly json: string | undefined;
  /** Fail when even the best round of ours needs more than so many times HAProxy's CPU time. */
  readonly maxRatio: number | undefined;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '5' },
      connections: { type: 'string', default: '64' },
      json: { type: 'string' },
      'max-ratio': { type: 'string' },
    },
  });
  const positive = (name: string, text: string): number => {
    const number = Number(text);
    if (Number.isFinite(number) && number > 0) return number;
    throw new Error(`--${name} ${JSON.stringify(text)} is not allowed; write a number above 0`);
  };
  const limit = values['max-ratio'];
  return {
    rounds: Math.ceil(positive('rounds', values.rounds)),
    seconds: Math.ceil(positive('seconds', values.seconds)),
    connections: Math.ceil(positive('connections', values.connections)),
    json: values.json,
    maxRatio: limit === undefined ? undefined : positive('max-ratio', limit),
  };
}

/** Loads one proxy with clients that have a session each. */
async function measure(peer: Peer, seconds: number, connections: number, loadCores: string): Promise<Sample> {
  const before = peer.child.cpuSeconds();
  const wrk = new Child('wrk', loadCores, 'wrk', [
    ...['-t', '1', '-c', String(connections), '-d', `${seconds}s`],
    ...['-H', `Cookie: ${peer.cookie}`, `http://127.0.0.1:${peer.port}/`],
  ]);
  const output = await wrk.finished();
  const cpu = peer.child.cpuSeconds() - before;
  const errors = /Socket errors:.*|Non-2xx.*/.exec(output)?.[0];
  if (errors !== undefined) throw new Error(`${peer.name} did not serve all requests: ${errors}`);
  const requests = Number(/(\d+) requests in/.exec(output)?.[1] ?? 0);
  const requestsPerSecond = Number(/Requests\/sec:\s*([\d.]+)/.exec(output)?.[1] ?? 0);
  if (requests === 0) throw new Error(`wrk counted no requests:\n${output}`);
  return { peer: peer.name, requests, requestsPerSecond, microsecondsPerRequest: (cpu / requests) * 1e6 };
}

/** Peers alternate, and start in another order each time, so that what the machine does besides meets all of them. */
async function run(
  peers: readonly Peer[],
  { rounds, seconds, connections }: Options,
  load: string,
): Promise<Sample[][]> {
  for (const peer of peers) await measure(peer, Math.min(seconds, 3), connections, load);
  const all: Sample[][] = [];
  for (let round = 0; round < rounds; round++) {
    const samples: Sample[] = [];
    for (let turn = 0; turn < peers.length; turn++) {
      const peer = peers[(turn + round) % peers.length];
      if (peer === undefined) continue;
      const sample = await measure(peer, seconds, connections, load);
      samples.push(sample);
      console.log(
        `round ${round + 1}  ${peer.name.padEnd(9)} ${sample.requestsPerSecond.toFixed(0).padStart(8)} req/s  ${sample.microsecondsPerRequest.toFixed(2).padStart(6)} µs/request`,
      );
    }
    all.push(samples);
  }
  return all;
}

/** Every request of ours has kept its session: what was measured is the work that is meant. */
async function assertKept(holdfast: Holdfast, requests: number): Promise<void> {
  const metrics = await (await fetch(`http://127.0.0.1:${holdfast.adminPort}/metrics`)).text();
  const kept = [...metrics.matchAll(/^holdfast_decisions_total\{[^}]*outcome="kept"[^}]*\} (\S+)$/gm)];
  const total = kept.reduce((sum, [, value]) => sum + Number(value), 0);
  if (total < requests) throw new Error(`only ${total} of ${requests} requests kept their session`);
}

function facts(options: Options): Record<string, unknown> {
  const version = (command: string, ...args: string[]): string => {
    // nginx says it on stderr, wrk's usage ends with 1.
    const text = execFileSync('sh', ['-c', `"$0" "$@" 2>&1 || true`, command, ...args], { encoding: 'utf8' });
    return text.split('\n', 1)[0]?.trim() ?? '';
  };
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? '',
    cores: allowedCores().length,
    kernel: release(),
    node: process.version,
    haproxy: version('haproxy', '-v'),
    nginx: version('nginx', '-v'),
    wrk: version('wrk', '-v'),
    rounds: options.rounds,
    seconds: options.seconds,
    connections: options.connections,
  };
}

/** Exit code: 1 when the limit is exceeded, and the machine could tell. */
function judge(summaries: readonly Summary[], maxRatio: number | undefined): number {
  const best = summaries.find(({ peer }) => peer === RIVAL)?.ours.least ?? NaN;
  if (maxRatio === undefined) return 0;
  if (allowedCores().length < 2) {
    console.log('One core only: load and proxy share it, so the ratio is not judged.');
    return 0;
  }
  const verdict = best <= maxRatio;
  console.log(
    `best round: ${best.toFixed(2)} times HAProxy's CPU a request, limit ${maxRatio}: ${verdict ? 'ok' : 'exceeded'}`,
  );
  return verdict ? 0 : 1;
}

async function main(): Promise<number> {
  const options = readOptions();
  const missing = missingPrograms(['haproxy', 'nginx', 'wrk', 'taskset']);
  if (missing.length > 0) {
    console.error(`not installed: ${missing.join(', ')}; on Debian: apt-get install haproxy nginx wrk util-linux`);
    return 2;
  }
  const [proxyCore = '0', ...others] = allowedCores();
  const load = others.length === 0 ? proxyCore : others.join(',');
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  try {
    const backends = await startBackends(dir, load);
    const haproxy = await startHaproxy(dir, proxyCore, backends.port);
    const nginx = await startNginx(dir, proxyCore, backends.port);
    const holdfast = await startHoldfast(dir, proxyCore, backends.port);
    const rounds = await run([haproxy, holdfast, nginx], options, load);
    const ours = rounds.flat().filter(({ peer }) => peer === US);
    await assertKept(
      holdfast,
      ours.reduce((sum, { requests }) => sum + requests, 0),
    );
    const summaries = summarize(rounds, US);
    console.log(`\n${table(summaries, US)}\n`);
    const machine = facts(options);
    if (options.json !== undefined) {
      writeFileSync(options.json, `${JSON.stringify({ machine, summaries, rounds }, null, 2)}\n`);
    }
    return judge(summaries, options.maxRatio);
  } finally {
    await stopAll();
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
process.exitCode = await main();
