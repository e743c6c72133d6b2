/** Runs the controller as a pod of the installed chart would: its flags, environment, account and address, none written twice. */
import { spawn, type ChildProcess } from 'node:child_process';
import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { API_CA, API_SERVER } from './control-plane.ts';
import { eventually, get, kubectl, ROOT } from './kube.ts';

interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
}

interface Pod {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly deletionTimestamp?: string };
  readonly spec: {
    readonly serviceAccountName: string;
    readonly containers: readonly [{ readonly args: readonly string[]; readonly env: readonly EnvVar[] }];
  };
  readonly status: { readonly podIP?: string };
}

/** Where a controller is told to find the API server: this one, or something of a test's between the two. */
export interface Way {
  readonly host: string;
  readonly port: number;
  /** PEM file of who signed its certificate. */
  readonly authority: string;
}

const DIRECT: Way = { ...API_SERVER, authority: API_CA };

/** The program; benchmarks run the compiled one. */
const ENTRY = process.env['HOLDFAST_ENTRY'] ?? join(ROOT, 'src/main.ts');

/** As kubelet does, in a mount namespace of the process's own: the account's folder at the place where every pod has it. */
const MOUNTED = `
mount -t tmpfs -o mode=755 tmpfs /var/run
mkdir -p /var/run/secrets/kubernetes.io
ln -s "$0" /var/run/secrets/kubernetes.io/serviceaccount
exec "$@"`;

export class Controller {
  readonly pod: string;
  readonly address: string;
  readonly #again: () => Promise<Controller>;
  readonly #process: ChildProcess;
  readonly #directory: string;
  readonly #ended: Promise<number | null>;
  #log = '';

  private constructor(pod: Pod, way: Way, directory: string) {
    this.pod = pod.metadata.name;
    this.address = pod.status.podIP ?? '';
    this.#again = () => Controller.#start(pod, way);
    this.#directory = directory;
    const [{ args, env }] = pod.spec.containers;
    const variables = Object.fromEntries(env.map((variable) => [variable.name, valueOf(variable, pod)]));
    const given = args.map((arg) => arg.replace(/\$\((\w+)\)/g, (_, name: string) => variables[name] ?? ''));
    // A pod has the ports for itself; here every pod shares them, so each listens on its own address alone.
    const own = [`--bind-address=${this.address}`, `--admin-address=${this.address}:9090`];
    const program = [process.execPath, ENTRY, ...given, ...own];
    this.#process = spawn('unshare', ['--mount', 'sh', '-ec', MOUNTED, directory, ...program], {
      cwd: directory,
      env: {
        ...variables,
        PATH: process.env['PATH'],
        KUBERNETES_SERVICE_HOST: way.host,
        KUBERNETES_SERVICE_PORT: String(way.port),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { promise, resolve } = Promise.withResolvers<number | null>();
    this.#ended = promise;
    this.#process.on('exit', resolve);
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
    }
  }

  /** One process for each pod of the release that there is and does not end; resolves when all are ready. */
  static async startAll(namespace: string, way: Way = DIRECT): Promise<Controller[]> {
    const selector = 'app.kubernetes.io/component=controller';
    const pods = await eventually(async () => {
      const { items } = await get<{ items: Pod[] }>('pods', '-n', namespace, '-l', selector);
      const lasting = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      if (lasting.length === 0 || lasting.some(({ status }) => !status.podIP)) throw new Error('no pods yet');
      return lasting;
    });
    const controllers = await Promise.all(pods.map((pod) => Controller.#start(pod, way)));
    await Promise.all(controllers.map((controller) => controller.ready()));
    return controllers;
  }

  static async #start(pod: Pod, way: Way): Promise<Controller> {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-e2e-'));
    const { namespace } = pod.metadata;
    const token = await kubectl(['create', 'token', '-n', namespace, pod.spec.serviceAccountName]);
    writeFileSync(join(directory, 'token'), token.trim());
    writeFileSync(join(directory, 'namespace'), namespace);
    copyFileSync(way.authority, join(directory, 'ca.crt'));
    return new Controller(pod, way, directory);
  }

  /** The token that it finds from now on, as kubelet replaces one that is about to expire. */
  giveToken(token: string): void {
    const next = join(this.#directory, 'token.next');
    writeFileSync(next, token);
    renameSync(next, join(this.#directory, 'token'));
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Everything it has logged. */
  get log(): string {
    return this.#log;
  }

  async ready(): Promise<void> {
    await eventually(async () => {
      const answer = await fetch(this.admin('/readyz')).catch((error: unknown) => {
        throw new Error(`the controller does not answer: ${this.#log}`, { cause: error });
      });
      if (!answer.ok) throw new Error(`not ready: ${await answer.text()}\n${this.#log}`);
      await answer.body?.cancel();
    }, 20_000);
  }

  admin(path: string): string {
    return `http://${this.address}:9090${path}`;
  }

  /** As kubelet starts the container of the same pod anew, once this one has ended; resolves when it is ready. */
  async again(): Promise<Controller> {
    const next = await this.#again();
    await next.ready();
    return next;
  }

  /** As Kubernetes ends a pod; the exit code. */
  async stop(): Promise<number | null> {
    this.#process.kill('SIGTERM');
    const code = await this.#ended;
    rmSync(this.#directory, { recursive: true, force: true });
    return code;
  }
}

function valueOf({ name, value, valueFrom }: EnvVar, { metadata }: Pod): string {
  if (value !== undefined) return value;
  const path = valueFrom?.fieldRef.fieldPath;
  if (path === 'metadata.name') return metadata.name;
  if (path === 'metadata.namespace') return metadata.namespace;
  throw new Error(`the tests do not know how to fill ${name}`);
}
