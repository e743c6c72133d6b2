/** The reference page of all settings, from the schema that the command line, the environment and the config file share. */
import { SECTIONS, SETTINGS } from '../src/config/schema.ts';
import type { Setting } from '../src/config/schema.ts';

export function settingsReference(): string {
  const sections = SECTIONS.map((section) => {
    const rows = SETTINGS.filter(({ info }) => info.section === section).map(row);
    return `## ${section}\n\n| flag | environment | default | meaning |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`;
  });
  return `# Settings

<!-- Written by \`npm run generate\`; change the schema instead. -->

Every flag of \`holdfast run\` and \`holdfast demo\` is also an environment variable and a key of the \`--config\` file (the flag's
name without \`--\`). A flag goes before a variable, a variable before the file, the file before the default. Durations are
such as \`500ms\`, \`10s\`, \`1m30s\`. A switch is turned off by \`--no-NAME\`. A value that is not allowed ends the start with
a sentence that says what is.

${sections.join('\n')}`;
}

function row({ flag, env, info }: Setting): string {
  const value = info.value === '' ? '' : ` ${info.value}`;
  const fallback =
    info.defaultText ?? (info.default === undefined || info.default === '' ? 'none' : `\`${info.default}\``);
  return `| \`--${flag}${escaped(value)}\` | \`${env}\` | ${fallback} | ${escaped(info.meaning)} |`;
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|');
}
