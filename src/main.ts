#!/usr/bin/env node
/** The `holdfast` command; the only place that ends the process. */
import { cli } from './cli/cli.ts';
import type { StopSignal } from './cli/io.ts';

// A reader that has gone (`holdfast help | head`) is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

process.exit(
  await cli(process.argv.slice(2), {
    env: process.env,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    onStop: (handler) => {
      const listener = (signal: NodeJS.Signals): void => handler(signal as StopSignal);
      process.on('SIGINT', listener).on('SIGTERM', listener);
      return () => void process.off('SIGINT', listener).off('SIGTERM', listener);
    },
  }),
);
