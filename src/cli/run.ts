/** `holdfast run`: the controller. */
import { createLogger } from '../telemetry/logger.ts';
import type { Command } from './io.ts';
import { hostPortText } from './ports.ts';
import { serve } from './serve.ts';
import { readSettings } from './settings.ts';

export const run: Command = {
  name: 'run',
  usage: '[FLAGS]',
  summary:
    'run the controller on the cluster it is in, or one named; --manifests DIR serves YAML files without a cluster',
  takesSettings: true,
  run: async (args, io) => {
    const settings = readSettings(args, io);
    if (settings === undefined) return 2;
    const { config } = settings;
    const logger = createLogger({ level: config.logLevel });
    return await serve(config, io, logger, {
      started: ({ httpAddress, adminAddress }) => {
        logger.info({ http: hostPortText(httpAddress), admin: hostPortText(adminAddress) }, 'serving');
      },
    });
  },
};
