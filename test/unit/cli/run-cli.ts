/** Runs the real command in a process of its own. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

export const ROOT = join(import.meta.dirname, '..', '..', '..');

export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export class Cli {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #exit: Promise<unknown>;
  #out = '';
  #err = '';

  constructor(args: readonly string[], options: { env?: Record<string, string>; cwd?: string } = {}) {
    const env = { ...process.env, ...options.env };
    this.#child = spawn(process.execPath, [join(ROOT, 'src', 'main.ts'), ...args], {
      cwd: options.cwd ?? ROOT,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout.on('data', (chunk: Buffer) => (this.#out += chunk.toString()));
    this.#child.stderr.on('data', (chunk: Buffer) => (this.#err += chunk.toString()));
    this.#exit = once(this.#child, 'close');
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  async finished(): Promise<Finished> {
    await this.#exit;
    return { code: this.#child.exitCode, out: this.#out, err: this.#err };
  }

  /** Waits until stdout matches; rejects when the process ends before. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
    const look = (): void => {
      const match = pattern.exec(this.#out);
      if (match !== null) resolve(match);
    };
    this.#child.stdout.on('data', look);
    look();
    this.#exit.then(
      () => reject(new Error(`it ended before it printed ${String(pattern)}:\n${this.#out}\n${this.#err}`)),
      reject,
    );
    return await promise;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** For clean-up: at once, if it still runs. */
  async kill(): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill('SIGKILL');
    await this.#exit;
  }
}

export async function holdfast(
  args: readonly string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): Promise<Finished> {
  return await new Cli(args, options).finished();
}
