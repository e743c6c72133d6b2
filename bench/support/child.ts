/** Child processes of a benchmark: started on given cores, CPU time and memory read from /proc, ended by pid whatever happens. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { TICKS_PER_SECOND } from './machine.ts';

const START_DEADLINE_MS = 15_000;
const STOP_DEADLINE_MS = 5_000;

const running = new Map<ChildProcess, Child>();
process.on('exit', () => {
  for (const child of running.keys()) child.kill('SIGKILL');
});

/** Those started last end first. */
export async function stopAll(): Promise<void> {
  for (const child of [...running.values()].reverse()) await child.stop();
}

/** Starts a program on `cores` (a list as taskset takes it); its complaints are kept for when it fails. */
export class Child {
  readonly name: string;
  readonly #process: ChildProcess;
  #output = '';

  /** `env`: variables beside this process's own. */
  constructor(name: string, cores: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.name = name;
    this.#process = spawn('taskset', ['-c', cores, command, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    running.set(this.#process, this);
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-8192);
      });
    }
    this.#process.once('exit', () => running.delete(this.#process));
    this.#process.once('error', (error) => (this.#output += error.message));
  }

  get #ended(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null || this.#process.pid === undefined;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** CPU seconds used so far by all its threads, those that have ended included. */
  cpuSeconds(): number {
    const stat = this.#proc('stat');
    // The program's name stands in brackets and may hold spaces; utime and stime are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  /** KiB. */
  residentMemory(): number {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(this.#proc('status'))?.[1] ?? NaN);
  }

  #proc(file: string): string {
    return readFileSync(`/proc/${this.pid}/${file}`, 'utf8');
  }

  /** @throws when it ends, or when `probe` gives nothing within the deadline */
  async until<T>(probe: () => Promise<T | undefined>, deadlineMs = START_DEADLINE_MS): Promise<T> {
    const deadline = performance.now() + deadlineMs;
    while (performance.now() < deadline) {
      if (this.#ended) throw new Error(`${this.name} ended at once:\n${this.#output}`);
      const found = await probe().catch(() => undefined);
      if (found !== undefined) return found;
      await after(50);
    }
    throw new Error(`${this.name} did not answer within ${deadlineMs / 1000} s:\n${this.#output}`);
  }

  /** Waits until it has written a line that matches. @throws as `until` */
  async printed(line: RegExp, deadlineMs?: number): Promise<string> {
    return await this.until(async () => line.exec(this.#output)?.[0], deadlineMs);
  }

  /** Waits for its end; gives what it wrote. @throws when it failed */
  async finished(): Promise<string> {
    if (!this.#ended) await once(this.#process, 'close');
    if (this.#process.exitCode !== 0) throw new Error(`${this.name} failed:\n${this.#output}`);
    return this.#output;
  }

  async stop(): Promise<void> {
    if (this.#ended) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    const late = setTimeout(() => this.#process.kill('SIGKILL'), STOP_DEADLINE_MS);
    await exited;
    clearTimeout(late);
  }
}

/** A port that was free on all addresses a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
