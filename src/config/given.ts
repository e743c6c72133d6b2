/** Collects what the user gave, as text by setting, from the command line, the environment and the config file. */
import { parseArgs } from 'node:util';
import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { nearest } from '../model/nearest.ts';
import { SETTINGS } from './schema.ts';
import type { Setting, SettingKey } from './schema.ts';

/** One value as given, and where: `--http-port`, `HOLDFAST_HTTP_PORT` or `holdfast.yaml:3: http-port`. */
export interface Given {
  readonly text: string;
  readonly where: string;
}

export interface GivenValues {
  readonly values: Map<SettingKey, Given>;
  readonly errors: string[];
}

export interface GivenArgs extends GivenValues {
  readonly positionals: string[];
  readonly help: boolean;
}

const BY_FLAG = new Map(SETTINGS.map((setting) => [setting.flag, setting]));

function isSwitch(setting: Setting): boolean {
  return setting.info.value === '';
}

/** Flags as `--name VALUE`, `--name=VALUE`, `--switch` or `--no-switch`; `--` ends them. The last of several wins. */
export function fromArgs(args: readonly string[]): GivenArgs {
  const options = Object.fromEntries(
    SETTINGS.map((setting) => [setting.flag, { type: isSwitch(setting) ? ('boolean' as const) : ('string' as const) }]),
  );
  const { tokens } = parseArgs({
    args: [...args],
    options: { ...options, help: { type: 'boolean', short: 'h' } },
    strict: false,
    tokens: true,
  });
  const given: GivenArgs = { values: new Map(), errors: [], positionals: [] as string[], help: false };
  let help = false;
  for (const token of tokens) {
    if (token.kind === 'positional') given.positionals.push(token.value);
    if (token.kind !== 'option') continue;
    if (token.name === 'help') help = true;
    else addFlag(given, token.name, token.rawName, token.value, token.inlineValue === true);
  }
  return { ...given, help };
}

function addFlag(given: GivenArgs, name: string, rawName: string, value: string | undefined, inline: boolean): void {
  const setting = BY_FLAG.get(name);
  const negated = name.startsWith('no-') ? BY_FLAG.get(name.slice(3)) : undefined;
  if (setting === undefined && negated !== undefined && isSwitch(negated) && value === undefined) {
    given.values.set(negated.key, { text: 'false', where: rawName });
  } else if (setting === undefined) {
    const near = rawName.startsWith('--') ? nearest(name, BY_FLAG.keys()) : undefined;
    given.errors.push(
      `unknown flag ${rawName}${near === undefined ? '; see holdfast help' : `; did you mean --${near}?`}`,
    );
  } else if (isSwitch(setting)) {
    given.values.set(setting.key, { text: value ?? 'true', where: rawName });
  } else if (value === undefined || (!inline && value.startsWith('--'))) {
    given.errors.push(`${rawName} needs a value: write ${rawName} ${setting.info.value}`);
  } else {
    given.values.set(setting.key, { text: value, where: rawName });
  }
}

/** Variables that Kubernetes sets for a Service named `holdfast…`; they are not ours. */
const SERVICE_LINK = /_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/;

/** `HOLDFAST_…` variables; an empty one counts as unset unless empty means something. Misspelt ones come back as `warnings`. */
export function fromEnv(
  env: Readonly<Record<string, string | undefined>>,
): GivenValues & { readonly warnings: string[] } {
  const given = { values: new Map<SettingKey, Given>(), errors: [] as string[], warnings: [] as string[] };
  const known = new Map(SETTINGS.map((setting) => [setting.env, setting]));
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('HOLDFAST_') || text === undefined) continue;
    const setting = known.get(name);
    if (setting !== undefined) {
      // A Service named `holdfast-http` makes Kubernetes set HOLDFAST_HTTP_PORT=tcp://10.0.0.1:80.
      if (/^tcp:\/\//.test(text)) continue;
      if (text !== '' || setting.key === 'serverHeader') given.values.set(setting.key, { text, where: name });
    } else if (!SERVICE_LINK.test(name)) {
      const near = nearest(name, known.keys());
      if (near !== undefined) given.warnings.push(`${name} is not a setting; did you mean ${near}?`);
    }
  }
  return given;
}

/** A YAML map of flag names to values; lists stand for comma-separated text. */
export function fromFile(file: string, source: string): GivenValues {
  const given: GivenValues = { values: new Map(), errors: [] };
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines });
  for (const error of document.errors) {
    given.errors.push(`${file}:${lines.linePos(error.pos[0]).line}: ${error.message.split('\n', 1)[0] ?? ''}`);
  }
  const root = document.contents;
  if (given.errors.length > 0 || root === null || (isScalar(root) && root.value === null)) return given;
  if (!isMap(root)) {
    given.errors.push(`${file}: write a map of settings, such as http-port: 8080`);
    return given;
  }
  for (const pair of root.items) {
    const name = isScalar(pair.key) ? String(pair.key.value) : '?';
    const line = isScalar(pair.key) && pair.key.range ? lines.linePos(pair.key.range[0]).line : 1;
    addFromFile(given, `${file}:${line}: ${name}`, name, pair.value);
  }
  return given;
}

function addFromFile(given: GivenValues, where: string, name: string, value: unknown): void {
  const setting = BY_FLAG.get(name);
  if (setting === undefined || setting.key === 'config') {
    const near = nearest(
      name,
      [...BY_FLAG.keys()].filter((flag) => flag !== 'config'),
    );
    given.errors.push(`${where} is not a setting${near === undefined ? '' : `; did you mean ${near}?`}`);
    return;
  }
  const text = isSeq(value) ? joined(value.items) : scalarText(value);
  if (text === undefined) given.errors.push(`${where}: write a plain value or a list of plain values`);
  else given.values.set(setting.key, { text, where });
}

function joined(items: readonly unknown[]): string | undefined {
  const texts = items.map(scalarText);
  return texts.includes(undefined) ? undefined : texts.join(',');
}

/** Text as written (`0755` stays `0755`), except that an empty value is empty text. */
function scalarText(node: unknown): string | undefined {
  if (node === null) return '';
  if (!isScalar(node)) return undefined;
  if (node.value === null) return '';
  return typeof node.value === 'string' ? node.value : node.source;
}
