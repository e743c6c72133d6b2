/** Reads the settings of a command and tells the user what is wrong with them. */
import { readFileSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { SettingKey } from '../config/schema.ts';
import type { CliIo } from './io.ts';

export interface SettingsOptions {
  /** Defaults of the command where they differ from the general ones. */
  readonly defaults?: Readonly<Partial<Record<SettingKey, string>>>;
  /** Whether the command takes arguments that are not flags. */
  readonly takesFiles?: boolean;
}

export interface Settings {
  readonly config: Config;
  readonly positionals: readonly string[];
}

/** `undefined` = the mistakes have been printed; the exit code is 2. */
export function readSettings(args: readonly string[], io: CliIo, options: SettingsOptions = {}): Settings | undefined {
  const { defaults = {}, takesFiles = false } = options;
  const loaded = loadConfig({ args, env: io.env, defaults, readFile: (path) => readFileSync(path, 'utf8') });
  const errors = [...loaded.errors];
  const [stray] = loaded.positionals;
  // Behind an unknown flag it is most likely that flag's value.
  if (stray !== undefined && !takesFiles && errors.length === 0) {
    errors.push(`unexpected argument ${JSON.stringify(stray)}; flags begin with --`);
  }
  for (const warning of loaded.warnings) io.err(`holdfast: ${warning}\n`);
  for (const error of errors) io.err(`holdfast: ${error}\n`);
  if (errors.length > 0 || loaded.config === undefined) return undefined;
  return { config: loaded.config, positionals: loaded.positionals };
}
