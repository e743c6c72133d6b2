/** `holdfast demo`: a standalone controller on the bundled examples, with sample backends behind it. */
import type { SettingKey } from '../config/schema.ts';
import type { Config } from '../config/config.ts';
import type { Controller } from '../control/controller.ts';
import { guide } from '../demo/guide.ts';
import { startSamples } from '../demo/samples.ts';
import type { Samples } from '../demo/samples.ts';
import { createLogger } from '../telemetry/logger.ts';
import type { CliIo, Command } from './io.ts';
import { EXAMPLES, packageVersion } from '../package.ts';
import { hostPortText } from './ports.ts';
import { problemText, shownPath } from './problem-text.ts';
import { serve } from './serve.ts';
import { readSettings } from './settings.ts';

export const DEMO_DEFAULTS: Readonly<Partial<Record<SettingKey, string>>> = {
  manifests: EXAMPLES,
  bindAddress: '127.0.0.1',
  httpsPort: 'off',
  shutdownDelay: '0s',
  shutdownGrace: '3s',
  logLevel: 'warn',
};

export const demo: Command = {
  name: 'demo',
  usage: '[FLAGS]',
  summary: 'serve the bundled example manifests with sample backends, and say what to try',
  takesSettings: true,
  run: async (args, io) => {
    const settings = readSettings(args, io, { defaults: DEMO_DEFAULTS });
    if (settings === undefined) return 2;
    const { config } = settings;
    // The guide has stdout for itself.
    const logger = createLogger({ level: config.logLevel, fd: 2 });
    let samples: Samples | undefined;
    return await serve(config, io, logger, {
      before: async () => {
        samples = await startSamples(config.manifests ?? EXAMPLES, logger);
        return samples.complaints;
      },
      started: (controller) => tell(io, config, controller, samples),
      after: async () => samples?.close(),
    });
  },
};

function tell(io: CliIo, config: Config, controller: Controller, samples: Samples | undefined): void {
  const { httpAddress, adminAddress, problems } = controller;
  io.out(
    guide({
      version: packageVersion(),
      host: reachable(httpAddress.host),
      httpPort: httpAddress.port,
      adminUrl: `http://${hostPortText({ ...adminAddress, host: reachable(adminAddress.host) })}`,
      dir: shownPath(config.manifests ?? EXAMPLES),
      ingresses: samples?.ingresses ?? [],
      slices: samples?.slices ?? [],
      problems: problems().map(problemText),
      shownPath,
    }),
  );
}

/** A wildcard address is listened on, not connected to. */
function reachable(host: string): string {
  return host === '::' || host === '0.0.0.0' ? '127.0.0.1' : host;
}
