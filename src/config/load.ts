/** From arguments, environment and config file to a `Config`: flag before variable before file before default, every mistake reported. */
import type { Config } from './config.ts';
import { fromArgs, fromEnv, fromFile } from './given.ts';
import type { Given } from './given.ts';
import { settingsSchema, SETTINGS, toConfig } from './schema.ts';
import type { SettingKey, SettingValues } from './schema.ts';

export interface LoadInput {
  /** Arguments after the command's name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Defaults of the command that differ from the general ones, as text. */
  readonly defaults?: Readonly<Partial<Record<SettingKey, string>>>;
  /** Reads the config file; throws when it cannot. */
  readonly readFile: (path: string) => string;
}

export interface Loaded {
  /** undefined = there are errors, or `--help` was asked for. */
  readonly config: Config | undefined;
  readonly help: boolean;
  /** Arguments that are not flags. */
  readonly positionals: readonly string[];
  /** Each names the flag (or variable, or file and line), the value and what is allowed. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

export function loadConfig(input: LoadInput): Loaded {
  const args = fromArgs(input.args);
  const env = fromEnv(input.env);
  const file = args.values.get('config') ?? env.values.get('config');
  const fromConfigFile =
    file === undefined ? { values: new Map<SettingKey, Given>(), errors: [] } : readConfig(file, input);
  const errors = [...args.errors, ...env.errors, ...fromConfigFile.errors];

  const settled = new Map<SettingKey, Given>();
  for (const { key, flag, info } of SETTINGS) {
    const given = args.values.get(key) ?? env.values.get(key) ?? fromConfigFile.values.get(key);
    const fallback = input.defaults?.[key] ?? info.default;
    if (given !== undefined) settled.set(key, given);
    else if (fallback !== undefined) settled.set(key, { text: fallback, where: `--${flag}` });
  }
  const values = parse(settled, errors);
  const config = values === undefined || errors.length > 0 || args.help ? undefined : toConfig(values);
  return { config, help: args.help, positionals: args.positionals, errors, warnings: env.warnings };
}

function readConfig(file: Given, input: LoadInput): ReturnType<typeof fromFile> {
  let source: string;
  try {
    source = input.readFile(file.text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { values: new Map(), errors: [`${file.where} ${file.text}: cannot read the file: ${why}`] };
  }
  return fromFile(file.text, source);
}

/** Appends to `errors` what the schema refuses. */
function parse(settled: ReadonlyMap<SettingKey, Given>, errors: string[]): SettingValues | undefined {
  const texts = Object.fromEntries([...settled].map(([key, given]) => [key, given.text]));
  const result = settingsSchema.safeParse(texts);
  if (!result.success) {
    for (const issue of result.error.issues) {
      const key = issue.path[0] as SettingKey;
      const given = settled.get(key);
      const secret = SETTINGS.find((setting) => setting.key === key)?.info.secret === true;
      const what = secret ? 'the value (not shown, it may hold a password)' : shown(given?.text ?? '');
      errors.push(`${given?.where ?? key}: ${what} is not allowed; ${issue.message}`);
    }
    return undefined;
  }
  const conflict = conflictIn(result.data);
  if (conflict !== undefined) {
    const given = settled.get(conflict.key);
    errors.push(`${given?.where ?? conflict.key}: ${shown(given?.text ?? '')} is not allowed; ${conflict.allowed}`);
    return undefined;
  }
  return result.data;
}

/** What the settings' own schemas cannot see. */
function conflictIn(values: SettingValues): { readonly key: SettingKey; readonly allowed: string } | undefined {
  if (values.maxTargetBytes >= values.maxHeadBytes) {
    return { key: 'maxTargetBytes', allowed: `write less than --max-head-bytes (${values.maxHeadBytes})` };
  }
  if (values.proxyProtocol && values.trustedProxies.length === 0) {
    return { key: 'proxyProtocol', allowed: 'name the peers that send the header in --trusted-proxies, too' };
  }
  const { host, port } = values.adminAddress;
  const overlap = [host, values.bindAddress].some((address) => address === '::' || address === '0.0.0.0');
  if (port !== 0 && port === values.httpPort && (overlap || host === values.bindAddress)) {
    return { key: 'adminAddress', allowed: `write another port than that of --http-port (${port})` };
  }
  return undefined;
}

function shown(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return JSON.stringify(short);
}
