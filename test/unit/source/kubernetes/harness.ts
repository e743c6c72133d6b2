/** A real source on the test's API server, with a plain sink to compare with it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Problem } from '../../../../src/model/problem.ts';
import type { Pod, Resource } from '../../../../src/model/resources.ts';
import type { SourceEvent } from '../../../../src/model/snapshot.ts';
import { KubeClient } from '../../../../src/source/kubernetes/client.ts';
import {
  startKubernetesSource,
  type KubernetesSource,
  type KubernetesSourceOptions,
} from '../../../../src/source/kubernetes/kubernetes.ts';
import { TIMING, type ReflectorTiming } from '../../../../src/source/kubernetes/reflector.ts';
import { ApiServer, type RawObject } from './api-server.ts';

/** As in life, a thousand times faster where waiting is concerned. */
export const FAST: ReflectorTiming = { ...TIMING, first: 1, most: 20, mostUnreachable: 5, mostAsked: 5000, settled: 5 };

/** What the sink was told, by `Kind namespace/name`. */
export class Told {
  readonly objects = new Map<string, Resource | Pod | undefined>();
  readonly problems = new Map<string, readonly Problem[]>();
  readonly events: SourceEvent[] = [];
  synced = 0;
  #look: () => void = () => undefined;

  readonly sink = (event: SourceEvent): void => {
    this.events.push(event);
    switch (event.type) {
      case 'apply':
        this.#set(event.ref, event.resource ?? this.objects.get(nameOf(event.ref)), event.problems);
        break;
      case 'pod':
        this.#set({ kind: 'Pod', ...event.pod }, event.pod, event.problems);
        break;
      case 'delete':
        this.objects.delete(nameOf(event.ref));
        this.problems.delete(nameOf(event.ref));
        break;
      case 'sourceProblems':
        if (event.problems.length === 0) this.problems.delete(event.key);
        else this.problems.set(event.key, event.problems);
        break;
      case 'synced':
        this.synced++;
    }
    this.#look();
  };

  names(kind: string): string[] {
    return [...this.objects.keys()].filter((name) => name.startsWith(`${kind} `)).sort();
  }

  /** Waits until it holds; looks after every event, and now and then for what is no event. */
  async until(holds: () => boolean, what = String(holds)): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const look = () => {
      if (holds()) resolve(undefined);
    };
    const poll = setInterval(look, 2);
    const deadline = setTimeout(() => reject(new Error(`it never held: ${what}`)), 10_000);
    this.#look = look;
    look();
    try {
      await promise;
    } finally {
      clearInterval(poll);
      clearTimeout(deadline);
    }
  }

  #set(
    ref: { kind: string; namespace: string; name: string },
    object: Resource | Pod | undefined,
    found: readonly Problem[],
  ): void {
    this.objects.set(nameOf(ref), object);
    if (found.length === 0) this.problems.delete(nameOf(ref));
    else this.problems.set(nameOf(ref), found);
  }
}

function nameOf({ kind, namespace, name }: { kind: string; namespace: string; name: string }): string {
  return `${kind} ${namespace}/${name}`;
}

export interface Fixture {
  readonly server: ApiServer;
  readonly told: Told;
  readonly source: KubernetesSource;
  readonly client: KubeClient;
  readonly logged: string[];
  readonly dir: string;
  end(): Promise<void>;
}

/** `prepare` runs before the source starts. */
export async function begin(
  prepare: (server: ApiServer, dir: string) => void = () => undefined,
  options: Partial<KubernetesSourceOptions> & { user?: Record<string, unknown> } = {},
): Promise<Fixture> {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-kubernetes-'));
  const server = await ApiServer.start();
  prepare(server, dir);
  const kubeconfig = server.kubeconfig(join(dir, 'config'), options.user);
  const client = await KubeClient.connect({ kubeconfig, userAgent: 'holdfast/test' });
  const told = new Told();
  const logged: string[] = [];
  const log = {
    info: (_: object, message: string) => logged.push(message),
    warn: (details: object, message: string) =>
      logged.push(`${message}: ${'why' in details ? String(details.why) : ''}`),
  };
  const source = startKubernetesSource(
    { api: client, namespaces: [], pods: true, timing: FAST, ...options },
    told.sink,
    log,
  );
  const end = async () => {
    await source.close();
    client.close();
    await server.close();
    rmSync(dir, { recursive: true });
  };
  return { server, told, source, client, logged, dir, end };
}

export function ingress(name: string, host = `${name}.test`, namespace = 'shop'): RawObject {
  const backend = { service: { name: 'web', port: { number: 80 } } };
  const paths = [{ path: '/', pathType: 'Prefix', backend }];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { namespace, name },
    spec: { ingressClassName: 'holdfast', rules: [{ host, http: { paths } }] },
  };
}

export function policy(name: string, spec: unknown): RawObject {
  return { apiVersion: 'holdfast.dev/v1alpha1', kind: 'StickyPolicy', metadata: { namespace: 'shop', name }, spec };
}

export function secret(name: string, type: string, data: Record<string, string>, namespace = 'shop'): RawObject {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name }, type, stringData: data };
}

export function pod(name: string, metadata: Record<string, unknown> = {}): RawObject {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'shop', name, uid: `uid-${name}`, ...metadata } };
}
