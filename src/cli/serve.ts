/** Runs a controller until a signal asks to stop; what `run` and `demo` have in common. */
import { statSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import { startController } from '../control/controller.ts';
import type { Controller } from '../control/controller.ts';
import { clusterIsNamed } from '../source/kubernetes/credentials.ts';
import type { Logger } from '../telemetry/logger.ts';
import { CUT_SHORT, type CliIo, type StopSignal } from './io.ts';
import { portProblems } from './ports.ts';

export interface ServeHooks {
  /** Runs before the controller starts; complaints end it with exit code 1. */
  readonly before?: () => Promise<readonly string[]>;
  readonly started?: (controller: Controller) => void;
  readonly after?: () => Promise<void>;
}

/**
 * The first signal shuts down gracefully (exit code 0), also during the start: Go's controllers do the same, and a pod that
 * is deleted before it was ready has not failed. The second ends at once.
 */
export async function serve(config: Config, io: CliIo, logger: Logger, hooks: ServeHooks = {}): Promise<number> {
  const first = Promise.withResolvers<StopSignal>();
  const second = Promise.withResolvers<number>();
  const stop = new AbortController();
  const unsubscribe = io.onStop((signal) => {
    if (stop.signal.aborted) second.resolve(CUT_SHORT[signal]);
    stop.abort();
    first.resolve(signal);
  });
  try {
    const controller = await Promise.race([start(config, io, logger, hooks, stop.signal), second.promise]);
    if (typeof controller === 'number') return controller;
    if (!stop.signal.aborted) hooks.started?.(controller);

    const signal = await first.promise;
    logger.info({ signal }, 'shutting down; a second signal ends at once');
    // What serves behind the controller goes last: requests in flight still need it.
    const graceful = controller
      .shutdown()
      .then(() => hooks.after?.())
      .then(() => 0);
    return await Promise.race([graceful, second.promise]);
  } finally {
    unsubscribe();
  }
}

async function start(
  config: Config,
  io: CliIo,
  logger: Logger,
  hooks: ServeHooks,
  stop: AbortSignal,
): Promise<Controller | number> {
  const wrong = [...manifestsProblem(config), ...(await portProblems(config))];
  const complaints = wrong.length > 0 ? wrong : ((await hooks.before?.()) ?? []);
  if (complaints.length > 0) return complain(complaints, io);
  try {
    return await startController(config, logger, stop);
  } catch (error) {
    logger.debug({ err: error }, 'the controller could not start');
    return complain([`could not start: ${error instanceof Error ? error.message : String(error)}`], io);
  }
}

function manifestsProblem({ manifests, kubeconfig }: Config): string[] {
  if (manifests === undefined) {
    if (clusterIsNamed(kubeconfig)) return [];
    return [
      '--manifests is missing: write --manifests DIR, a folder of YAML files, or --kubeconfig FILE to serve a cluster',
    ];
  }
  try {
    if (statSync(manifests).isDirectory()) return [];
    return [`--manifests: ${JSON.stringify(manifests)} is not a folder; write the folder that holds the YAML files`];
  } catch {
    return [`--manifests: there is no folder ${JSON.stringify(manifests)}`];
  }
}

function complain(complaints: readonly string[], io: CliIo): number {
  for (const complaint of complaints) io.err(`holdfast: ${complaint}\n`);
  return 1;
}
