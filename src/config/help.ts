/** The settings part of `--help`, generated from the schema's own table. */
import { SECTIONS, SETTINGS } from './schema.ts';
import type { Setting, SettingKey } from './schema.ts';

/** `defaults` are those of the command, where they differ from the general ones. */
export function settingsHelp(defaults: Readonly<Partial<Record<SettingKey, string>>> = {}): string {
  const blocks = SECTIONS.map((section) => {
    const lines = SETTINGS.filter((setting) => setting.info.section === section).map((setting) =>
      entry(setting, defaults[setting.key]),
    );
    return `${section}:\n${lines.join('\n')}`;
  });
  return `${blocks.join('\n\n')}

Every flag is also an environment variable (named in brackets) and a key of the --config file:
a flag goes before a variable, a variable before the file, the file before the default.
Durations are such as 500ms, 10s, 1m30s.`;
}

function entry({ flag, env, info }: Setting, ownDefault: string | undefined): string {
  const head = `  --${flag}${info.value === '' ? '' : ` ${info.value}`}`;
  const shown = ownDefault ?? info.defaultText ?? info.default;
  const tail = `[${env}]${shown === undefined || shown === '' ? '' : ` (default: ${shown})`}`;
  return `${head}\n      ${info.meaning}\n      ${tail}`;
}
