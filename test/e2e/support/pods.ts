/** What would run in the pods: one HTTP server on the address of every pod that lives, gone with the pod. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { api, watch } from './kube.ts';

interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly status?: { readonly podIP?: string };
}

export interface PodLife {
  readonly name: string;
  readonly uid: string;
  /** Told to go, it serves until this time at least: wall clock, ms; Infinity = nobody has told it. */
  servesUntil: number;
  gone: boolean;
}

export const APP_PORT = 9000;

/**
 * Annotations of a pod template: nobody says that such a pod is Ready but its server here, once it listens. Without it a
 * pod is Ready half a second after it has its address, whatever its server does.
 */
export const READY_WHEN_LISTENING = { 'test/ready': 'false' };

/** What a pod answers, as JSON; the least is its own name. The answer's field `pod-uid` says the rest. */
export type Program = (pod: string, request: IncomingMessage) => { readonly pod: string };

export class Pods {
  /** By UID; pods that have gone stay. */
  readonly lives = new Map<string, PodLife>();
  readonly #servers = new Map<string, Server>();
  readonly #namespace: string;
  readonly #program: Program;
  #stop: (() => void) | undefined;
  #fault: Error | undefined;

  private constructor(namespace: string, program: Program) {
    this.#namespace = namespace;
    this.#program = program;
  }

  /** Serves all pods of a namespace on port 9000; unless another program is given, each answers with its own name. */
  static async serve(namespace: string, program: Program = (pod) => ({ pod })): Promise<Pods> {
    const pods = new Pods(namespace, program);
    pods.#stop = await watch<Pod>(`/api/v1/namespaces/${namespace}/pods`, ({ type, object }) => {
      pods.#observe(type, object);
    });
    return pods;
  }

  /** Pods that are served and not on their way out; throws when one could not be served. */
  get running(): PodLife[] {
    if (this.#fault !== undefined) throw this.#fault;
    return [...this.lives.values()].filter(
      ({ uid, servesUntil }) => servesUntil === Infinity && this.#servers.get(uid)?.listening === true,
    );
  }

  /** Pods that have been told to go and are still there. */
  get leaving(): PodLife[] {
    return [...this.lives.values()].filter(({ servesUntil, gone }) => servesUntil !== Infinity && !gone);
  }

  /** What the pod's readiness probe says, which nothing else here does; its server goes on whatever that is. */
  async setReady(name: string, ready: boolean): Promise<void> {
    const status = ready ? 'True' : 'False';
    const conditions = ['ContainersReady', 'Ready'].map((type) => ({ type, status }));
    const path = `/api/v1/namespaces/${this.#namespace}/pods/${name}/status`;
    const answer = await api('PATCH', path, { status: { conditions } });
    // A pod may be deleted before it was ever Ready.
    if (answer.status !== 200 && answer.status !== 404) throw new Error(`Ready of ${name}: ${answer.text}`);
  }

  close(): void {
    this.#stop?.();
    for (const server of this.#servers.values()) {
      server.close();
      server.closeAllConnections();
    }
  }

  #observe(type: string, pod: Pod): void {
    const { name, uid, deletionTimestamp } = pod.metadata;
    const life = this.lives.get(uid) ?? { name, uid, servesUntil: Infinity, gone: false };
    this.lives.set(uid, life);
    if (deletionTimestamp !== undefined) life.servesUntil = Date.parse(deletionTimestamp);
    const address = pod.status?.podIP;
    if (type === 'DELETED') this.#end(life);
    else if (address !== undefined && !this.#servers.has(uid)) {
      this.#begin(pod, address).catch(
        (cause: unknown) => (this.#fault = new Error(`${name} is not served`, { cause })),
      );
    }
  }

  async #begin({ metadata: { name, uid, annotations } }: Pod, address: string): Promise<void> {
    const server = createServer((request, response) => {
      request.resume();
      response.setHeader('content-type', 'application/json');
      response.setHeader('pod-uid', uid);
      response.end(JSON.stringify(this.#program(name, request)));
    });
    this.#servers.set(uid, server);
    await once(server.listen(APP_PORT, address), 'listening');
    if (annotations?.['test/ready'] === 'false') await this.setReady(name, true);
  }

  /** As a well-behaved program ends: requests under way are finished, nobody gets in any more. */
  #end(life: PodLife): void {
    life.gone = true;
    const server = this.#servers.get(life.uid);
    this.#servers.delete(life.uid);
    server?.close();
    server?.closeIdleConnections();
  }
}
