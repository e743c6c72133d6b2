/** Runs a real redis-server on a loopback port of its own; a machine without one fails, and says what to install. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@redis/client';
import { parseStoreUrl } from '../../src/config/store-url.ts';
import type { SessionStoreAddress } from '../../src/config/config.ts';
import { closeAtEnd } from './cleanup.ts';
import { eventually } from './eventually.ts';

const PROGRAM = 'redis-server';

/** Nothing is left of it at the end of the test file. */
export async function startRedis(...flags: readonly string[]): Promise<Redis> {
  return await start(await freePort(), (folder) => [
    ...['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder],
    ...flags,
  ]);
}

/** The same over TLS alone; `certificate`: PEM files. */
export async function startRedisTls(certificate: { readonly key: string; readonly cert: string }): Promise<Redis> {
  const port = await freePort();
  const tls = ['--tls-cert-file', certificate.cert, '--tls-key-file', certificate.key, '--tls-auth-clients', 'no'];
  return await start(port, (folder) => ['--bind', '127.0.0.1', '--dir', folder, '--tls-port', String(port), ...tls], 0);
}

/** A Sentinel that watches over `master` under the name `main`. */
export async function startSentinel(master: Redis): Promise<Redis> {
  return await start(await freePort(), (folder) => {
    const file = join(folder, 'sentinel.conf');
    writeFileSync(file, `dir ${folder}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 ${master.port} 1\n`);
    return [file, '--sentinel'];
  });
}

async function start(port: number, flags: (folder: string) => readonly string[], plainPort = port): Promise<Redis> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-redis-'));
  const redis = new Redis(port, [...flags(folder), '--port', String(plainPort)]);
  closeAtEnd(async () => {
    await redis.stop();
    await rm(folder, { recursive: true, force: true });
  });
  await redis.start();
  return redis;
}

/** redis-server cannot be asked for any free port. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export class Redis {
  readonly port: number;
  readonly #flags: readonly string[];
  #process: ChildProcess | undefined;

  constructor(port: number, flags: readonly string[]) {
    this.port = port;
    this.#flags = flags;
  }

  /** For the controller. */
  address(login = '', scheme = 'redis', path = ''): SessionStoreAddress {
    const address = parseStoreUrl(`${scheme}://${login}127.0.0.1:${this.port}${path}`);
    if (address === undefined) throw new Error('no such URL');
    return address;
  }

  /** Accepts connections, on the same port as before, and has forgotten everything. */
  async start(): Promise<void> {
    const child = spawn(PROGRAM, [...this.#flags], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const failed = new Promise<never>((_, reject) => {
      child.once('error', (error) =>
        reject(new Error(`${PROGRAM} is needed (Debian: apt-get install redis-server): ${error.message}`)),
      );
      child.once('exit', (code) => reject(new Error(`redis-server exited with ${code}: ${output}`)));
    });
    failed.catch(() => undefined);
    await Promise.race([failed, eventually(() => this.#accepts())]);
  }

  async #accepts(): Promise<boolean> {
    const socket = connect(this.port, '127.0.0.1');
    return await new Promise((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    })
      .then((accepted) => accepted as boolean)
      .finally(() => socket.destroy());
  }

  /** It hangs: connections stay, nothing is answered. */
  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  goOn(): void {
    this.#process?.kill('SIGCONT');
  }

  /** Killed, its connections cut. */
  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** A client of the test's own. */
  async client(): Promise<ReturnType<typeof createClient>> {
    const client = createClient({ socket: { host: '127.0.0.1', port: this.port, reconnectStrategy: false } });
    client.on('error', () => undefined);
    closeAtEnd(async () => {
      if (client.isOpen) client.destroy();
    });
    await client.connect();
    return client as ReturnType<typeof createClient>;
  }
}
