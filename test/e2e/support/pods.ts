/** What would run in the pods: one HTTP server on the address of every pod that lives, gone with the pod. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { watch } from './kube.ts';

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly status?: { readonly podIP?: string };
}

export interface PodLife {
  readonly name: string;
  readonly uid: string;
  /** When this side learnt of it; ms. */
  terminating: number | undefined;
  gone: number | undefined;
}

export const APP_PORT = 9000;

/** What a pod answers, as JSON; the least is its own name. */
export type Program = (pod: string, request: IncomingMessage) => { readonly pod: string };

export class Pods {
  /** By name; pods that have gone stay. */
  readonly lives = new Map<string, PodLife>();
  readonly #servers = new Map<string, Server>();
  readonly #program: Program;
  #stop: (() => void) | undefined;

  private constructor(program: Program) {
    this.#program = program;
  }

  /** Serves all pods of a namespace on port 9000; unless another program is given, each answers with its own name. */
  static async serve(namespace: string, program: Program = (pod) => ({ pod })): Promise<Pods> {
    const pods = new Pods(program);
    pods.#stop = await watch<Pod>(`/api/v1/namespaces/${namespace}/pods`, ({ type, object }) => {
      pods.#observe(type, object);
    });
    return pods;
  }

  /** Pods that are served and not on their way out. */
  get running(): PodLife[] {
    return [...this.lives.values()].filter(({ name, terminating }) => terminating === undefined && this.#listens(name));
  }

  close(): void {
    this.#stop?.();
    for (const server of this.#servers.values()) {
      server.close();
      server.closeAllConnections();
    }
  }

  #listens(name: string): boolean {
    return this.#servers.get(name)?.listening === true;
  }

  #observe(type: string, { metadata, status }: Pod): void {
    const { name, uid } = metadata;
    const life = this.lives.get(name) ?? { name, uid, terminating: undefined, gone: undefined };
    this.lives.set(name, life);
    if (metadata.deletionTimestamp !== undefined) life.terminating ??= Date.now();
    if (type === 'DELETED') this.#end(life);
    else if (status?.podIP !== undefined && !this.#servers.has(name)) this.#begin(name, status.podIP);
  }

  #begin(name: string, address: string): void {
    const server = createServer((request, response) => {
      request.resume();
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(this.#program(name, request)));
    });
    this.#servers.set(name, server.listen(APP_PORT, address));
  }

  /** As a well-behaved program ends: requests under way are finished, nobody gets in any more. */
  #end(life: PodLife): void {
    life.terminating ??= Date.now();
    life.gone = Date.now();
    const server = this.#servers.get(life.name);
    this.#servers.delete(life.name);
    server?.close();
    server?.closeIdleConnections();
  }
}
