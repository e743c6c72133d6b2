/** Starts Holdfast as a process of its own, on free loopback ports. */
import { readFile } from 'node:fs/promises';
import { Cli } from '../unit/cli/run-cli.ts';
import { Admin } from './admin.ts';
import { closeAtEnd } from './cleanup.ts';

export interface ProcessOptions {
  /** Folder of manifests. */
  readonly manifests: string;
  readonly keysFile: string;
  /** Further flags with their values. */
  readonly flags?: Readonly<Record<string, string>>;
}

/** `holdfast run`; killed at the end of the test file, if it still runs. */
export async function startProcess({ manifests, keysFile, flags = {} }: ProcessOptions): Promise<HoldfastProcess> {
  const all = {
    manifests,
    'session-keys-file': keysFile,
    'http-port': '0',
    'https-port': 'off',
    'bind-address': '127.0.0.1',
    'admin-address': '127.0.0.1:0',
    workers: '2',
    'shutdown-delay': '0s',
    'shutdown-grace': '1s',
    ...flags,
  };
  const cli = new Cli(['run', ...Object.entries(all).flatMap(([flag, value]) => [`--${flag}`, value])]);
  closeAtEnd(() => cli.kill());
  const [, port = '', adminPort = ''] = await cli.printed(/"http":"[^"]*:(\d+)","admin":"[^"]*:(\d+)"/);
  return new HoldfastProcess(cli, Number(port), Number(adminPort));
}

export class HoldfastProcess extends Admin {
  readonly port: number;
  readonly #cli: Cli;

  constructor(cli: Cli, port: number, adminPort: number) {
    super(adminPort);
    this.#cli = cli;
    this.port = port;
  }

  /** Resident memory, bytes. */
  async residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.#cli.pid}/status`, 'utf8');
    const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
    if (kibibytes === undefined) throw new Error(`no VmRSS in ${status}`);
    return Number(kibibytes) * 1024;
  }

  /** SIGTERM, and waits for its end. */
  async stop(): Promise<{ readonly code: number | null }> {
    this.#cli.signal('SIGTERM');
    return await this.#cli.finished();
  }
}
