/** Runs the controller as a pod of the installed chart would: its flags, environment, account and address, none written twice. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { API_CA, API_SERVER, eventually, get, kubectl, ROOT } from './kube.ts';

interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
}

interface Pod {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly serviceAccountName: string;
    readonly containers: readonly [{ readonly args: readonly string[]; readonly env: readonly EnvVar[] }];
  };
  readonly status: { readonly podIP?: string };
}

export class Controller {
  readonly pod: string;
  readonly address: string;
  readonly #process: ChildProcess;
  readonly #directory: string;
  readonly #ended: Promise<number | null>;
  #log = '';

  private constructor(pod: Pod, address: string, directory: string) {
    this.pod = pod.metadata.name;
    this.address = address;
    this.#directory = directory;
    const [{ args, env }] = pod.spec.containers;
    const variables = Object.fromEntries(env.map((variable) => [variable.name, valueOf(variable, pod)]));
    const given = args.map((arg) => arg.replace(/\$\((\w+)\)/g, (_, name: string) => variables[name] ?? ''));
    // A pod has the ports for itself; here every pod shares them, so each listens on its own address alone.
    const own = [`--bind-address=${address}`, `--admin-address=${address}:9090`];
    this.#process = spawn(process.execPath, [join(ROOT, 'src/main.ts'), ...given, ...own], {
      cwd: directory,
      env: { ...variables, PATH: process.env['PATH'], HOLDFAST_KUBECONFIG: join(directory, 'kubeconfig') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { promise, resolve } = Promise.withResolvers<number | null>();
    this.#ended = promise;
    this.#process.on('exit', resolve);
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
    }
  }

  /** One process for each pod of the release that there is; resolves when all are ready. */
  static async startAll(namespace: string): Promise<Controller[]> {
    const selector = 'app.kubernetes.io/component=controller';
    const pods = await eventually(async () => {
      const { items } = await get<{ items: Pod[] }>('pods', '-n', namespace, '-l', selector);
      if (items.length === 0 || items.some(({ status }) => status.podIP === undefined)) throw new Error('no pods yet');
      return items;
    });
    const controllers = await Promise.all(pods.map((pod) => Controller.#start(pod)));
    await Promise.all(controllers.map((controller) => controller.ready()));
    return controllers;
  }

  static async #start(pod: Pod): Promise<Controller> {
    const { serviceAccountName } = pod.spec;
    const { namespace } = pod.metadata;
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-e2e-'));
    const token = await kubectl(['create', 'token', '-n', namespace, serviceAccountName]);
    writeFileSync(join(directory, 'token'), token.trim());
    writeFileSync(join(directory, 'kubeconfig'), kubeconfig(join(directory, 'token')));
    return new Controller(pod, pod.status.podIP ?? '', directory);
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

function kubeconfig(tokenFile: string): string {
  const cluster = { server: API_SERVER, 'certificate-authority': API_CA };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster }],
    users: [{ name: 'controller', user: { tokenFile } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'controller' } }],
    'current-context': 'test',
  });
}
