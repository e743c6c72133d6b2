/**
 * The account that Kubernetes mounts into every pod: a CA, a namespace, and a token that is replaced before it expires.
 * Read here rather than by the client library, which takes more memory than all objects of a middling cluster.
 */
import { existsSync, readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { isIPv6 } from 'node:net';
import type { Access, Credentials } from './credentials.ts';

const FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
/** As often as client-go reads the token again. */
const TOKEN_MS = 60_000;

export class PodAccount implements Credentials {
  readonly namespace: string | undefined;
  readonly #server: URL;
  readonly #keepAlive: number;
  #headers: Access['headers'] = {};
  #agent: { readonly ca: string; readonly agent: Agent };
  #readAt: number;

  /** Whether we run in a pod that has one. */
  static exists(): boolean {
    return (process.env['KUBERNETES_SERVICE_HOST'] ?? '') !== '' && existsSync(`${FOLDER}/token`);
  }

  /**
   * @param keepAlive ms between the kernel's probes of a connection
   * @throws Error of the file system
   */
  constructor(keepAlive: number) {
    const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '443' } = process.env;
    this.#server = new URL(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`);
    this.#keepAlive = keepAlive;
    this.namespace = existsSync(`${FOLDER}/namespace`) ? read('namespace') : undefined;
    const ca = read('ca.crt');
    this.#agent = { ca, agent: this.#agentFor(ca) };
    this.#readAt = -Infinity;
  }

  async access(): Promise<Access> {
    if (performance.now() - this.#readAt > TOKEN_MS) this.refresh();
    return { server: this.#server, agent: this.#agent.agent, headers: this.#headers };
  }

  refresh(): void {
    this.#readAt = performance.now();
    this.#headers = { Authorization: `Bearer ${read('token')}` };
    const ca = read('ca.crt');
    // Watches that run on the old connections go on.
    if (ca !== this.#agent.ca) this.#agent = { ca, agent: this.#agentFor(ca) };
  }

  close(): void {
    this.#agent.agent.destroy();
  }

  #agentFor(ca: string): Agent {
    return new Agent({ keepAlive: true, keepAliveMsecs: this.#keepAlive, ca });
  }
}

function read(file: string): string {
  return readFileSync(`${FOLDER}/${file}`, 'utf8').trim();
}
