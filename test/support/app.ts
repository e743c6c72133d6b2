/** Starts the whole application in this process, on free loopback ports, over manifests in a fresh temporary folder. */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { startController } from '../../src/control/controller.ts';
import type { Controller } from '../../src/control/controller.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { Admin } from './admin.ts';
import { closeAtEnd } from './cleanup.ts';

export { startBackend, startBackends } from './backend.ts';
export type { Backend } from './backend.ts';
export { closeAtEnd } from './cleanup.ts';
export { Client, setCookieValue } from './client.ts';
export type { Answer } from './client.ts';
export { eventually } from './eventually.ts';
export { file, ingress, policy, service, site, slice, slices } from './manifests.ts';

export interface AppOptions {
  /** One file's text, or several by name. */
  readonly manifests: string | Readonly<Record<string, string>>;
  readonly config?: Partial<Config>;
}

/** Closed at the end of the test file, if not before. */
export async function startApp(options: AppOptions): Promise<App> {
  const base = await makeFolder();
  closeAtEnd(() => rm(base, { recursive: true, force: true }));
  const dir = join(base, 'manifests');
  await mkdir(dir);
  const { manifests } = options;
  const files = typeof manifests === 'string' ? { 'all.yaml': manifests } : manifests;
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);

  const config: Config = { ...defaults(base, dir), ...options.config };
  const logs: string[] = [];
  const logger = createLogger({ level: config.logLevel, pretty: false, write: (line) => logs.push(line) });
  const app = new App(await startController(config, logger, new AbortController().signal), config, base, logs);
  closeAtEnd(() => app.close());
  return app;
}

/** A temporary folder of its own; removing it is the caller's. */
export async function makeFolder(): Promise<string> {
  return await mkdtemp(join(tmpdir(), 'holdfast-test-'));
}

function defaults(base: string, dir: string): Config {
  const args = Object.entries({
    manifests: dir,
    'http-port': '0',
    'https-port': 'off',
    'bind-address': '127.0.0.1',
    'admin-address': '127.0.0.1:0',
    workers: '2',
    'shutdown-delay': '0s',
    'shutdown-grace': '1s',
    'session-keys-file': join(base, 'session-keys.json'),
    'log-level': 'warn',
  }).flatMap(([flag, value]) => [`--${flag}`, value]);
  const { config, errors } = loadConfig({ args, env: {}, readFile: () => '' });
  if (config === undefined) throw new Error(errors.join('\n'));
  return config;
}

export class App extends Admin {
  readonly port: number;
  /** Of HTTPS, which is off unless the config says otherwise. */
  readonly httpsPort: number;
  /** Folder of the manifests. */
  readonly dir: string;
  readonly keysFile: string;
  /** Log lines (JSON) so far, from level `warn` up unless the config says otherwise. */
  readonly logs: readonly string[];
  readonly controller: Controller;
  readonly #base: string;
  #written = 0;
  #closed: Promise<void> | undefined;

  constructor(controller: Controller, config: Config, base: string, logs: readonly string[]) {
    super(controller.adminAddress.port);
    this.controller = controller;
    this.port = controller.httpAddress.port;
    this.httpsPort = controller.httpsAddress?.port ?? 0;
    this.dir = config.manifests ?? '';
    this.keysFile = config.sessionKeysFile;
    this.logs = logs;
    this.#base = base;
  }

  /** Puts a manifest file in place by renaming, so that it is never seen half-written. */
  async write(name: string, text: string): Promise<void> {
    const temporary = join(this.#base, `written-${this.#written++}`);
    await writeFile(temporary, text);
    await rename(temporary, join(this.dir, name));
  }

  /** Writes a manifest file that changes something and waits until every worker serves by it. */
  async change(name: string, text: string): Promise<void> {
    await this.applied(() => this.write(name, text));
  }

  /** Graceful shutdown; a second call waits for the first. */
  async close(): Promise<void> {
    this.#closed ??= this.controller.shutdown();
    await this.#closed;
  }
}
