/**
 * The account that Kubernetes mounts into every pod: a CA, a namespace, and a token that is replaced before it expires.
 * Read here rather than by the client library, which takes more memory than all objects of a middling cluster.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { isIPv6 } from 'node:net';
import type { Access, Credentials } from './credentials.ts';

const FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
/** As often as client-go reads the token again. */
const TOKEN_MS = 60_000;

export interface PodAccountOptions {
  /** ms between the kernel's probes of a connection. */
  readonly keepAlive: number;
  /** Where the files are; default: where every pod has them. */
  readonly folder?: string;
  /** Says where the API server is; default: the environment that kubelet has made. */
  readonly env?: Env;
  /** Monotonic, ms. */
  readonly now?: () => number;
}

export class PodAccount implements Credentials {
  readonly namespace: string | undefined;
  readonly #folder: string;
  readonly #server: URL;
  readonly #keepAlive: number;
  readonly #now: () => number;
  #headers: Access['headers'] = {};
  #agent: { readonly ca: string; readonly agent: Agent };
  #readAt = -Infinity;

  /** Whether we run in a pod that has one. */
  static exists(): boolean {
    return existsSync(`${FOLDER}/token`);
  }

  /** @throws Error that names the file or the variable */
  constructor({ keepAlive, folder = FOLDER, env = process.env, now = () => performance.now() }: PodAccountOptions) {
    this.#folder = folder;
    this.#server = serverOf(env);
    this.#keepAlive = keepAlive;
    this.#now = now;
    this.namespace = existsSync(`${folder}/namespace`) ? this.#read('namespace') : undefined;
    this.#agent = this.#agentFor(this.#readAuthority());
    this.refresh();
  }

  async access(): Promise<Access> {
    if (this.#now() - this.#readAt > TOKEN_MS) this.refresh();
    return { server: this.#server, agent: this.#agent.agent, headers: this.#headers };
  }

  /**
   * One file that cannot be read is told once a minute; what was read before goes on being used, for it may well be good.
   *
   * @throws Error that names the file
   */
  refresh(): void {
    this.#readAt = this.#now();
    this.#headers = { Authorization: `Bearer ${this.#read('token')}` };
    const ca = this.#readAuthority();
    // Watches that run on the old connections go on.
    if (ca !== this.#agent.ca) this.#agent = this.#agentFor(ca);
  }

  close(): void {
    this.#agent.agent.destroy();
  }

  #agentFor(ca: string): { readonly ca: string; readonly agent: Agent } {
    return { ca, agent: new Agent({ keepAlive: true, keepAliveMsecs: this.#keepAlive, ca }) };
  }

  /** TLS takes a text without certificates as a CA that has signed nothing, and then says only that it knows nobody. */
  #readAuthority(): string {
    const ca = this.#read('ca.crt');
    try {
      new X509Certificate(ca);
    } catch (error) {
      throw new Error(`${this.#folder}/ca.crt is no PEM certificate`, { cause: error });
    }
    return ca;
  }

  #read(file: string): string {
    const path = `${this.#folder}/${file}`;
    const text = readFileSync(path, 'utf8').trim();
    if (text === '') throw new Error(`${path} is empty`);
    return text;
  }
}

type Env = Readonly<Record<string, string | undefined>>;

function serverOf(env: Env): URL {
  const host = variable(env, 'KUBERNETES_SERVICE_HOST');
  const port = variable(env, 'KUBERNETES_SERVICE_PORT');
  const server = URL.parse(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`);
  if (server !== null) return server;
  throw new Error(`KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no host and port: ${host}, ${port}`);
}

function variable(env: Env, name: string): string {
  const value = env[name] ?? '';
  if (value === '') throw new Error(`${name} is not set; every pod has it, or name the cluster by --kubeconfig FILE`);
  return value;
}
