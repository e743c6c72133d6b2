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
  readonly #agent: Agent;
  #token: { readonly text: string; readonly readAt: number } | undefined;

  /** Whether we run in a pod that has one. */
  static exists(): boolean {
    return (process.env['KUBERNETES_SERVICE_HOST'] ?? '') !== '' && existsSync(`${FOLDER}/token`);
  }

  /** @throws Error of the file system */
  constructor(keepAlive: number) {
    const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '443' } = process.env;
    this.#server = new URL(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`);
    this.#agent = new Agent({ keepAlive: true, keepAliveMsecs: keepAlive, ca: read('ca.crt') });
    this.namespace = existsSync(`${FOLDER}/namespace`) ? read('namespace').trim() : undefined;
  }

  async access(): Promise<Access> {
    const now = performance.now();
    if (this.#token === undefined || now - this.#token.readAt > TOKEN_MS) {
      this.#token = { text: read('token').trim(), readAt: now };
    }
    return { server: this.#server, agent: this.#agent, headers: { Authorization: `Bearer ${this.#token.text}` } };
  }

  refresh(): void {
    this.#token = undefined;
  }

  close(): void {
    this.#agent.destroy();
  }
}

function read(file: string): string {
  return readFileSync(`${FOLDER}/${file}`, 'utf8');
}
