/** Finds the cluster and proves who we are: kubeconfig files and in-cluster credentials, read again whenever they are refused. */
import { existsSync, readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type AgentOptions, type RequestOptions } from 'node:https';
import { dirname, resolve } from 'node:path';
import type * as Library from '@kubernetes/client-node';
import { PodAccount } from './pod-account.ts';

/** What a request needs to reach the API server and be let in. */
export interface Access {
  readonly server: URL;
  readonly agent: HttpAgent;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Credentials {
  /** Of the pod, or of the context in use; undefined = neither says. */
  readonly namespace: string | undefined;
  /** Never blocks on the network, except for exec plug-ins that do. */
  access(): Promise<Access>;
  /** Forgets what is cached: a rotated token, certificate or file counts from now on. */
  refresh(): void;
  close(): void;
}

/** Also found dead connections: a peer that vanished without a word is noticed by the kernel. */
const KEEP_ALIVE_MS = 30_000;

/** Whether there is anything to connect to: a kubeconfig named here or by the environment, or the pod's own account. */
export function clusterIsNamed(kubeconfig: string | undefined): boolean {
  return kubeconfig !== undefined || PodAccount.exists() || (process.env['KUBECONFIG'] ?? '') !== '';
}

/** Without a `cause`, which would quote the file. */
class UnreadableCredentials extends Error {}

/**
 * @param kubeconfig a file; undefined = the pod's own account, else the files of `KUBECONFIG`
 * @throws Error with a message for the user
 */
export async function loadCredentials(kubeconfig: string | undefined): Promise<Credentials> {
  if (kubeconfig === undefined && PodAccount.exists()) return podAccount();
  // Loaded only where it is needed: it is by far the largest package there is here.
  return new KubeconfigCredentials(await import('@kubernetes/client-node'), kubeconfig);
}

function podAccount(): Credentials {
  try {
    return new PodAccount({ keepAlive: KEEP_ALIVE_MS });
  } catch (error) {
    throw unreadable('the pod’s service account', error);
  }
}

class KubeconfigCredentials implements Credentials {
  readonly #library: typeof Library;
  readonly #kubeconfig: string | undefined;
  #config: Library.KubeConfig;
  #agent: { readonly material: string; readonly agent: HttpAgent } | undefined;

  constructor(library: typeof Library, kubeconfig: string | undefined) {
    this.#library = library;
    this.#kubeconfig = kubeconfig;
    this.#config = this.#read();
  }

  get namespace(): string | undefined {
    return this.#config.getContextObject(this.#config.getCurrentContext())?.namespace;
  }

  refresh(): void {
    this.#config = this.#read();
  }

  close(): void {
    this.#agent?.agent.destroy();
  }

  async access(): Promise<Access> {
    const cluster = this.#config.getCurrentCluster();
    if (cluster === null) throw new Error(`${this.#where()} has no current cluster; set current-context`);
    const options: RequestOptions = {};
    await this.#config.applyToHTTPSOptions(options);
    const headers = { ...(options.headers as Record<string, string> | undefined) };
    if (typeof options.auth === 'string') {
      headers['Authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
    }
    const proxied = cluster.proxyUrl === undefined ? undefined : options.agent;
    return {
      server: new URL(cluster.server),
      agent: proxied instanceof HttpAgent ? proxied : this.#agentFor(cluster.server, options),
      headers,
    };
  }

  /** One agent as long as the TLS material stays the same: connections are kept, and end with their certificate. */
  #agentFor(server: string, options: RequestOptions): HttpAgent {
    const { ca, cert, key, rejectUnauthorized, servername } = options;
    const material = JSON.stringify([server, ca, cert, key, rejectUnauthorized, servername]);
    if (this.#agent?.material === material) return this.#agent.agent;
    const common: AgentOptions = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS };
    const tls: AgentOptions = {
      ...common,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
      ...(servername === undefined ? {} : { servername }),
    };
    const agent = server.startsWith('https:') ? new HttpsAgent(tls) : new HttpAgent(common);
    // Watches that run on the old connections go on; idle ones are closed by the server.
    this.#agent = { material, agent };
    return agent;
  }

  #where(): string {
    return this.#kubeconfig ?? 'KUBECONFIG';
  }

  #read(): Library.KubeConfig {
    const config = new this.#library.KubeConfig();
    try {
      if (this.#kubeconfig !== undefined) config.loadFromFile(this.#kubeconfig);
      else config.loadFromDefault();
      if (config.getCurrentCluster() === null) throw new Error('it has no current cluster; set current-context');
    } catch (error) {
      throw unreadable(this.#where(), error);
    }
    this.#useTokenFile(config);
    return config;
  }

  /** `tokenFile` of a user (kubectl's spelling) is unknown to the library, which reads `token-file`, once. */
  #useTokenFile(config: Library.KubeConfig): void {
    const user = config.getCurrentUser();
    const files = this.#kubeconfig === undefined ? (process.env['KUBECONFIG'] ?? '').split(':') : [this.#kubeconfig];
    if (user === null) return;
    for (const file of files.filter((name) => name !== '' && existsSync(name))) {
      const raw = this.#library.loadYaml<RawKubeConfig | undefined>(readFileSync(file, 'utf8'));
      const tokenFile = raw?.users?.find(({ name }) => name === user.name)?.user?.tokenFile;
      if (typeof tokenFile !== 'string') continue;
      const authProvider = { name: 'tokenFile', config: { tokenFile: resolve(dirname(file), tokenFile) } };
      config.users = config.users.map((one) => (one === user ? { name: user.name, authProvider } : one));
      return;
    }
  }
}

/** The first line alone and no cause: the parser quotes the lines around a mistake, and those hold tokens. */
function unreadable(what: string, error: unknown): Error {
  const [why = ''] = (error instanceof Error ? error.message : String(error)).split('\n', 1);
  return new UnreadableCredentials(`cannot read the credentials of ${what}: ${why}`);
}

interface RawKubeConfig {
  readonly users?: readonly { readonly name?: string; readonly user?: { readonly tokenFile?: unknown } }[];
}
