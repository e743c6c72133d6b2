/** Finds the command that the arguments name and runs it. */
import { settingsHelp } from '../config/help.ts';
import { nearest } from '../model/nearest.ts';
import { check } from './check.ts';
import { demo, DEMO_DEFAULTS } from './demo.ts';
import { drain } from './drain.ts';
import type { CliIo, Command } from './io.ts';
import { keys } from './keys.ts';
import { run } from './run.ts';
import { sessions } from './sessions.ts';
import { simulate } from './simulate.ts';
import { version } from './version.ts';

const help: Command = {
  name: 'help',
  usage: '[COMMAND]',
  summary: 'print this, or what a command takes',
  takesSettings: false,
  run: async ([name, ...rest], io) => {
    if (name === undefined) return printed(io, overview());
    const command = COMMANDS.find((candidate) => candidate.name === name);
    if (command === undefined || rest.length > 0) return unknown(rest[0] ?? name, io);
    return printed(io, commandHelp(command));
  },
};

const COMMANDS: readonly Command[] = [run, demo, check, drain, keys, sessions, simulate, version, help];

/** Exit codes: 0 done, 1 it failed, 2 the command line is wrong. */
export async function cli(args: readonly string[], io: CliIo): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) {
    io.err(overview());
    return 2;
  }
  if (name === '--help' || name === '-h') return await help.run([], io);
  if (name === '--version' || name === '-v') return await version.run(rest, io);
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) return unknown(name, io);
  if (command !== help && wantsHelp(rest)) return printed(io, commandHelp(command));
  return await command.run(rest, io);
}

/** `--` ends the flags: what follows may be a file of that name. */
function wantsHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).some((arg) => arg === '--help' || arg === '-h');
}

function printed(io: CliIo, text: string): number {
  io.out(text);
  return 0;
}

function unknown(name: string, io: CliIo): number {
  const names = COMMANDS.map((command) => command.name);
  const near = nearest(name, names);
  const hint = near === undefined ? `there are ${names.join(', ')}` : `did you mean holdfast ${near}?`;
  io.err(`unknown command ${JSON.stringify(name)}; ${hint}\n`);
  return 2;
}

function overview(): string {
  const lines = COMMANDS.map((command) => `  ${`${command.name} ${command.usage}`.padEnd(32)}  ${command.summary}`);
  return `Holdfast: a Kubernetes ingress controller whose sessions hold fast.

Usage: holdfast COMMAND [FLAGS]

${lines.join('\n')}

Flags of run and demo:

${settingsHelp()}
`;
}

function commandHelp(command: Command): string {
  const head = `Usage: holdfast ${command.name}${command.usage === '' ? '' : ` ${command.usage}`}\n\n${command.summary}\n`;
  if (!command.takesSettings) return head;
  return `${head}\n${settingsHelp(command === demo ? DEMO_DEFAULTS : {})}\n`;
}
