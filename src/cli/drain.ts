/** `holdfast drain`: marks a pod as draining by its annotation, with the caller's own rights, and watches its work end. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { packageVersion } from '../package.ts';
import { KubeClient } from '../source/kubernetes/client.ts';
import { adminHost } from './admin-host.ts';
import { followDrain, type Progress } from './drain-wait.ts';
import { CUT_SHORT, type CliIo, type Command, type StopSignal } from './io.ts';
import { readSettings } from './settings.ts';
import { takeSwitch } from './take.ts';

const ANNOTATION = 'holdfast.dev/drain';
const POLL_MS = 1000;
const ANSWER_MS = 10_000;
const POD = /^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)\/([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)$/;

export const drain: Command = {
  name: 'drain',
  usage: 'NS/POD [--wait] [--undrain] [FLAGS]',
  summary:
    'drain a pod: its sessions end or move as their policy says; --wait until it has no work, --undrain to end it',
  takesSettings: true,
  run: async (args, io) => {
    const wait = takeSwitch(args, '--wait');
    const undrain = takeSwitch(wait.rest, '--undrain');
    const settings = readSettings(undrain.rest, io, { takesFiles: true });
    if (settings === undefined) return 2;
    const [pod = '', stray] = settings.positionals;
    const match = POD.exec(pod);
    if (match === null || stray !== undefined || (wait.on && undrain.on)) {
      io.err('holdfast: write holdfast drain NAMESPACE/POD [--wait], or holdfast drain NAMESPACE/POD --undrain\n');
      return 2;
    }
    try {
      const { config } = settings;
      const client = await KubeClient.connect({
        kubeconfig: config.kubeconfig,
        userAgent: `holdfast/${packageVersion()}`,
      });
      try {
        io.out(`${await mark(client, match[1] ?? '', match[3] ?? '', !undrain.on)}\n`);
        return wait.on ? await follow(client, config, pod, io) : 0;
      } finally {
        client.close();
      }
    } catch (error) {
      io.err(`holdfast: ${error instanceof Error ? error.message : String(error)}\n`);
      return 1;
    }
  },
};

/** A pod that is drained already keeps its time: drain deadlines count from there. */
async function mark(client: KubeClient, namespace: string, name: string, on: boolean): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
  const read = await client.request('GET', path);
  if (read.status === 404) throw new Error(`there is no pod ${namespace}/${name}`);
  if (read.status !== 200)
    throw new Error(`pod ${namespace}/${name} could not be read: the API server answered ${read.status}`);
  const { metadata } = read.json() as { metadata?: { annotations?: Record<string, string> } };
  const before = metadata?.annotations?.[ANNOTATION];
  if (on && before !== undefined && before !== '' && before !== 'false')
    return `pod ${namespace}/${name} is draining already`;
  if (!on && before === undefined) return `pod ${namespace}/${name} is not drained by hand`;
  const value = on ? new Date().toISOString().replace(/\.\d+Z$/, 'Z') : null;
  const written = await client.request('PATCH', path, {
    body: { metadata: { annotations: { [ANNOTATION]: value } } },
    contentType: 'application/merge-patch+json',
  });
  if (written.status >= 300) {
    const why = written.status === 403 ? 'you may not patch pods there' : `the API server answered ${written.status}`;
    throw new Error(`pod ${namespace}/${name} could not be marked: ${why}`);
  }
  return on ? `pod ${namespace}/${name} is draining` : `pod ${namespace}/${name} is no longer drained`;
}

async function follow(client: KubeClient, config: Config, pod: string, io: CliIo): Promise<number> {
  const stop = new AbortController();
  let by: StopSignal | undefined;
  const unsubscribe = io.onStop((signal) => {
    by ??= signal;
    stop.abort();
  });
  try {
    const code = await followDrain({
      ask: () => ask(client, config, pod, AbortSignal.any([stop.signal, AbortSignal.timeout(ANSWER_MS)])),
      pause: () => pause(POLL_MS, undefined, { signal: stop.signal }),
      stopped: stop.signal,
      io,
    });
    return by === undefined ? code : CUT_SHORT[by];
  } finally {
    unsubscribe();
  }
}

/** Through the API server when the replicas' Service is named, else at --admin-address. */
async function ask(
  client: KubeClient,
  { replicasService, adminAddress }: Config,
  pod: string,
  signal: AbortSignal,
): Promise<Progress> {
  if (replicasService !== undefined) {
    const { namespace, name } = replicasService;
    const path = `/api/v1/namespaces/${namespace}/services/http:${name}:admin/proxy/api/v1/drain`;
    const answer = await client.request('GET', path, { query: { pod }, signal });
    if (answer.status !== 200)
      throw new Error(`Service ${namespace}/${name} did not say how far it is: ${answer.status}`);
    return answer.json() as Progress;
  }
  const host = adminHost(adminAddress);
  let response: Response;
  try {
    response = await fetch(`http://${host}/api/v1/drain?${new URLSearchParams({ pod }).toString()}`, { signal });
  } catch (error) {
    throw new Error(
      `no controller answers at ${host}; name the replicas by --replicas-service NAMESPACE/NAME, or one by --admin-address`,
      { cause: error },
    );
  }
  if (!response.ok) throw new Error(`the controller at ${host} answered ${response.status}`);
  return (await response.json()) as Progress;
}
