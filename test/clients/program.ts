/** Runs clients that are programs of their own; a machine without them fails, and says what to install. */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { closeAtEnd } from '../support/cleanup.ts';

/** Debian's package of each. */
const PACKAGES = { curl: 'curl', h2load: 'nghttp2-client', chromium: 'chromium' } as const;
type Program = keyof typeof PACKAGES;

const DEADLINE_MS = 25_000;
/** From being asked to end until being killed. */
const GRACE_MS = 5000;

const execute = promisify(execFile);

/** What it has written. @throws when it fails or takes too long: with what it says itself about that */
export async function run(program: Program, args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  return await execute(program, args, { timeout: DEADLINE_MS }).catch((error: unknown) => {
    throw explained(program, error);
  });
}

/** One that runs beside the tests; ended at the end of the test file, if it has not ended before. */
export async function start(program: Program, args: readonly string[], stdio: StdioOptions): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio });
  await once(child, 'spawn').catch((error: unknown) => {
    throw explained(program, error);
  });
  closeAtEnd(() => end(child));
  return child;
}

/** Asked to end, as then the processes that it has started end with it. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  const late = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  child.kill('SIGTERM');
  await ended.finally(() => clearTimeout(late));
}

/** Why it could not be started or has failed. */
function explained(program: Program, error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) return error;
  return new Error(`${program} is needed (Debian: apt-get install ${PACKAGES[program]})`);
}
