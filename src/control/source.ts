/** Picks where the objects come from: a folder of manifests, or the cluster. */
import type { Config } from '../config/config.ts';
import type { SourceSink } from '../model/snapshot.ts';
import { packageVersion } from '../package.ts';
import { startFilesSource } from '../source/files/files.ts';
import { KubeClient } from '../source/kubernetes/client.ts';
import { startKubernetesSource, type WatchFigures } from '../source/kubernetes/kubernetes.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface Source {
  /** Kinds that have not been read as a whole yet. */
  unsynced(): string[];
  /** Empty without a cluster. */
  watches(): WatchFigures[];
  close(): Promise<void>;
}

/**
 * undefined = standalone, on manifests.
 *
 * @throws Error with a message for the user: no credentials, or unreadable ones
 */
export async function connectToCluster({ manifests, kubeconfig }: Config): Promise<KubeClient | undefined> {
  if (manifests !== undefined) return undefined;
  return await KubeClient.connect({ kubeconfig, userAgent: `holdfast/${packageVersion()}` });
}

/** With manifests it resolves when they have been read; with a cluster at once, and reads on from there. */
export async function startSource(
  config: Config,
  client: KubeClient | undefined,
  sink: SourceSink,
  logger: Logger,
): Promise<Source> {
  if (client !== undefined) {
    const { watchNamespaces: namespaces, podWatch: pods, httpsPort, tlsSecretNames: names, defaultTlsSecret } = config;
    const secrets = {
      names,
      also: httpsPort === undefined ? undefined : defaultTlsSecret,
      certificates: httpsPort !== undefined,
      crossNamespace: config.allowCrossNamespaceSecrets,
    };
    return startKubernetesSource({ api: client, namespaces, pods, secrets }, sink, logger);
  }
  const files = await startFilesSource(config.manifests ?? '', sink, logger);
  return { unsynced: () => [], watches: () => [], close: () => files.close() };
}
