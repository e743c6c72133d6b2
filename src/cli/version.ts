/** `holdfast version`: the version of Holdfast and of Node.js. */
import type { Command } from './io.ts';
import { packageVersion } from '../package.ts';

export const version: Command = {
  name: 'version',
  usage: '',
  summary: 'print the version',
  takesSettings: false,
  run: async (args, io) => {
    if (args.length > 0) {
      io.err(`holdfast version takes no arguments, but was given ${args.join(' ')}\n`);
      return 2;
    }
    io.out(`holdfast ${packageVersion()} (Node.js ${process.version})\n`);
    return 0;
  },
};
