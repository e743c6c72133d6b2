/**
 * Instructions that a worker takes for a request, by function: `node bench/instructions.ts [LOAD] [--seconds N]`, with a load of
 * `LOADS`. Counted by callgrind, outside the kernel. No noise of the machine is in them, so a change of two per cent can be
 * seen on one where times vary by half; caches and system calls are not in them either.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startBackends } from './support/backends.ts';
import { readProfile } from './support/callgrind.ts';
import { stopAll } from './support/child.ts';
import { Lab } from './support/lab.ts';
import { h2load, handshakes, wrk } from './support/load.ts';
import type { Done } from './support/load.ts';
import { missingPrograms } from './support/machine.ts';
import type { Program } from './support/machine.ts';
import { startHoldfast } from './support/peers/holdfast.ts';
import type { Peer } from './support/peers/peer.ts';

const FUNCTIONS = 60;

interface Load {
  readonly program: Program;
  readonly run: (lab: Lab, peer: Peer) => Promise<Done>;
}

const LOADS: Readonly<Record<string, Load>> = {
  raw: { program: 'wrk', run: (lab, peer) => wrk(lab, peer, { connections: 64 }) },
  close: { program: 'wrk', run: (lab, peer) => wrk(lab, peer, { connections: 64, close: true }) },
  tls: { program: 'wrk', run: (lab, peer) => wrk(lab, peer, { connections: 64, tls: true }) },
  full: { program: 'openssl', run: (lab, peer) => handshakes(lab, peer, false) },
  resumed: { program: 'openssl', run: (lab, peer) => handshakes(lab, peer, true) },
  http2: { program: 'h2load', run: (lab, peer) => h2load(lab, peer, { connections: 16, streams: 10 }) },
};

/** Of the worker, whose thread is started last. */
async function measure(name: string, { run }: Load, seconds: number, dir: string): Promise<void> {
  const lab = new Lab(dir, { rounds: 1, seconds, quick: false });
  const out = join(dir, 'callgrind');
  const peer = await startHoldfast(lab, await startBackends(lab), {
    under: [
      'valgrind',
      '--tool=callgrind',
      '--instr-atstart=no',
      '--separate-threads=yes',
      '--fair-sched=yes',
      `--callgrind-out-file=${out}`,
    ],
    flags: ['--perf-basic-prof', `--perf-basic-prof-path=${dir}`, '--no-short-builtin-calls'],
  });
  const control = (...args: string[]) =>
    execFileSync('callgrind_control', [...args, String(peer.child.pid)], { stdio: 'ignore' });
  // Compiled code is made while nothing is counted yet, and once more in part when counting begins.
  await run(lab, peer);
  control('-i', 'on');
  await run(lab, peer);
  const load = run(lab, peer);
  // What opens the connections does not count.
  await wait(seconds * 250);
  control('-z');
  const before = await peer.kept();
  await wait(seconds * 500);
  control('-d');
  const requests = (await peer.kept()) - before;
  await load;
  const profiles = readdirSync(dir).filter((name) => name.startsWith('callgrind.1-'));
  const profile = readProfile(join(dir, profiles.sort().at(-1) ?? ''), join(dir, `perf-${peer.child.pid}.map`));
  const total = profile.reduce((sum, { count }) => sum + count, 0);
  console.log(`${name}: ${Math.round(total / requests)} instructions a request (${requests} requests)`);
  for (const kind of ['compiled', 'V8 builtins', 'native']) {
    const sum = profile.reduce((all, one) => (one.kind === kind ? all + one.count : all), 0);
    console.log(`${String(Math.round(sum / requests)).padStart(8)}  ${kind}`);
  }
  console.log('');
  for (const { count, name } of profile.slice(0, FUNCTIONS)) {
    console.log(`${String(Math.round(count / requests)).padStart(8)}  ${name.slice(0, 120)}`);
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '40' } },
});
const [name = 'raw'] = positionals;
const dir = mkdtempSync(join(tmpdir(), 'holdfast-instructions-'));
try {
  const load = Object.hasOwn(LOADS, name) ? LOADS[name] : undefined;
  if (load === undefined) throw new Error(`${JSON.stringify(name)} is no load; write ${Object.keys(LOADS).join(', ')}`);
  const missing = missingPrograms(['valgrind', 'nginx', 'taskset', load.program]);
  if (missing !== undefined) throw new Error(missing);
  await measure(name, load, Number(values.seconds), dir);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await stopAll();
  rmSync(dir, { recursive: true, force: true });
}
