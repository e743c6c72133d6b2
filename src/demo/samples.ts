/** Keeps a sample backend running for every endpoint that the demo's manifests name, also for those added while it runs. */
import type { ObjectKey } from '../model/ids.ts';
import { objectKey } from '../model/ids.ts';
import type { EndpointSlice, Ingress } from '../model/resources.ts';
import type { SourceEvent } from '../model/snapshot.ts';
import { startFilesSource } from '../source/files/files.ts';
import type { Logger } from '../telemetry/logger.ts';
import { samplePods, startSampleBackend } from './backends.ts';
import type { SampleBackend, SamplePod } from './backends.ts';

export interface Samples {
  /** What the guide tells of; as read at the start. */
  readonly ingresses: readonly Ingress[];
  readonly slices: readonly EndpointSlice[];
  /** One sentence for each backend that could not start. */
  readonly complaints: readonly string[];
  close(): Promise<void>;
}

/** A backend once started stays until `close`: its pod may be draining. */
export async function startSamples(dir: string, logger: Logger): Promise<Samples> {
  const ingresses = new Map<ObjectKey, Ingress>();
  const slices = new Map<ObjectKey, EndpointSlice>();
  const backends = new Map<string, Promise<SampleBackend | undefined>>();
  const complaints: string[] = [];

  const startMissing = (): Promise<unknown> => {
    for (const pod of samplePods(slices.values())) {
      const address = `${pod.host}:${pod.port}`;
      if (!backends.has(address)) backends.set(address, startOne(pod));
    }
    return Promise.all(backends.values());
  };
  const startOne = async (pod: SamplePod): Promise<SampleBackend | undefined> => {
    try {
      return await startSampleBackend(pod);
    } catch (error) {
      const complaint = whyNot(pod, error);
      complaints.push(complaint);
      logger.warn(complaint);
      return undefined;
    }
  };

  let running = false;
  const apply = (event: SourceEvent): void => {
    if (event.type !== 'apply' && event.type !== 'delete') return;
    const { kind, namespace, name } = event.ref;
    const key = objectKey(namespace, name);
    const resource = event.type === 'apply' ? event.resource : undefined;
    if (resource?.kind === 'Ingress') ingresses.set(key, resource);
    if (resource?.kind === 'EndpointSlice') slices.set(key, resource);
    if (event.type === 'delete' && kind === 'EndpointSlice') slices.delete(key);
    if (running) startMissing().catch((error: unknown) => logger.error({ err: error }, 'a sample backend failed'));
  };
  const source = await startFilesSource(dir, apply, logger.child({ part: 'demo' }));
  await startMissing();
  running = true;

  return {
    ingresses: [...ingresses.values()],
    slices: [...slices.values()],
    complaints,
    close: async () => {
      running = false;
      await source.close();
      for (const backend of await Promise.all(backends.values())) await backend?.close();
    },
  };
}

function whyNot({ host, port, namespace, pod }: SamplePod, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (code === 'EADDRINUSE') {
    return `${where} is taken, so the sample backend of pod ${namespace}/${pod} cannot listen: stop what listens there (another demo?), or change the port in the pod's EndpointSlice`;
  }
  return `the sample backend of pod ${namespace}/${pod} cannot listen on ${where}: ${error instanceof Error ? error.message : String(error)}`;
}
