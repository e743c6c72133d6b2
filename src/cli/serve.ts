/** Runs a controller until a signal asks to stop; what `run` and `demo` have in common. */
import { statSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import { startController } from '../control/controller.ts';
import type { Controller } from '../control/controller.ts';
import { clusterIsNamed } from '../source/kubernetes/credentials.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { CliIo, StopSignal } from './io.ts';
import { portProblems } from './ports.ts';

const EXIT_CODES: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 };

export interface ServeHooks {
  /** Runs before the controller starts; complaints end it with exit code 1. */
  readonly before?: () => Promise<readonly string[]>;
  readonly started?: (controller: Controller) => void;
  readonly after?: () => Promise<void>;
}

/** The first signal shuts down gracefully (exit code 0), the second ends at once; so does one during the start. */
export async function serve(config: Config, io: CliIo, logger: Logger, hooks: ServeHooks = {}): Promise<number> {
  const complaints = [...manifestsProblem(config), ...(await portProblems(config))];
  if (complaints.length > 0) return complain(complaints, io);

  const first = Promise.withResolvers<StopSignal>();
  const second = Promise.withResolvers<number>();
  let signals = 0;
  const unsubscribe = io.onStop((signal) => {
    signals++;
    if (signals === 1) first.resolve(signal);
    else second.resolve(EXIT_CODES[signal]);
  });
  try {
    const early = first.promise.then((signal) => EXIT_CODES[signal]);
    const controller = await Promise.race([start(config, io, logger, hooks), early]);
    if (typeof controller === 'number') return controller;
    hooks.started?.(controller);

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

async function start(config: Config, io: CliIo, logger: Logger, hooks: ServeHooks): Promise<Controller | number> {
  const complaints = (await hooks.before?.()) ?? [];
  if (complaints.length > 0) return complain(complaints, io);
  try {
    return await startController(config, logger);
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
